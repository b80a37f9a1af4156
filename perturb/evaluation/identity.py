"""What a result's numbers depend on, as one digest that stands in its file.

Each condition of a cell has an identity of its own, and that of the cell is the digest of these.
Two evaluations of one identity give the same predictions. Labels, titles, other models, other
severities, the order of the configuration, the results folder and file times are no part of it.
Neither are the batch size, the device and compilation: numbers differ by them in the last digits
alone. Versions of packages are none either: `protocol` says when the code's numbers changed, and
each shard names the versions it was made with.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from perturb.datasets.manifests import read_manifest
from perturb.evaluation.digests import digest_of, of_condition
from perturb.files import sha256_of

# What finds the files, whose content is what the numbers depend on.
_PLACES = ("stores", "class_map")
# Columns of a manifest that predictions, or the rows of a shard, depend on.
_ROWS = ("image_id", "image_key", "target", "accepted")


def identity_of(
    asked: Mapping[str, Any], stores: Iterable[tuple[str, str]], cards: Iterable[Path]
) -> str:
    """Return the identity of a condition or a measurement, in hexadecimal.

    Parameters
    ----------
    asked : what the configuration says of it, as `perturb.plan.asked` returns it; of a condition
        that part of it which `of_condition` returns.
    stores : images and manifest of each decoded dataset that it reads.
    cards : of the checkpoints that take part.
    """
    class_map = asked.get("class_map")
    return digest_of(
        {
            "asked": {key: value for key, value in asked.items() if key not in _PLACES},
            "datasets": [dataset_facts(Path(images), Path(rows)) for images, rows in stores],
            "models": [model_facts(card) for card in cards],
            "class_map": sha256_of(Path(class_map)) if class_map else None,
        }
    )


def identities_of(
    asked: Mapping[str, Any], stores: Sequence[tuple[str, str]], cards: Sequence[Path]
) -> dict[str, str]:
    """Return the identity of each condition of a cell, in their order.

    Parameters
    ----------
    asked, cards : as of `identity_of`, of the cell.
    stores : one for all conditions, or one each.

    Raises
    ------
    ValueError
        if the cell has no condition.
    """
    conditions: Sequence[str] = asked["conditions"]
    if not conditions:
        raise ValueError(f"{asked['perturbation']} of {asked['dataset']} has no condition")
    own = [[store] for store in stores]
    if len(stores) == 1 or not asked["are_conditions_independent"]:
        own = [list(stores)] * len(conditions)
    return {
        condition: identity_of(of_condition(asked, condition), read, cards)
        for condition, read in zip(conditions, own, strict=True)
    }


def cell_identity(identities: Mapping[str, str]) -> str:
    """Return the identity of a cell, whatever the order of its conditions, in hexadecimal."""
    return digest_of(dict(identities))


@cache
def dataset_facts(images: Path, manifest: Path) -> tuple[str, str]:
    """Return what predictions depend on of a decoded dataset: its pixels and its rows.

    Of a manifest that has no digest of the pixels it is their number of bytes.
    """
    table = read_manifest(manifest)
    pixels = (table.schema.metadata or {}).get(b"pixels_digest")
    rows = table.select([name for name in _ROWS if name in table.column_names])
    return (
        pixels.decode() if pixels else str(images.stat().st_size),
        digest_of(rows.to_pydict()),
    )


@cache
def model_facts(card: Path) -> dict[str, Any]:
    """Return what a model's predictions depend on: its weights, network and preprocessing.

    The SHA-256 is held against the weights when they are loaded.
    """
    facts = json.loads(card.read_text())
    names = ("weights_sha256", "preprocessing", "timm", "family", "arguments", "num_classes")
    return {name: facts.get(name) for name in names}
