"""Decoded datasets: pixels and targets of a dataset, decoded once for all models and severities.

Pixels are one uint8 array (N, 3, H, W) in NumPy's file format, opened as a memory map: jobs on one
machine share its pages, and nothing is decoded or held twice. A manifest in Parquet beside it has a
row per image: id, key, target. A decoded dataset whose two files disagree is refused.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from perturb.datasets.manifests import read_manifest, with_facts
from perturb.datasets.subset import balanced_subset
from perturb.files import replacing, reserve

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

_DIGEST_CHUNK = 64  # images


@dataclass(frozen=True)
class Images:
    """B images of a decoded dataset: pixels uint8 (B, 3, H, W), keys and targets int64 (B,)."""

    pixels: Tensor
    keys: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> "Images":
        """Return the images on a device."""
        return Images(self.pixels.to(device), self.keys.to(device), self.targets.to(device))


@dataclass(frozen=True)
class ImageStore:
    """An open decoded dataset; `pixels` is uint8 (N, 3, H, W), a read-only map unless a subset."""

    pixels: Pixels
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
        """Return a decoded dataset of some rows; the same one, unread, if they are all rows."""
        if len(rows) == len(self):
            return self
        return ImageStore(self.pixels[rows], self.manifest.take(rows))

    def batches(self, batch_size: int) -> Iterator[Images]:
        """Yield all images in order, at most `batch_size` at a time."""
        for start in range(0, len(self), batch_size):
            yield self.read(start, min(start + batch_size, len(self)))


def open_store(images: Path, manifest: Path) -> ImageStore:
    """Return the decoded dataset in two files.

    Raises
    ------
    ValueError
        if a file cannot be read, or pixels and manifest disagree.
    """
    try:
        pixels = np.load(images, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"decoded dataset {images}: cannot be read ({error})") from error
    table = read_manifest(manifest)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1] != 3:
        raise ValueError(f"{images}: {pixels.dtype} {pixels.shape}, expected uint8 (N, 3, H, W)")
    if len(pixels) != table.num_rows:
        raise ValueError(f"{images}: {len(pixels)} images, but {manifest} lists {table.num_rows}")
    return ImageStore(pixels, table)


def open_subset(images: Path, manifest: Path, num_images: int | None, seed: int) -> ImageStore:
    """Return the class-balanced subset of a decoded dataset, for costly perturbations.

    Parameters
    ----------
    num_images : size of the subset; None for all images.
    seed : seed of the study.

    Raises
    ------
    ValueError
        as `open_store`, and if the dataset has fewer images than `num_images`.
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
    """Write a decoded dataset from chunks of (pixels, manifest columns), `num_images` in all.

    Raises
    ------
    ValueError
        if the chunks hold another number of images, or an image id occurs twice.
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
        pixels_digest = digest_of_pixels(array)
        write_manifest(manifest, pa.concat_tables(tables), made_from, pixels_digest=pixels_digest)


def digest_of_pixels(pixels: Pixels, num_threads: int = 1) -> str:
    """Return the BLAKE2b digest of pixels uint8 (N, 3, H, W), in hexadecimal.

    It is the digest of the shape and of the digests of all images in their order, so that threads
    share the work.
    """

    def digests(start: int) -> bytes:
        chunk = pixels[start : start + _DIGEST_CHUNK]
        return b"".join(hashlib.blake2b(image, digest_size=16).digest() for image in chunk)

    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    with ThreadPoolExecutor(num_threads) as threads:
        for found in threads.map(digests, range(0, len(pixels), _DIGEST_CHUNK)):
            digest.update(found)
    return digest.hexdigest()


def write_manifest(
    manifest: Path,
    table: pa.Table,
    made_from: Mapping[str, Any] | None = None,
    *,
    pixels_digest: str | None = None,
) -> None:
    """Write the manifest of a decoded dataset.

    Parameters
    ----------
    made_from : origin of the dataset, kept in the metadata if given.
    pixels_digest : as `digest_of_pixels` returns it; None for a manifest without pixels.

    Raises
    ------
    ValueError
        if an image id occurs twice.
    """
    if len(table["image_id"].unique()) != table.num_rows:
        raise ValueError(f"{manifest}: an image id occurs twice")
    table = with_facts(table, made_from, pixels_digest)
    with replacing(manifest) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _column(table: pa.Table, name: str) -> Tensor:
    return torch.from_numpy(table[name].to_numpy().astype(np.int64))
