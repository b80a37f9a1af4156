"""What looks at many models in one job: transfer attacks, patterns, the similarity of layers.

Models are loaded one after another: a study may hold more of them than fit into memory together.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from perturb.datasets.store import Images, ImageStore
from perturb.datasets.synthetic.family import SHAPES
from perturb.devices import device_of
from perturb.evaluate.batch_size import BatchSize
from perturb.evaluate.batches import batches_on, part_of
from perturb.evaluate.loop import Load, Subject, record
from perturb.evaluate.outcome import Outcome, Setting
from perturb.experiments.layer_correlations.similarity import correlate_layers
from perturb.experiments.perturbation_patterns.measures import perturbations_of, tabulated
from perturb.experiments.transfer.examples import examples_against, outcome_on
from perturb.models.checkpoints import load_classifier, read_card
from perturb.models.compiled import CompiledClassifier
from perturb.models.precision import computing_in, resolved
from perturb.plan.cells import Cell

logger = logging.getLogger(__name__)


def loader(weights: Iterable[Path], device: torch.device | str, *, compiled: bool = False) -> Load:
    """Return what loads a model by its id, from checkpoints in folders of these ids.

    Parameters
    ----------
    compiled : whether whole forward passes are compiled, which costs a minute a model.
    """
    folders = {path.parent.name: path.parent for path in weights}
    place = device_of(str(device))

    def load(model: str) -> Subject:
        card = read_card(folders[model], of=model)
        classifier = load_classifier(folders[model], place)
        if compiled:
            classifier = CompiledClassifier(classifier)
        return Subject(classifier, card, place)

    return load


def transfer_shards(
    load: Load,
    store: ImageStore,
    cells: Sequence[Cell],
    setting: Setting,
    *,
    batch_size: int,
    precision: str = "float32",
) -> Iterator[tuple[Cell, pa.Table, dict[str, Any]]]:
    """Yield the rows of each cell's shard and how they were made: one source, many targets.

    Parameters
    ----------
    load : returns a model by its id.
    cells : of one source and one severity, that of `setting`.
    batch_size, precision : as of `evaluate_cell`.

    Raises
    ------
    ValueError
        if the cells have several sources, and what `pgd` and `record` refuse.
    """
    (source_id,) = {cell.source for cell in cells}
    if source_id is None:
        raise ValueError("cells have no source: they are no transfer attack")
    source = load(source_id)
    run = partial(examples_against, source.classifier, setting=setting)
    size = BatchSize(batch_size, f"images against {source_id}")
    examples = _on_all(source, store, run, size, precision)  # (N, 3, H, W), on the host
    logger.info("against %s: %d images", source_id, len(examples))
    for cell in cells:
        target = load(cell.model)
        table, metadata = record(
            target,
            [(store, partial(_shown, target, source_id, examples))],
            cell,
            setting,
            batch_size=batch_size,
            precision=precision,
            source_sha256=source.card.weights_sha256,
        )
        yield cell, table, metadata


def _shown(
    target: Subject, source_id: str, examples: Tensor, images: Images, first: int
) -> Iterator[Outcome]:
    """Yield what a target decides on the examples of some images, the first of which is `first`."""
    shown = examples[first : first + len(images.keys)].to(target.device)
    yield outcome_on(target.classifier, source_id, images, shown)


def _on_all(
    subject: Subject,
    store: ImageStore,
    run: Callable[[Images], Tensor],
    size: BatchSize,
    precision: str,
) -> Tensor:
    """Return what is computed of all images of a store, (N, ...), on the host."""

    def on_part(batch: Images, start: int, stop: int) -> Tensor:
        with computing_in(resolved(precision, subject.device), subject.device):
            return run(part_of(batch, start, stop)).cpu()

    return torch.cat(
        [
            part
            for batch in batches_on(subject.device, store, size.limit)
            for part in size.over(len(batch.keys), partial(on_part, batch))
        ]
    )


@dataclass(frozen=True)
class PatternStudy:
    """What patterns are measured on.

    store : the images. masks : of their objects, or None where nobody knows them.
    patch_sizes : of the grids that borders are taken from [px of the network's input].
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
    load: Load,
    models: Sequence[str],
    study: PatternStudy,
    *,
    batch_size: int,
    precision: str = "float32",
) -> tuple[pa.Table, dict[str, Tensor]]:
    """Return the ratios of every model and image, and the shown models' perturbations by title.

    `batch_size` and `precision` are as of `evaluate_cell`.
    """
    tables, shown = [], {}
    image_ids = study.store.image_ids.to_pylist()
    for model in models:
        subject = load(model)
        run = partial(
            perturbations_of, subject.classifier, epsilon=study.epsilon, steps=study.steps
        )
        size = BatchSize(batch_size, f"patterns of {model}")
        delta = _on_all(subject, study.store, run, size, precision)
        tables.append(
            tabulated(
                delta,
                study.masks,
                model=model,
                image_ids=image_ids,
                patch_sizes=study.patch_sizes,
                scale=study.store.pixels.shape[-1] / subject.card.preprocessing.side,
            )
        )
        if model in study.shown:
            shown[study.shown[model]] = delta[: study.num_shown]
        logger.info("patterns of %s", model)
    ordered = {title: shown[title] for title in study.shown.values()}
    return pa.concat_tables(tables), ordered


def correlations_of(
    load: Load,
    stores: Mapping[str, ImageStore],
    *,
    batch_size: int,
    precision: str = "float32",
) -> pa.Table:
    """Return the similarity of the layers of every model, as `correlate_layers` measures it.

    Where a batch does not fit into the memory the network is run on less of it at a time and the
    features are kept on the host: what is compared, and over which batches, stays the same.

    Parameters
    ----------
    stores : of each model, the images that it sees.
    batch_size, precision : as of `evaluate_cell`.
    """
    tables = []
    for model, store in stores.items():
        subject = load(model)
        size = BatchSize(batch_size, f"layers of {model}")
        run = partial(_correlated, subject, store, model, precision=precision)
        tables.append(size.until_fitting(run))
        logger.info("layers of %s", model)
    return pa.concat_tables(tables)


def _correlated(
    subject: Subject, store: ImageStore, model: str, size: BatchSize, *, precision: str
) -> pa.Table:
    with computing_in(resolved(precision, subject.device), subject.device):
        return correlate_layers(
            subject.classifier,
            (images.pixels for images in batches_on(subject.device, store, size.limit)),
            model=model,
            image_ids=store.image_ids.to_pylist(),
            at_once=size.now,
        )


def captions_of(store: ImageStore, count: int) -> list[str]:
    """Return what the first images show: the name of the shape, or the class's number."""
    targets = store.targets[:count].tolist()
    if "texture" not in store.manifest.column_names:
        return [f"class {target}" for target in targets]
    return [SHAPES[target].replace("_", " ") for target in targets]
