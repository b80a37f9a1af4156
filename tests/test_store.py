"""Decoded datasets: what is written is read, their pixels have a digest, mismatches are refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from perturb.datasets.manifests import pixels_digest, read_manifest
from perturb.datasets.store import (
    ImageStore,
    digest_of_pixels,
    open_store,
    write_manifest,
    write_store,
)

PIXELS = torch.arange(10 * 3 * 4 * 5, dtype=torch.int64).remainder(251).to(torch.uint8)
PIXELS = PIXELS.reshape(10, 3, 4, 5)
Chunks = list[tuple[Tensor, dict[str, pa.Array]]]


def _chunks(ids: list[str]) -> Chunks:
    def chunk(start: int, stop: int) -> tuple[Tensor, dict[str, pa.Array]]:
        return PIXELS[start:stop], {
            "image_id": pa.array(ids[start:stop]),
            "image_key": pa.array(range(start, stop), pa.int64()),
            "target": pa.array([index % 3 for index in range(start, stop)], pa.int16()),
        }

    return [chunk(0, 4), chunk(4, 8), chunk(8, 10)]


def _write(folder: Path) -> tuple[Path, Path]:
    images, manifest = folder / "images.npy", folder / "manifest.parquet"
    chunks = _chunks([f"image {index}" for index in range(10)])
    write_store(images, manifest, num_images=10, chunks=chunks)
    return images, manifest


def test_store_comes_back_as_written(tmp_path: Path) -> None:
    store = open_store(*_write(tmp_path))
    assert len(store) == 10
    assert store.num_classes == 3
    assert store.image_ids.to_pylist()[9] == "image 9"
    batches = list(store.batches(3))
    assert [len(batch.pixels) for batch in batches] == [3, 3, 3, 1]
    assert torch.equal(torch.cat([batch.pixels for batch in batches]), PIXELS)
    assert torch.equal(torch.cat([batch.keys for batch in batches]), torch.arange(10))
    assert torch.equal(torch.cat([batch.targets for batch in batches]), store.targets)


def test_pixels_are_mapped_and_a_batch_is_a_copy(tmp_path: Path) -> None:
    store: ImageStore = open_store(*_write(tmp_path))
    assert isinstance(store.pixels, np.memmap)
    store.read(0, 2).pixels.zero_()
    assert torch.equal(store.read(0, 2).pixels, PIXELS[:2])


@pytest.mark.parametrize("num_images", [9, 11])
def test_wrong_number_of_images_leaves_no_store(num_images: int, tmp_path: Path) -> None:
    paths = tmp_path / "images.npy", tmp_path / "manifest.parquet"
    with pytest.raises(ValueError, match=r"expected|broadcast"):
        write_store(*paths, num_images=num_images, chunks=_chunks(list("abcdefghij")))
    assert list(tmp_path.iterdir()) == []


def test_an_id_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    paths = tmp_path / "images.npy", tmp_path / "manifest.parquet"
    with pytest.raises(ValueError, match="occurs twice"):
        write_store(*paths, num_images=10, chunks=_chunks(list("abcdefghia")))
    assert list(tmp_path.iterdir()) == []


def test_the_digest_is_that_of_the_pixels_in_their_order(tmp_path: Path) -> None:
    _, manifest = _write(tmp_path)
    pixels = PIXELS.numpy()
    digest = pixels_digest(manifest)
    # Chunks, the file, ids and targets do not matter.
    other = tmp_path / "other.npy", tmp_path / "other.parquet"
    [*_, last] = chunks = _chunks(list("jihgfedcba"))
    columns = {name: pa.concat_arrays([chunk[name] for _, chunk in chunks]) for name in last[1]}
    columns["target"] = pa.array([0] * 10, pa.int16())
    write_store(*other, num_images=10, chunks=[(PIXELS, columns)], made_from={"a": 1})
    assert pixels_digest(other[1]) == digest == digest_of_pixels(pixels)
    changed = pixels.copy()
    changed[9, 2, 3, 4] ^= 1
    others = [changed, pixels[::-1], pixels[:9], pixels.reshape(10, 3, 5, 4)]
    assert len({digest, *(digest_of_pixels(np.ascontiguousarray(some)) for some in others)}) == 5


@pytest.mark.parametrize("num_images", [1, 63, 64, 65, 300])
def test_threads_do_not_change_the_digest(num_images: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (num_images, 3, 8, 8), np.uint8)
    assert digest_of_pixels(pixels) == digest_of_pixels(pixels, 4)


def test_a_manifest_without_digest_is_refused(tmp_path: Path) -> None:
    manifest = tmp_path / "store" / "manifest.parquet"
    write_manifest(manifest, pa.table({"image_id": ["a"]}), {"a": 1})
    with pytest.raises(ValueError, match=f"{manifest}: its manifest has no digest .*; delete "):
        pixels_digest(manifest)
    manifest.write_bytes(b"")
    with pytest.raises(ValueError, match=f"{manifest}: cannot be read"):
        pixels_digest(manifest)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda _, file: pq.write_table(pq.read_table(file).slice(0, 9), file), "10 images, but"),
        (lambda file, _: file.write_bytes(file.read_bytes()[:-100]), "cannot be read"),
        (lambda file, _: np.save(file, np.zeros((10, 3, 4, 5), np.float32)), "expected uint8"),
    ],
)
def test_store_that_does_not_fit_is_refused(
    break_it: Callable[[Path, Path], object], message: str, tmp_path: Path
) -> None:
    images, manifest = _write(tmp_path)
    break_it(images, manifest)
    with pytest.raises(ValueError, match=message):
        open_store(images, manifest)


@pytest.mark.parametrize("columns", [None, ["target", "image_id"]])
def test_a_manifest_has_the_columns_that_are_asked_for(
    columns: list[str] | None, tmp_path: Path
) -> None:
    # The folder has the form of a partition, whose value is no column.
    _, manifest = _write(tmp_path / "part=1")
    wanted = pq.read_table(manifest, partitioning=None)
    found = read_manifest(manifest, columns)
    assert found.equals(wanted if columns is None else wanted.select(columns))
    assert found.schema.metadata == wanted.schema.metadata


def test_a_column_that_a_manifest_lacks_is_named(tmp_path: Path) -> None:
    _, manifest = _write(tmp_path)
    with pytest.raises(ValueError, match=f"{manifest}: cannot be read .*no column 'accepted'"):
        read_manifest(manifest, ["target", "accepted"])
