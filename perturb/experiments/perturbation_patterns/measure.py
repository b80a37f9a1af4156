"""The patterns of a model's adversarial perturbations, as a measurement.

In addition to the ratios of all images it records the perturbations of the first images, as many as
a picture may show, whatever the study's picture shows: see `LEVELS`.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image
from torch import Tensor

from perturb.datasets.build import generated_masks
from perturb.datasets.store import ImageStore
from perturb.datasets.synthetic.family import SHAPES
from perturb.evaluation.batch_size import BatchSize
from perturb.evaluation.loop import Subject
from perturb.evaluation.whole import on_all
from perturb.experiments.perturbation_patterns.measures import perturbations_of, tabulated
from perturb.experiments.perturbation_patterns.sheet import pattern_sheet
from perturb.parquet import read_parquet

# A column: the perturbation of an image as C * H * W bytes, 0 to 255 for -1 to 1. The rows of the
# first images on the first grid have it; it is null in all others.
LEVELS = "levels"
# The most images that the configuration allows in the picture.
NUM_HELD = 12
_HALF = 127.5


def patterns_of(
    subject: Subject, store: ImageStore, model: str, asked: Mapping[str, Any], batch_size: int
) -> pa.Table:
    """Return the ratios of every image on every grid, and the perturbations for the picture.

    Grids of patches smaller than a pixel of the images are excluded: they have no borders.
    """
    run = partial(perturbations_of, subject.classifier, **asked["options"])
    size = BatchSize(batch_size, f"patterns of {model}")
    delta = on_all(subject, store, run, size, asked["precision"])
    scale = store.pixels.shape[-1] / subject.card.preprocessing.side
    table = tabulated(
        delta,
        generated_masks(store, asked["generate"], asked["seed"]),
        model=model,
        image_ids=store.image_ids.to_pylist(),
        patch_sizes=[size for size in asked["patch_sizes"] if size * scale >= 1],
        scale=scale,
    )
    return table.append_column(LEVELS, _levels(delta[:NUM_HELD], len(table)))


def _levels(delta: Tensor, num_rows: int) -> pa.Array:
    levels = ((delta.float() + 1) * _HALF).round().byte().numpy()
    shown: list[bytes | None] = [image.tobytes() for image in levels]
    return pa.array(shown + [None] * (num_rows - len(shown)), pa.binary())


def draw_sheet(store: ImageStore, measurements: Mapping[str, Path], num_shown: int) -> Image.Image:
    """Return the picture of PGD's perturbations of the first images against several models.

    Parameters
    ----------
    measurements : files of `patterns_of`, by the title of the model.
    """
    pixels = store.read(0, num_shown).pixels
    deltas = {title: _shown(path, pixels.shape) for title, path in measurements.items()}
    return pattern_sheet(pixels, deltas, captions_of(store, num_shown))


def _shown(path: Path, shape: Sequence[int]) -> Tensor:
    levels = read_parquet(path, [LEVELS])[LEVELS].drop_null().to_pylist()
    if len(levels) < shape[0]:
        raise ValueError(
            f"{path}: has the perturbations of {len(levels)} images; expected: {shape[0]}"
        )
    values = np.frombuffer(b"".join(levels[: shape[0]]), np.uint8).reshape(tuple(shape))
    return torch.from_numpy(values.astype(np.float32)) / _HALF - 1


def captions_of(store: ImageStore, count: int) -> list[str]:
    """Return the captions of the first images: the name of the shape, or the class's number."""
    targets = store.targets[:count].tolist()
    if "texture" not in store.manifest.column_names:
        return [f"class {target}" for target in targets]
    return [SHAPES[target].replace("_", " ") for target in targets]
