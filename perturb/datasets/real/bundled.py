"""Datasets of real images from an installed package, without a download.

`digits` is the test part of the optical recognition data of Alpaydin and Kaynak [1]_, as packaged
in scikit-learn: 1,797 handwritten digits of 13 people, scanned and counted into 8 x 8 cells of 0 to
16 dark pixels. Each cell becomes a square of 4 x 4 pixels in a 32 x 32 image, without
interpolation; the three channels are equal.

Splits are class-balanced and drawn by a hash of the image ids. The published data do not name the
writers: digits of one person are in all splits, so accuracies hold for known writers.

References
----------
.. [1] Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
   Repository, 1998, doi:10.24432/C50P49.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from perturb.datasets.real.bundled_sets import BUNDLED_IMAGES, BUNDLED_SIDE
from perturb.datasets.store import write_store
from perturb.datasets.subset import balanced_subset
from perturb.random import image_key

_DARKEST = 16  # dark pixels in a cell of the digits


def build_bundled(
    images: Path,
    manifest: Path,
    bundled: Mapping[str, Any],
    *,
    seed: int,
    made_from: Mapping[str, Any] | None = None,
) -> None:
    """Write one split of a bundled dataset.

    Parameters
    ----------
    bundled : `set` and `split`, as in the configuration.
    seed : seed of the study; splits are drawn by it.

    Raises
    ------
    ValueError
        if the set or split is unknown.
    """
    pixels, targets = read_bundled(bundled["set"])
    name, split = bundled["set"], bundled["split"]
    ids = [f"{name}/{number:04d}" for number in range(len(targets))]
    rows = split_rows(name, split, ids, targets.tolist(), seed=seed)
    columns = {
        "image_id": pa.array([ids[row] for row in rows]),
        "image_key": pa.array([image_key(ids[row]) for row in rows], pa.int64()),
        "target": pa.array(targets[rows].astype(np.int16)),
    }
    chunks = [(pixels[rows], columns)]
    write_store(images, manifest, num_images=len(rows), chunks=chunks, made_from=made_from)


def read_bundled(name: str) -> tuple[Tensor, NDArray[np.int64]]:
    """Return all images of a bundled dataset, uint8 (N, 3, 32, 32), and their classes, (N,)."""
    from sklearn.datasets import load_digits  # takes a second to import

    _check("set", name, BUNDLED_IMAGES)
    digits = load_digits()  # the only one
    gray = torch.from_numpy(np.rint(digits.images * (255 / _DARKEST)).astype(np.uint8))
    side = BUNDLED_SIDE[name] // gray.shape[-1]
    enlarged = gray.repeat_interleave(side, dim=1).repeat_interleave(side, dim=2)
    return enlarged[:, None].repeat(1, 3, 1, 1), digits.target.astype(np.int64)


def split_rows(
    name: str, split: str, image_ids: list[str], targets: list[int], *, seed: int
) -> list[int]:
    """Return the images of a split, in ascending order.

    Splits are drawn one after another, the test split first: the size of a split does not change
    the splits before it. Each is as class-balanced as the remaining images allow.
    """
    sizes = BUNDLED_IMAGES[name]
    _check("split", split, sizes)
    left = list(range(len(image_ids)))
    for other, size in sizes.items():
        chosen = balanced_subset(
            [image_ids[row] for row in left], [targets[row] for row in left], size, seed
        )
        rows = [left[place] for place in chosen]
        if other == split:
            return rows
        taken = set(rows)
        left = [row for row in left if row not in taken]
    raise AssertionError(f"{split} is a key of {sizes}")


def _check(key: str, value: str, allowed: Mapping[str, Any]) -> None:
    if value not in allowed:
        raise ValueError(f"{key} of bundled is {value!r}; allowed: {', '.join(allowed)}")
