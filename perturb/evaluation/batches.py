"""Batches of a decoded dataset on the device of a classifier, read and copied ahead.

On a CUDA device three things happen at the same time: batch k is evaluated, batch k + 1 is copied
to the device on a stream of its own, and batch k + 2 is read from the disk into pinned memory by a
thread. On a CPU reading cannot overlap with evaluation on another processor, and takes a thousandth
of a forward pass at 224 px: batches are read on demand.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perturb.datasets.store import Images, ImageStore


def batches_on(device: torch.device, store: ImageStore, batch_size: int) -> Iterator[Images]:
    """Yield all images of a decoded dataset in order, at most `batch_size` at a time, on a device.

    On a CUDA device they must be used on the stream that is current at the first request.
    """
    if device.type != "cuda":
        yield from (images.to(device) for images in store.batches(batch_size))
        return
    keys = torch.from_numpy(store.manifest["image_key"].to_numpy().astype(np.int64)).to(device)
    targets = store.targets.to(device)
    starts = range(0, len(store), batch_size)
    read = partial(_pinned, store.pixels, batch_size)
    stop = 0
    for pixels in copied_ahead(read_ahead(read, starts), device):
        start, stop = stop, stop + len(pixels)
        yield Images(pixels, keys[start:stop], targets[start:stop])


def part_of(images: Images, start: int, stop: int) -> Images:
    """Return images start to stop - 1 of a batch, without a copy."""
    rows = slice(start, stop)
    return Images(images.pixels[rows], images.keys[rows], images.targets[rows])


def read_ahead(read: Callable[[int], Tensor], starts: Iterable[int]) -> Iterator[Tensor]:
    """Yield ``read(start)`` for each start; a thread reads the next while one is used."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as reader:
        waiting: Future[Tensor] | None = None
        for start in starts:
            ready, waiting = waiting, reader.submit(read, start)
            if ready is not None:
                yield ready.result()
        if waiting is not None:
            yield waiting.result()


def copied_ahead(batches: Iterable[Tensor], device: torch.device) -> Iterator[Tensor]:
    """Yield pinned tensors on a CUDA device; the next is copied while one is used."""
    copying: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    using = torch.cuda.current_stream(device)
    waiting: tuple[Tensor, torch.cuda.Event] | None = None
    try:
        for pixels in batches:
            ready, waiting = waiting, _start_copy(pixels, device, copying, using)
            if ready is not None:
                using.wait_event(ready[1])
                yield ready[0]
        if waiting is not None:
            using.wait_event(waiting[1])
            yield waiting[0]
    finally:
        # If the caller stops early, memory is freed that a copy may still write to.
        copying.synchronize()


def _start_copy(
    pixels: Tensor, device: torch.device, copying: torch.cuda.Stream, using: torch.cuda.Stream
) -> tuple[Tensor, torch.cuda.Event]:
    # Allocated on the using stream, so that it returns to that stream's pool. Earlier work in
    # that stream may still use the same memory: the copy waits for that work alone.
    target = torch.empty(pixels.shape, dtype=pixels.dtype, device=device)
    copying.wait_stream(using)
    with torch.cuda.stream(copying):
        target.copy_(pixels, non_blocking=True)
    return target, copying.record_event()


def _pinned(pixels: np.ndarray[Any, np.dtype[np.uint8]], batch_size: int, start: int) -> Tensor:
    """Return some images in pinned memory."""
    rows = pixels[start : start + batch_size]
    pinned = torch.empty(rows.shape, dtype=torch.uint8, pin_memory=True)
    np.copyto(pinned.numpy(), rows)
    return pinned
