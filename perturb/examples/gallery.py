"""The gallery: a few images under every perturbation of images, as one model sees them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from torch import Tensor

from perturb.config import Config
from perturb.datasets.store import Images, ImageStore, open_store
from perturb.evaluation.cell import Cell
from perturb.evaluation.loop import Load, Subject
from perturb.evaluation.outcome import Setting
from perturb.examples.class_names import class_names
from perturb.examples.shown_images import Image, rows_of, shown_images
from perturb.examples.sprites import write_sprite
from perturb.experiments.gallery import (
    Picture,
    Scene,
    pictures_of,
    severity_label,
)
from perturb.experiments.registry import experiment_of, perturbation
from perturb.files import replacing
from perturb.models.precision import autocast, resolve_precision
from perturb.parquet import read_parquet
from perturb.plan.asked import asked_of_cell
from perturb.plan.examples import gallery_cells, named_model
from perturb.plan.paths import Paths

_Shown = tuple[Cell, Picture]


def write_gallery(config: Config, load: Load, path: Path, pictures: Path) -> None:
    """Write the pictures of the gallery, and the list of their conditions.

    Parameters
    ----------
    load : loads the named model; not called if no picture depends on it.
    path, pictures : of the list in JSON, and of the sprite.

    Raises
    ------
    ValueError
        if a decoded dataset or a shard cannot be read, or misses an image.
    """
    images = shown_images(config)
    shown = _in_order(list(_Gallery(config, load, images).pictures()))
    count = max(map(len, images.values()))
    tiles: list[Tensor | None] = []
    for _, picture in shown:
        tiles += [*picture.pixels, *[None] * (count - len(picture.pixels))]
    note = {
        **write_sprite(pictures, tiles),
        "num_images": count,
        "model": named_model(config),
        "images": {dataset: _described(config, dataset, own) for dataset, own in images.items()},
        "conditions": [_condition(config, cell, picture) for cell, picture in shown],
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(note, ensure_ascii=False), encoding="utf-8")


@dataclass(frozen=True)
class _Gallery:
    """The gallery of a study: its images by dataset, and a function that loads its model."""

    config: Config
    load: Load
    images: Mapping[str, Sequence[Image]]

    def pictures(self) -> Iterator[_Shown]:
        """Yield all pictures, cell by cell."""
        for cell in gallery_cells(self.config):
            asked = asked_of_cell(self.config, cell)
            conditions, stores = tuple(asked["conditions"]), asked["stores"]
            # Each stored corruption has a decoded dataset of its own.
            each = [(condition,) for condition in conditions] if len(stores) > 1 else [conditions]
            for store, own in zip(stores, each, strict=True):
                setting = Setting(own, cell.severity_value, asked["seed"], asked["options"])
                for picture in self._pictures(cell, store, setting, asked["precision"]):
                    yield cell, picture

    def _pictures(
        self, cell: Cell, store: str, setting: Setting, precision: str
    ) -> Iterator[Picture]:
        shown = self.images[cell.dataset]
        images = _read(_opened(self.config, store), shown, f"decoded dataset {store}")
        if perturbation(cell.perturbation).gallery is None:
            yield from pictures_of(Scene(cell.perturbation, images, setting))
            return
        subject = self._subject
        images, rows = images.to(subject.device), _rows(self.config, cell, shown)
        scene = Scene(cell.perturbation, images, setting, subject.classifier, rows)
        resolved = resolve_precision(precision, subject.device, subject.classifier.network)
        with autocast(resolved, subject.device):
            yield from pictures_of(scene)

    @cached_property
    def _subject(self) -> Subject:
        return self.load(named_model(self.config))


def _in_order(shown: Sequence[_Shown]) -> list[_Shown]:
    """Return the pictures of a perturbation condition by condition, each from weak to strong."""
    groups = _numbered((cell.perturbation, cell.dataset) for cell, _ in shown)
    labels = _numbered((cell.perturbation, _label(cell, picture)) for cell, picture in shown)

    def place(item: _Shown) -> tuple[int, int]:
        cell, picture = item
        group, label = (cell.perturbation, cell.dataset), (cell.perturbation, _label(cell, picture))
        return groups[group], labels[label]

    return sorted(shown, key=place)


def _numbered(keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Return the place of each key's first occurrence among those of all."""
    return {key: place for place, key in enumerate(dict.fromkeys(keys))}


def _label(cell: Cell, picture: Picture) -> str:
    return picture.label or perturbation(cell.perturbation).condition_label(picture.condition)


def _condition(config: Config, cell: Cell, picture: Picture) -> dict[str, Any]:
    is_unchanged = cell.perturbation == "none"
    return {
        "experiment": experiment_of(cell.perturbation),
        "dataset": cell.dataset,
        "perturbation": cell.perturbation,
        "condition": picture.condition,
        "severity": cell.severity_value,
        "label": config.datasets[cell.dataset].label if is_unchanged else _label(cell, picture),
        "severity_label": severity_label(cell.perturbation, cell.severity_value),
    }


def _described(config: Config, dataset: str, images: Sequence[Image]) -> list[dict[str, Any]]:
    """Return id, class and name of the class of each image."""
    cell = next(cell for cell in gallery_cells(config) if cell.dataset == dataset)
    manifest = _opened(config, asked_of_cell(config, cell)["stores"][0]).manifest
    highest = max(image.target for image in images)
    names = class_names([manifest], config.datasets[dataset].class_map, highest)
    return [
        {"image_id": image.id, "target": image.target, "class": names[image.target]}
        for image in images
    ]


def _opened(config: Config, store: str) -> ImageStore:
    paths = Paths(config.results)
    return _open(paths.images(store), paths.manifest(store))


@cache
def _open(images: str, manifest: str) -> ImageStore:
    return open_store(Path(images), Path(manifest))


def _read(store: ImageStore, images: Sequence[Image], where: str) -> Images:
    rows = rows_of(store.image_ids, [image.id for image in images], where)
    return ImageStore(store.pixels[rows], store.manifest.take(rows)).read(0, len(rows))


def _rows(config: Config, cell: Cell, images: Sequence[Image]) -> pa.Table:
    """Return the rows of a shard on some images, those of each condition in their order."""
    path = Paths(config.results).shard(cell)
    try:
        table = read_parquet(Path(path))
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    ids = [image.id for image in images]
    rows_of(table["image_id"].combine_chunks(), ids, path)
    places = pc.index_in(table["image_id"], pa.array(ids, pa.string()))
    own = table.append_column("place", places).filter(places.is_valid())
    return own.sort_by([("sample", "ascending"), ("place", "ascending")]).drop_columns(["place"])
