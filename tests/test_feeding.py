"""Batches on a device: each image once, the next on its way while one is used."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor

from perturb.datasets.store import ImageStore, Pixels, open_store, write_store
from perturb.evaluation import batches, reading
from perturb.evaluation.batches import batches_on, copied_ahead, part_of
from perturb.evaluation.reading import Buffer, Filled, buffers, read_ahead, reader_of

CPU = torch.device("cpu")


def _store(folder: Path, count: int = 10) -> ImageStore:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator)
    columns = {
        "image_id": pa.array([f"i{row}" for row in range(count)]),
        "image_key": pa.array(range(100, 100 + count), pa.int64()),
        "target": pa.array([row % 3 for row in range(count)], pa.int16()),
    }
    paths = folder / "images.npy", folder / "manifest.parquet"
    write_store(*paths, num_images=count, chunks=[(pixels, columns)])
    return open_store(*paths)


def _check(batches: Iterator[batches.Images], store: ImageStore) -> None:
    found = list(batches)
    assert [len(batch.keys) for batch in found] == [4, 4, 2]
    whole = store.read(0, len(store))
    for name in ("pixels", "keys", "targets"):
        joined = torch.cat([getattr(batch, name) for batch in found]).cpu()
        assert torch.equal(joined, getattr(whole, name))
        assert joined.dtype == getattr(whole, name).dtype


def test_all_images_come_in_order(tmp_path: Path) -> None:
    store = _store(tmp_path)
    _check(batches_on(CPU, store, 4), store)


def test_part_is_no_copy(tmp_path: Path) -> None:
    (batch,) = batches_on(CPU, _store(tmp_path), 10)
    part = part_of(batch, 3, 7)
    assert part.keys.tolist() == [103, 104, 105, 106]
    assert part.pixels.data_ptr() == batch.pixels[3:].data_ptr()


def _ring(num: int, size: int = 1) -> list[Buffer]:
    return [Buffer(torch.zeros(size, 3, 8, 8, dtype=torch.uint8)) for _ in range(num)]


def _numbered(into: Pixels, start: int) -> None:
    into[:] = np.arange(start, start + len(into), dtype=np.uint8)[:, None, None, None]


def _readers() -> list[str]:
    return [one.name for one in threading.enumerate() if "read-ahead" in one.name]


def test_next_are_read_while_one_is_used() -> None:
    started = [threading.Event() for _ in range(5)]
    used: list[int] = []

    def read(into: Pixels, start: int) -> None:
        started[start].set()
        _numbered(into, start)

    for filled in read_ahead(read, 5, _ring(3), 1):
        used.append(int(filled.pixels[0, 0, 0, 0]))
        for ahead in range(used[-1] + 1, min(used[-1] + 3, 5)):  # these are not requested yet
            assert started[ahead].wait(timeout=10)
        assert not any(event.is_set() for event in started[used[-1] + 3 :])  # no buffer is left
    assert used == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("num_threads", [1, 2, 4])
@pytest.mark.parametrize("num_buffers", [1, 2, 3])
def test_slices_make_whole_batches_in_order(
    num_buffers: int, num_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_SMALLEST_SLICE", 1)
    lengths: list[int] = []

    def read(into: Pixels, start: int) -> None:
        lengths.append(len(into))
        time.sleep(0.002 * (start % 3))  # slices do not end in their order
        _numbered(into, start)

    ring = _ring(num_buffers, 7)
    found = [filled.pixels.clone() for filled in read_ahead(read, 24, ring, num_threads)]
    assert [len(batch) for batch in found] == [7, 7, 7, 3]
    assert torch.cat(found)[:, 2, 7, 7].tolist() == list(range(24))
    assert len(lengths) == 3 * num_threads + min(num_threads, 3)


def test_small_batches_are_read_by_one_thread() -> None:
    starts: list[int] = []
    list(read_ahead(lambda _, start: starts.append(start), 24, _ring(2, 8), 4))
    assert sorted(starts) == [0, 8, 16]


def test_a_buffer_is_filled_after_its_copy() -> None:
    log: list[str] = []
    ring = _ring(2)

    def read(_: Pixels, start: int) -> None:
        log.append(f"read {start}")

    for number, filled in enumerate(read_ahead(read, 4, ring, 1)):
        filled.buffer.copied = lambda number=number: log.append(f"copied {number}")  # type: ignore[misc]
    assert [line for line in log if line not in ("read 0", "read 1")] == [
        *("copied 0", "read 2", "copied 1", "read 3"),
    ]


def test_error_of_the_reader_arrives_in_its_turn() -> None:
    def read(_: Pixels, start: int) -> None:
        if start == 1:
            raise OSError("disk on fire")

    batches = read_ahead(read, 3, _ring(3), 2)
    assert next(batches).num_images == 1
    with pytest.raises(OSError, match="disk on fire"):
        next(batches)
    assert not _readers()


def test_an_early_end_leaves_no_thread() -> None:
    started: list[int] = []

    def read(_: Pixels, start: int) -> None:
        started.append(start)
        time.sleep(0.01)

    batches = read_ahead(read, 100, _ring(3), 1)
    next(batches)
    batches.close()
    assert not _readers()
    assert len(started) <= 3


def test_a_map_is_read_at_its_offsets(tmp_path: Path) -> None:
    store = _store(tmp_path)
    into = np.zeros((3, 3, 8, 8), np.uint8)
    with reader_of(store.pixels) as read:
        for start in (0, 4, 7):
            read(into, start)
            assert (into == store.pixels[start : start + 3]).all()
        with pytest.raises(OSError, match=r"the file ends at byte \d+, 192 too early"):
            read(into, 8)


@pytest.mark.parametrize("rows", [[1, 5, 8], slice(2, 9)], ids=["subset", "part of a map"])
def test_other_arrays_are_copied(rows: Any, tmp_path: Path) -> None:
    pixels = _store(tmp_path).pixels[rows]
    into = np.zeros((2, 3, 8, 8), np.uint8)
    with reader_of(pixels) as read:
        read(into, 1)
    assert (into == pixels[1:3]).all()


def test_a_short_read_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, into, at: real(file, [into[0][:100]], at))
    store = _store(tmp_path)
    into = np.zeros((10, 3, 8, 8), np.uint8)
    with reader_of(store.pixels) as read:
        read(into, 0)
    assert (into == store.pixels).all()


def test_there_are_no_more_buffers_than_batches(tmp_path: Path) -> None:
    pixels = _store(tmp_path).pixels
    for batch_size, shapes in ((4, [4] * 3), (5, [5] * 2), (10, [10]), (99, [10])):
        ring = buffers(pixels, batch_size, 3, pinned=False)
        assert [tuple(buffer.pixels.shape) for buffer in ring] == [
            (rows, 3, 8, 8) for rows in shapes
        ]


class FakeEvent:
    """An event that has a name and passes at once."""

    def __init__(self, *, blocking: bool) -> None:
        assert blocking, "readers would wait on a processor"
        self.name = ""

    def __str__(self) -> str:
        return self.name

    def synchronize(self) -> None:
        """Return at once."""


class FakeStream:
    """A stream that records its calls."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log, self.num_events = name, log, 0

    def wait_stream(self, other: "FakeStream") -> None:
        self.log.append(f"{self.name} waits for {other.name}")

    def wait_event(self, event: FakeEvent) -> None:
        self.log.append(f"{self.name} waits for {event}")

    def record_event(self, event: "FakeEvent") -> "FakeEvent":
        self.num_events += 1
        event.name = f"copy {self.num_events}"
        self.log.append(f"{event} is queued")
        return event

    def synchronize(self) -> None:
        self.log.append(f"host waits for {self.name}")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the calls of fake streams, in order."""
    calls: list[str] = []
    using = FakeStream("user", calls)

    @contextmanager
    def on(stream: FakeStream) -> Iterator[None]:
        calls.append(f"on {stream.name}")
        yield

    monkeypatch.setattr(torch.cuda, "Stream", lambda _: FakeStream("copier", calls))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: using)
    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    return calls


COPY = ["copier waits for user", "on copier"]


def test_next_is_copied_while_one_is_used(log: list[str]) -> None:
    batches = [Filled(Buffer(torch.full((3,), number)), 2) for number in (1, 2)]
    for number, batch in enumerate(copied_ahead(batches, CPU), 1):
        filled = batches[number - 1]
        assert torch.equal(batch, filled.pixels)
        assert batch.data_ptr() != filled.pixels.data_ptr()
        assert filled.buffer.copied is not None
        log.append(f"{number} is used")
    assert log == [
        *COPY,
        "copy 1 is queued",
        *COPY,
        "copy 2 is queued",
        "user waits for copy 1",
        "1 is used",
        "user waits for copy 2",
        "2 is used",
        "host waits for copier",
    ]


def test_early_end_waits_for_the_copy_under_way(log: list[str]) -> None:
    batches = copied_ahead([Filled(Buffer(torch.zeros(1)), 1)] * 3, CPU)
    next(batches)
    batches.close()
    assert log[-1] == "host waits for copier"


class FakeDevice:
    """A device of which only the kind is asked."""

    type = "cuda"


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a device on which all is done but the device: pinning and streams are faked."""

    def unpinned(pixels: Pixels, batch_size: int, num: int, *, pinned: bool) -> list[Buffer]:
        assert pinned
        return buffers(pixels, batch_size, num, pinned=False)

    monkeypatch.setattr(batches, "buffers", unpinned)
    monkeypatch.setattr(batches, "copied_ahead", lambda filled, _: copied_ahead(filled, CPU))
    monkeypatch.setattr(Tensor, "to", lambda tensor, _: tensor)
    return FakeDevice()


def test_cuda_path_gives_the_same_images(tmp_path: Path, log: list[str], cuda: Any) -> None:
    store = _store(tmp_path)
    _check(batches_on(cuda, store, 4), store)
    assert log.count("user waits for copy 3") == 1
    some = store.subset([0, 1, 2, 3, 4, 5, 6, 7, 9])
    assert torch.equal(
        torch.cat([batch.pixels for batch in batches_on(cuda, some, 2)]),
        some.read(0, 9).pixels,
    )


def test_cuda_path_ends_early_without_thread_copy_and_open_file(
    tmp_path: Path, log: list[str], cuda: Any
) -> None:
    batch = batches_on(cuda, _store(tmp_path), 4)
    next(batch)
    assert _is_open(tmp_path / "images.npy")
    batch.close()
    assert log[-1] == "host waits for copier"
    assert not _readers()
    assert not _is_open(tmp_path / "images.npy")


def _is_open(file: Path) -> bool:
    """Return whether this process has a file open; a memory map does not count."""
    return any(one.resolve() == file for one in Path("/proc/self/fd").iterdir())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_images_arrive_on_cuda(tmp_path: Path) -> None:
    store = _store(tmp_path)
    device = torch.device("cuda")
    for _ in range(20):  # with other work on the stream, so that memory is used again
        used = []
        for batch in batches_on(device, store, 4):
            torch.randn(512, 512, device=device) @ torch.randn(512, 512, device=device)
            used.append(batches.Images(batch.pixels.clone(), batch.keys, batch.targets))
        _check(iter(used), store)
