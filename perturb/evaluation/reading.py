"""Pixels of a decoded dataset, read ahead by threads into buffers that are used again.

A batch is read in slices, one a thread, at their offsets in the file and not through its memory
map. A map is read in small pieces, each when a page is first touched: from a disk that takes twice
as long.
"""

import mmap
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from perturb.datasets.store import Pixels

# Fills an array with the images that begin at an index.
Read = Callable[[Pixels, int], None]

_SMALLEST_SLICE = 1 << 20  # bytes; a second thread does not pay for less


@dataclass
class Buffer:
    """Host memory for the pixels of a batch, uint8 (B, 3, H, W).

    copied : returns when the last copy out of the buffer is done; None without such a copy.
    """

    pixels: Tensor
    copied: Callable[[], object] | None = None


@dataclass(frozen=True)
class Filled:
    """A buffer with a batch in its first rows."""

    buffer: Buffer
    num_images: int

    @property
    def pixels(self) -> Tensor:
        """The batch, which is overwritten after the next one was requested."""
        return self.buffer.pixels[: self.num_images]


def buffers(pixels: Pixels, batch_size: int, num_buffers: int, *, pinned: bool) -> list[Buffer]:
    """Return buffers for batches of these pixels, no more than there are batches."""
    num_batches = -(-len(pixels) // batch_size)
    shape = (min(batch_size, len(pixels)), *pixels.shape[1:])
    return [
        Buffer(torch.empty(shape, dtype=torch.uint8, pin_memory=pinned))
        for _ in range(min(num_buffers, num_batches))
    ]


@contextmanager
def reader_of(pixels: Pixels) -> Iterator[Read]:
    """Return the function that reads these pixels: from the file of a whole map, or the array."""
    is_whole_map = isinstance(getattr(pixels, "base", None), mmap.mmap)
    if not isinstance(pixels, np.memmap) or not is_whole_map or not pixels.flags.c_contiguous:
        yield lambda into, start: np.copyto(into, pixels[start : start + len(into)])
        return
    offset, image_bytes = pixels.offset, pixels[0].nbytes
    file = os.open(str(pixels.filename), os.O_RDONLY)
    try:
        yield lambda into, start: _read_fully(file, into, offset + start * image_bytes)
    finally:
        os.close(file)


def _read_fully(file: int, into: Pixels, offset: int) -> None:
    """Fill an array from an offset of a file; one call may read less than is asked for."""
    left = into.reshape(-1).data
    while left:
        count = os.preadv(file, [left], offset)
        if not count:
            raise OSError(f"decoded dataset: the file ends at byte {offset}, {len(left)} too early")
        left, offset = left[count:], offset + count


def read_ahead(
    read: Read, num_images: int, ring: Sequence[Buffer], num_threads: int
) -> Generator[Filled]:
    """Yield all images in order, in batches of a buffer's size; the next ones are read meanwhile.

    Parameters
    ----------
    ring : the buffers. One is with the caller, the others are read into; a buffer is read into
        again after the batch that follows it was requested.
    """
    size = len(ring[0].pixels)
    starts = deque(range(0, num_images, size))
    waiting: deque[tuple[Filled, list[Future[None]]]] = deque()
    threads = ThreadPoolExecutor(num_threads, thread_name_prefix="read-ahead")

    def fill(buffer: Buffer) -> None:
        if not starts:
            return
        start = starts.popleft()
        filled = Filled(buffer, min(size, num_images - start))
        parts = _slices(filled.pixels, num_threads)
        waiting.append(
            (filled, [threads.submit(_fill, read, buffer, *part, start) for part in parts])
        )

    try:
        for buffer in ring:
            fill(buffer)
        while waiting:
            filled, parts = waiting.popleft()
            for part in parts:
                part.result()
            yield filled
            fill(filled.buffer)
    finally:
        threads.shutdown(cancel_futures=True)


def _slices(pixels: Tensor, num_threads: int) -> list[tuple[int, int]]:
    """Return the first row and the end of each part of a batch, about equal ones."""
    num_slices = max(1, min(num_threads, len(pixels), pixels.nbytes // _SMALLEST_SLICE))
    ends = [len(pixels) * part // num_slices for part in range(num_slices + 1)]
    return list(pairwise(ends))


def _fill(read: Read, buffer: Buffer, first: int, end: int, start: int) -> None:
    if buffer.copied is not None:
        buffer.copied()
    read(buffer.pixels[first:end].numpy(), start + first)
