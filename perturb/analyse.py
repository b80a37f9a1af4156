"""What looks at many models in one job: transfer attacks, patterns, the similarity of layers.

Models are loaded one after another: a study may hold more of them than fit into memory together.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from perturb.cells import Cell
from perturb.evaluate import Subject, record
from perturb.images.names import SHAPES
from perturb.images.store import Images, ImageStore
from perturb.models.checkpoints import load_classifier, read_card
from perturb.patterns import perturbations_of, tabulated
from perturb.perturbations.outcome import Outcome, Setting
from perturb.representations import correlate_layers
from perturb.transfer import examples_against, outcome_on

logger = logging.getLogger(__name__)

Load = Callable[[str], Subject]


def loader(weights: Iterable[Path], device: torch.device) -> Load:
    """Return what loads a model by its id, from checkpoints in folders of these ids."""
    folders = {path.parent.name: path.parent for path in weights}
    return lambda model: Subject(
        load_classifier(folders[model], device), read_card(folders[model]), device
    )


def transfer_shards(
    load: Load, store: ImageStore, cells: Sequence[Cell], setting: Setting, *, batch_size: int
) -> Iterator[tuple[Cell, pa.Table, dict[str, Any]]]:
    """Yield the rows of each cell's shard and how they were made: one source, many targets.

    Parameters
    ----------
    load : returns a model by its id.
    cells : of one source and one severity, that of `setting`.

    Raises
    ------
    ValueError
        if the cells have several sources, and what `pgd` and `record` refuse.
    """
    (source_id,) = {cell.source for cell in cells}
    if source_id is None:
        raise ValueError("cells have no source: they are no transfer attack")
    source = load(source_id)
    batches = []
    for images in store.batches(batch_size):
        on_device = images.to(source.device)
        examples = examples_against(source.classifier, on_device, setting)
        batches.append((images, examples.cpu()))
        logger.info("against %s: %d images", source_id, len(examples))
    for cell in cells:
        target = load(cell.model)
        table, metadata = record(
            target,
            store,
            cell,
            _shown_to(target, source_id, batches),
            setting=setting,
            batch_size=batch_size,
            source_sha256=source.card.weights_sha256,
        )
        yield cell, table, metadata


def _shown_to(
    target: Subject, source_id: str, batches: Sequence[tuple[Images, Tensor]]
) -> Iterator[tuple[Images, Iterator[Outcome]]]:
    for images, examples in batches:
        on_device = images.to(target.device)
        outcome = outcome_on(target.classifier, source_id, on_device, examples.to(target.device))
        yield on_device, iter([outcome])


@dataclass(frozen=True)
class PatternStudy:
    """What patterns are measured on.

    store : the images. masks : of their objects, or None where nobody knows them.
    patch_sizes : of the grids that borders are taken from [px of the images].
    num_shown, shown : how many images are drawn, and the models beside them with their titles.
    """

    store: ImageStore
    masks: Tensor | None
    patch_sizes: Sequence[int]
    epsilon: float
    steps: int
    num_shown: int
    shown: Mapping[str, str]


def measure_patterns(
    load: Load, models: Sequence[str], study: PatternStudy, *, batch_size: int
) -> tuple[pa.Table, dict[str, Tensor]]:
    """Return the ratios of every model and image, and the shown models' perturbations by title."""
    tables, shown = [], {}
    image_ids = study.store.image_ids.to_pylist()
    for model in models:
        subject = load(model)
        delta = torch.cat(
            [
                perturbations_of(
                    subject.classifier,
                    images.to(subject.device),
                    study.epsilon,
                    steps=study.steps,
                ).cpu()
                for images in study.store.batches(batch_size)
            ]
        )
        tables.append(
            tabulated(
                delta,
                study.masks,
                model=model,
                image_ids=image_ids,
                patch_sizes=study.patch_sizes,
            )
        )
        if model in study.shown:
            shown[study.shown[model]] = delta[: study.num_shown]
        logger.info("patterns of %s", model)
    ordered = {title: shown[title] for title in study.shown.values()}
    return pa.concat_tables(tables), ordered


def correlations_of(
    load: Load, models: Sequence[str], store: ImageStore, *, batch_size: int
) -> pa.Table:
    """Return the similarity of the layers of every model, as `correlate_layers` measures it."""
    tables, image_ids = [], store.image_ids.to_pylist()
    for model in models:
        subject = load(model)
        batches = (images.to(subject.device).pixels for images in store.batches(batch_size))
        tables.append(
            correlate_layers(subject.classifier, batches, model=model, image_ids=image_ids)
        )
        logger.info("layers of %s", model)
    return pa.concat_tables(tables)


def captions_of(store: ImageStore, count: int) -> list[str]:
    """Return what the first images show: the name of the shape, or the class's number."""
    targets = store.targets[:count].tolist()
    if "texture" not in store.manifest.column_names:
        return [f"class {target}" for target in targets]
    return [SHAPES[target].replace("_", " ") for target in targets]
