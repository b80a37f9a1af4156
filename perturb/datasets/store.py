"""The image store: a data set decoded once, shared by every model and severity.

Pixels are one uint8 array (N, 3, H, W) in NumPy's own file format, opened as a memory map: jobs on
one machine share its pages, and nothing is decoded or held twice. Beside it a manifest in Parquet
says for each row which image it is. A store is refused if the two do not fit each other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from perturb.datasets.manifests import read_manifest, with_origin
from perturb.datasets.subset import balanced_subset
from perturb.files import replacing, reserve


@dataclass(frozen=True)
class Images:
    """Some images of a store: pixels uint8 (B, 3, H, W), keys int64 (B,), targets int64 (B,)."""

    pixels: Tensor
    keys: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> "Images":
        """Return the images on a device."""
        return Images(self.pixels.to(device), self.keys.to(device), self.targets.to(device))


@dataclass(frozen=True)
class ImageStore:
    """An open store. `pixels` is uint8 (N, 3, H, W), a read-only memory map unless a subset."""

    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    manifest: pa.Table

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def image_ids(self) -> pa.StringArray:
        """The ids of all images, in the order of the rows."""
        return self.manifest["image_id"].combine_chunks()

    @property
    def targets(self) -> Tensor:
        """The classes of all images, int64 (N,)."""
        return _column(self.manifest, "target")

    @property
    def num_classes(self) -> int:
        """One more than the highest target."""
        return int(self.targets.max()) + 1

    def read(self, start: int, stop: int) -> Images:
        """Return images start to stop - 1, copied out of the map."""
        rows = self.manifest.slice(start, stop - start)
        return Images(
            pixels=torch.from_numpy(np.array(self.pixels[start:stop])),
            keys=_column(rows, "image_key"),
            targets=_column(rows, "target"),
        )

    def subset(self, rows: Sequence[int]) -> "ImageStore":
        """Return a store of these rows alone; it stays on the disk if they are all there are."""
        if len(rows) == len(self):
            return self
        return ImageStore(self.pixels[rows], self.manifest.take(rows))

    def batches(self, batch_size: int) -> Iterator[Images]:
        """Yield all images in order, at most `batch_size` at a time."""
        for start in range(0, len(self), batch_size):
            yield self.read(start, min(start + batch_size, len(self)))


def open_store(images: Path, manifest: Path) -> ImageStore:
    """Return the store in two files.

    Raises
    ------
    ValueError
        if a file cannot be read, or pixels and manifest do not fit each other.
    """
    try:
        pixels = np.load(images, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"image store {images}: cannot be read ({error})") from error
    table = read_manifest(manifest)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1] != 3:
        raise ValueError(f"{images}: {pixels.dtype} {pixels.shape}, expected uint8 (N, 3, H, W)")
    if len(pixels) != table.num_rows:
        raise ValueError(f"{images}: {len(pixels)} images, but {manifest} lists {table.num_rows}")
    return ImageStore(pixels, table)


def open_subset(images: Path, manifest: Path, num_images: int | None, seed: int) -> ImageStore:
    """Return the class-balanced subset of a store that costly perturbations are evaluated on.

    Parameters
    ----------
    num_images : size of the subset; None for the whole store.
    seed : the study's seed.

    Raises
    ------
    ValueError
        as `open_store`, and if there are fewer images than are asked for.
    """
    store = open_store(images, manifest)
    try:
        rows = balanced_subset(
            store.image_ids.to_pylist(), store.targets.tolist(), num_images, seed
        )
    except ValueError as error:
        raise ValueError(f"{manifest}: {error}") from error
    return store.subset(rows)


def write_store(
    images: Path,
    manifest: Path,
    *,
    num_images: int,
    chunks: Iterable[tuple[Tensor, Mapping[str, pa.Array]]],
    made_from: Mapping[str, Any] | None = None,
) -> None:
    """Write a store from chunks of (pixels, manifest columns) that add up to `num_images`.

    `made_from` is kept in the manifest.

    Raises
    ------
    ValueError
        if the chunks hold more or fewer images, or an image id occurs twice.
    """
    tables: list[pa.Table] = []
    position = 0
    with replacing(images) as temporary:
        array: np.memmap | None = None
        for pixels, columns in chunks:
            if array is None:
                array = np.lib.format.open_memmap(
                    temporary, mode="w+", dtype=np.uint8, shape=(num_images, *pixels.shape[1:])
                )
                reserve(temporary)
            array[position : position + len(pixels)] = pixels.numpy()
            tables.append(pa.table(dict(columns)))
            position += len(pixels)
        if array is None or position != num_images:
            raise ValueError(f"{images}: {position} images were made, expected {num_images}")
        array.flush()
        write_manifest(manifest, pa.concat_tables(tables), made_from)


def write_manifest(
    manifest: Path, table: pa.Table, made_from: Mapping[str, Any] | None = None
) -> None:
    """Write the manifest of a store, which says what the store was made from, if that is given.

    Raises
    ------
    ValueError
        if an image id occurs twice.
    """
    if len(table["image_id"].unique()) != table.num_rows:
        raise ValueError(f"{manifest}: an image id occurs twice")
    if made_from is not None:
        table = with_origin(table, made_from)
    with replacing(manifest) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _column(table: pa.Table, name: str) -> Tensor:
    return torch.from_numpy(table[name].to_numpy().astype(np.int64))
