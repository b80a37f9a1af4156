"""The images on which models differ: their pictures, and the answer of every model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perturb.config import Config
from perturb.datasets.store import ImageStore, open_store
from perturb.examples.answers import Answers, read_answers
from perturb.examples.choice import chosen, num_shown, pair_counts, worst
from perturb.examples.class_names import class_names
from perturb.examples.shown_images import rows_of
from perturb.examples.sprites import write_sprite
from perturb.files import replacing
from perturb.plan.examples import compared_cells, compared_stores
from perturb.plan.paths import Paths


def write_disagreements(config: Config, path: Path, pictures: Path) -> None:
    """Write the pictures of the images on which models differ most, and all models' answers.

    Parameters
    ----------
    path, pictures : of the list in JSON, and of the sprite.

    Raises
    ------
    ValueError
        as `read_answers`, and if a decoded dataset cannot be read or misses an image of the shards.
    """
    paths = Paths(config.results)
    answers = read_answers(
        {(cell.model, cell.dataset): Path(paths.shard(cell)) for cell in compared_cells(config)}
    )
    stores = {
        dataset: open_store(Path(paths.images(store)), Path(paths.manifest(store)))
        for dataset, store in compared_stores(config).items()
    }
    columns = chosen(answers, num_shown(len(answers.models)))
    images = [image for dataset in stores for image in _images(answers, stores, dataset, columns)]
    shown = {image.column: image for image in images}
    number_of = {column: number for number, column in enumerate(columns)}
    note = {
        **write_sprite(pictures, [shown[column].pixels for column in columns]),
        "models": list(answers.models),
        "classes": _classes(config, answers, stores),
        "images": [_described(answers, shown[column]) for column in columns],
        "worst": {
            model: [number_of[column] for column in found.tolist() if column in number_of]
            for model, found in zip(answers.models, worst(answers), strict=True)
        },
        "pairs": pair_counts(answers),
    }
    with replacing(path) as temporary:
        text = json.dumps(note, ensure_ascii=False, separators=(",", ":"))
        temporary.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class _Image:
    """An image to show: its column among all answers, and its pixels, uint8 (3, H, W)."""

    column: int
    dataset: str
    image_id: str
    target: int
    pixels: Tensor


def _images(
    answers: Answers, stores: Mapping[str, ImageStore], dataset: str, columns: Sequence[int]
) -> list[_Image]:
    """Return those of the images in some columns that are of one dataset."""
    of_dataset, store = answers.slices()[dataset], stores[dataset]
    own = [column for column in columns if of_dataset.start <= column < of_dataset.stop]
    ids = [answers.image_ids[dataset][column - of_dataset.start].as_py() for column in own]
    rows = rows_of(store.image_ids, ids, f"decoded dataset of {dataset}")
    targets = store.targets
    return [
        _Image(column, dataset, id, int(targets[row]), torch.tensor(store.pixels[row]))
        for column, id, row in zip(own, ids, rows, strict=True)
    ]


def _described(answers: Answers, image: _Image) -> dict[str, Any]:
    """Return an image, and the class, its correctness and the confidence of each model's answer."""
    return {
        "dataset": image.dataset,
        "image_id": image.image_id,
        "target": image.target,
        "predictions": answers.predictions[:, image.column].tolist(),
        # A dataset may accept other classes than the target.
        "is_correct": answers.is_correct[:, image.column].astype(int).tolist(),
        "confidences": [round(value, 2) for value in answers.confidences[:, image.column].tolist()],
    }


def _classes(
    config: Config, answers: Answers, stores: Mapping[str, ImageStore]
) -> dict[str, list[str]]:
    """Return the names of the classes of each dataset, as far as an image or an answer has them."""
    found = {}
    clean = stores[config.clean_dataset.id].manifest
    for dataset, columns in answers.slices().items():
        store, class_map = stores[dataset], config.datasets[dataset].class_map
        highest = max(int(store.targets.max()), int(answers.predictions[:, columns].max()))
        # Datasets without a class map have the numbers of the clean set's classes.
        found[dataset] = class_names([store.manifest, clean], class_map, highest)
    return found
