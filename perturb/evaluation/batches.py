"""Batches of a decoded dataset on the device of a classifier, read and copied ahead.

On a CUDA device three things happen at the same time: batch k is evaluated, batch k + 1 is copied
to the device on a stream of its own, and batches k + 2 and k + 3 are read from the disk by a few
threads into pinned memory, which is allocated once. On a CPU reading cannot overlap with evaluation
on another processor, and takes a thousandth of a forward pass at 224 px: batches are read on
demand.
"""

from collections.abc import Generator, Iterable
from contextlib import closing

import numpy as np
import torch
from torch import Tensor

from perturb.datasets.store import Images, ImageStore
from perturb.evaluation.reading import Filled, buffers, read_ahead, reader_of

# One batch is copied, two are read.
_NUM_BUFFERS = 3
# Threads that mostly wait for a disk or a network, which answer several requests at once.
_NUM_THREADS = 4


def batches_on(device: torch.device, store: ImageStore, batch_size: int) -> Generator[Images]:
    """Yield all images of a decoded dataset in order, at most `batch_size` at a time, on a device.

    On a CUDA device they must be used on the stream that is current at the first request.
    """
    if device.type != "cuda":
        yield from (images.to(device) for images in store.batches(batch_size))
        return
    keys = torch.from_numpy(store.manifest["image_key"].to_numpy().astype(np.int64)).to(device)
    targets = store.targets.to(device)
    ring = buffers(store.pixels, batch_size, _NUM_BUFFERS, pinned=True)
    stop = 0
    with (
        reader_of(store.pixels) as read,
        closing(read_ahead(read, len(store), ring, _NUM_THREADS)) as filled,
        closing(copied_ahead(filled, device)) as batches,
    ):
        for pixels in batches:
            start, stop = stop, stop + len(pixels)
            yield Images(pixels, keys[start:stop], targets[start:stop])


def part_of(images: Images, start: int, stop: int) -> Images:
    """Return images start to stop - 1 of a batch, without a copy."""
    rows = slice(start, stop)
    return Images(images.pixels[rows], images.keys[rows], images.targets[rows])


def copied_ahead(batches: Iterable[Filled], device: torch.device) -> Generator[Tensor]:
    """Yield batches in pinned memory on a CUDA device; the next is copied while one is used."""
    copying: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    using = torch.cuda.current_stream(device)
    waiting: tuple[Tensor, torch.cuda.Event] | None = None
    try:
        for filled in batches:
            ready, waiting = waiting, _start_copy(filled, device, copying, using)
            if ready is not None:
                using.wait_event(ready[1])
                yield ready[0]
        if waiting is not None:
            using.wait_event(waiting[1])
            yield waiting[0]
    finally:
        # If the caller stops early, memory is freed that a copy may still read or write.
        copying.synchronize()


def _start_copy(
    filled: Filled, device: torch.device, copying: torch.cuda.Stream, using: torch.cuda.Stream
) -> tuple[Tensor, torch.cuda.Event]:
    # Allocated on the using stream, so that it returns to that stream's pool. Earlier work in
    # that stream may still use the same memory: the copy waits for that work alone.
    target = torch.empty(filled.pixels.shape, dtype=filled.pixels.dtype, device=device)
    copying.wait_stream(using)
    with torch.cuda.stream(copying):
        target.copy_(filled.pixels, non_blocking=True)
    # Readers wait for the copy without using a processor.
    copied = copying.record_event(torch.cuda.Event(blocking=True))  # type: ignore[no-untyped-call]
    filled.buffer.copied = copied.synchronize
    return target, copied
