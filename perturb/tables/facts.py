"""Facts about models and datasets, as tables that predictions are joined with."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from perturb.datasets.classes import check_classes
from perturb.datasets.manifests import read_classes, read_manifest
from perturb.experiments.lesions.plans import removable_blocks
from perturb.models.network_size import size_of, timm_row
from perturb.records import Dataset, Model

#: The label of an unknown pre-training beside known ones; alone it is empty.
NOT_GIVEN = "Pre-training not given"
_LAST = 1_000  # after all sets

MODELS = pa.schema(
    [
        ("model", pa.string()),
        ("entry", pa.string()),  # of the configuration; the same for all runs of its training
        ("run", pa.int32()),
        ("label", pa.string()),
        ("architecture", pa.string()),
        ("family", pa.string()),
        ("size", pa.string()),
        ("patch_size", pa.int32()),
        ("num_blocks", pa.int32()),  # residual blocks of a ResNet, over all stages
        ("num_removable", pa.int32()),  # of which sets of blocks to remove are drawn
        ("grid_side", pa.int32()),  # patches along a side of the network's input
        ("pretraining", pa.string()),
        ("pretraining_label", pa.string()),
        ("pretraining_rank", pa.int32()),
        ("pretraining_images", pa.int64()),
        ("num_parameters", pa.int64()),
        ("forward_flops", pa.float64()),  # of one image; null if unknown
        ("is_reference", pa.bool_()),
        ("paper_pretraining", pa.string()),  # name of the pre-training set in the paper
        ("timm_tag", pa.string()),  # of weights that come from timm
        ("weights_sha256", pa.string()),
    ]
)
DATASETS = pa.schema(
    [
        ("dataset", pa.string()),
        ("label", pa.string()),
        ("role", pa.string()),
        ("num_images", pa.int64()),
        ("num_classes", pa.int32()),
        ("num_subset_classes", pa.int32()),  # among which `class_subset` predicts
        ("published", pa.string()),  # name of the set among timm's published results
        ("chosen_by", pa.string()),  # networks that misclassify every image
        ("has_decisions", pa.bool_()),  # of people, in the files that the configuration names
    ]
)


def describe_models(models: Sequence[Model], cards: Mapping[str, Path]) -> pa.Table:
    """Return one row per model, with the facts of the configuration and of its card.

    Models under test of unknown pre-training come last and are no pre-training set of their own:
    `pretraining` is null, so that no comparison within a set has them.
    """
    rows = []
    known = {model.pretraining.id for model in models if model.pretraining}
    for model in models:
        card = _card_of(model, cards[model.id])
        pretraining = model.pretraining
        rows.append(
            {
                "model": model.id,
                "entry": model.entry,
                "run": model.run,
                "label": model.label,
                "architecture": model.architecture.id,
                "family": model.architecture.family,
                "size": model.architecture.size,
                "patch_size": model.architecture.patch_size,
                "num_blocks": _num_blocks(card),
                "num_removable": _num_removable(model.architecture.family, card),
                "grid_side": _grid_side(card, model.architecture.patch_size),
                "pretraining": pretraining.id if pretraining else None,
                **_place(model, has_others=bool(known)),
                "pretraining_images": pretraining.num_images if pretraining else None,
                "num_parameters": card["num_parameters"],
                "forward_flops": _forward_flops(model, card),
                "is_reference": model.is_reference,
                "paper_pretraining": pretraining.paper if pretraining else None,
                "timm_tag": model.timm_tag,
                "weights_sha256": card["weights_sha256"],
            }
        )
    return pa.Table.from_pylist(rows, schema=MODELS)


def _place(model: Model, *, has_others: bool) -> dict[str, Any]:
    """Return the label and the rank of a model's pre-training in tables and charts."""
    if model.pretraining is not None:
        return {
            "pretraining_label": model.pretraining.label,
            "pretraining_rank": model.pretraining.rank,
        }
    if model.is_reference:
        return {"pretraining_label": None, "pretraining_rank": None}
    return {
        "pretraining_label": NOT_GIVEN if has_others else "",
        "pretraining_rank": _LAST,
    }


def _card_of(model: Model, path: Path) -> dict[str, Any]:
    """Return a model's card after checking that it is the model's own."""
    try:
        card: dict[str, Any] = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    if card.get("model") != model.id:
        raise ValueError(
            f"{path}: is the card of model {card.get('model')!r}, expected {model.id!r}"
        )
    return card


def _num_blocks(card: Mapping[str, Any]) -> int | None:
    arguments = card["arguments"]
    if "num_blocks" in arguments:
        return int(arguments["num_blocks"])
    blocks: int | None = arguments.get("depth") or sum(arguments.get("layers", ())) or None
    return blocks


def _forward_flops(model: Model, card: Mapping[str, Any]) -> float | None:
    """Return the FLOPs of one image, None for a network that no table and no argument describes."""
    architecture = model.architecture
    known = timm_row(model.timm_tag, architecture.timm)
    if known is None and model.factory is not None:
        return None
    side, num_classes = card["preprocessing"]["side"], card["num_classes"]
    sizes = size_of(
        known, architecture.family, architecture.arguments, side=side, num_classes=num_classes
    )
    return sizes[1]


def _num_removable(family: str, card: Mapping[str, Any]) -> int | None:
    """Return the number of blocks of which random sets are drawn: removable ones but the first."""
    if _num_blocks(card) is None:
        return None
    return sum(block != 0 for block in removable_blocks(family, card["arguments"]))


def _grid_side(card: Mapping[str, Any], patch_size: int | None) -> int | None:
    if patch_size is None:
        return None
    side: int = card["preprocessing"]["side"]
    return side // patch_size


def check_datasets(datasets: Sequence[Dataset], manifests: Mapping[str, Path]) -> None:
    """Raise an error if the classes of a dataset are not those of the clean dataset.

    Raises
    ------
    ValueError
        naming the datasets and the classes that only one of the two has.
    """
    clean = next((dataset.id for dataset in datasets if dataset.role == "clean"), None)
    if clean is None:
        return
    expected = read_classes(manifests[clean])
    for dataset in datasets:
        if dataset.id != clean and dataset.class_map is None:
            names = f"datasets.{dataset.id}", f"datasets.{clean}"
            check_classes(read_classes(manifests[dataset.id]), expected, names)


def describe_datasets(
    datasets: Sequence[Dataset],
    manifests: Mapping[str, Path],
    subsets: Mapping[str, Sequence[int]] = MappingProxyType({}),
    chosen_by: Mapping[str, str] = MappingProxyType({}),
) -> pa.Table:
    """Return one row per dataset.

    Parameters
    ----------
    subsets : the classes of the datasets of `class_subset`.
    chosen_by : the networks that misclassify every image of a dataset, as a text for readers.
    """
    rows = []
    for dataset in datasets:
        targets = read_manifest(manifests[dataset.id], ["target"])["target"]
        rows.append(
            {
                "dataset": dataset.id,
                "label": dataset.label,
                "role": dataset.role,
                "num_images": len(targets),
                "num_classes": pc.count_distinct(targets).as_py(),
                "num_subset_classes": len(subsets[dataset.id]) if dataset.id in subsets else None,
                "published": dataset.published,
                "chosen_by": chosen_by.get(dataset.id),
                "has_decisions": bool(dataset.decisions),
            }
        )
    return pa.Table.from_pylist(rows, schema=DATASETS)
