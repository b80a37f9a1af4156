"""Decoded datasets of any pixels, for tests of what reads them."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from torch import Tensor

from perturb.datasets.store import write_store


def columns_of(ids: Sequence[str], num_classes: int, first_key: int = 0) -> dict[str, pa.Array]:
    """Return the columns of a manifest: classes in turn, keys from a first one on."""
    rows = range(len(ids))
    return {
        "image_id": pa.array(ids),
        "image_key": pa.array([first_key + row for row in rows], pa.int64()),
        "target": pa.array([row % num_classes for row in rows], pa.int16()),
    }


def write_images(
    files: tuple[Path, Path], pixels: Tensor, num_classes: int, first_key: int = 0
) -> None:
    """Write a decoded dataset of pixels uint8 (N, 3, H, W), with ids image-0, image-1, ..."""
    columns = columns_of([f"image-{row}" for row in range(len(pixels))], num_classes, first_key)
    write_store(*files, num_images=len(pixels), chunks=[(pixels, columns)])
