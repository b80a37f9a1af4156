"""Batches on a device: each image once, the next on its way while one is used."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor

from perturb.datasets.store import ImageStore, open_store, write_store
from perturb.evaluation import batches
from perturb.evaluation.batches import batches_on, copied_ahead, part_of, read_ahead

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


def test_next_is_read_while_one_is_used() -> None:
    started = [threading.Event() for _ in range(3)]
    used: list[int] = []

    def read(start: int) -> Tensor:
        started[start].set()
        return torch.tensor([start])

    for tensor in read_ahead(read, range(3)):
        used.append(int(tensor))
        if used[-1] < 2:  # the next one is not requested yet
            assert started[used[-1] + 1].wait(timeout=10)
    assert used == [0, 1, 2]


def test_error_of_the_reader_arrives() -> None:
    def read(start: int) -> Tensor:
        if start == 1:
            raise OSError("disk on fire")
        return torch.tensor([start])

    batches = read_ahead(read, range(3))
    assert int(next(batches)) == 0
    with pytest.raises(OSError, match="disk on fire"):
        next(batches)
    assert not [name for name in threading.enumerate() if "read-ahead" in name.name]


class FakeStream:
    """A stream that records its calls."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log, self.num_events = name, log, 0

    def wait_stream(self, other: "FakeStream") -> None:
        self.log.append(f"{self.name} waits for {other.name}")

    def wait_event(self, event: str) -> None:
        self.log.append(f"{self.name} waits for {event}")

    def record_event(self) -> str:
        self.num_events += 1
        self.log.append(f"copy {self.num_events} is queued")
        return f"copy {self.num_events}"

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
    return calls


COPY = ["copier waits for user", "on copier"]


def test_next_is_copied_while_one_is_used(log: list[str]) -> None:
    batches = [torch.full((2,), number) for number in (1, 2)]
    for number, batch in enumerate(copied_ahead(batches, CPU), 1):
        assert torch.equal(batch, batches[number - 1])
        assert batch.data_ptr() != batches[number - 1].data_ptr()
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
    batches = copied_ahead([torch.zeros(1)] * 3, CPU)
    next(batches)
    batches.close()
    assert log[-1] == "host waits for copier"


def test_cuda_path_gives_the_same_images(
    tmp_path: Path,
    log: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of it but the device: pinning and streams are faked."""

    def plain(pixels: np.ndarray, batch_size: int, start: int) -> Tensor:
        return torch.from_numpy(pixels[start : start + batch_size].copy())

    class Device:
        type = "cuda"

    store = _store(tmp_path)
    monkeypatch.setattr(batches, "_pinned", plain)
    monkeypatch.setattr(batches, "copied_ahead", lambda batches, _: copied_ahead(batches, CPU))
    monkeypatch.setattr(Tensor, "to", lambda tensor, _: tensor)
    _check(batches_on(Device(), store, 4), store)  # type: ignore[arg-type]
    assert log.count("user waits for copy 3") == 1


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
