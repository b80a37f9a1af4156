"""Batch sizes that adapt to the memory: a batch that runs out of memory is repeated in halves.

The memory of a batch depends on the network, the perturbation and the device, and is not known
beforehand. So a batch size is an upper bound: it is halved when the memory runs out, the same
images are evaluated again, and nothing of the failed attempt is kept. Images are evaluated
independently, so the rows do not depend on the batch size, except in the last bits if a library
has different kernels for different sizes.
"""

import gc
import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Messages of libraries below torch when they run out of memory.
_SIGNS = (
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "DefaultCPUAllocator: can't allocate memory",
)


class BatchSize:
    """The number of images in a batch: halved when the memory runs out, never raised.

    Parameters
    ----------
    limit : the initial size.
    what : the work, for messages, such as a cell with its model.
    """

    def __init__(self, limit: int, what: object) -> None:
        if limit < 1:
            raise ValueError(f"batch_size is {limit}; allowed: 1 or more")
        self.limit = self.now = limit
        self.what = what

    def until_fitting(self, run: Callable[["BatchSize"], T]) -> T:
        """Return ``run(self)`` of a function that makes its own batches of `now` images.

        It starts again after each halving. Errors are those of `over`.
        """
        while True:
            done = self._attempt(lambda _, __: run(self), 0, self.now)
            if done:
                return done[0]
            self._halve(self.now)

    def over(self, num_images: int, run: Callable[[int, int], T]) -> Iterator[T]:
        """Yield ``run(start, stop)`` of the parts of the images in order.

        Parameters
        ----------
        run : evaluates images start to stop - 1. It is called again for the same images, or the
            first of them, if it runs out of memory, so it must have no effect when it fails.

        Raises
        ------
        torch.OutOfMemoryError
            if a single image does not fit; it names the work and the batch.
        """
        start = 0
        while start < num_images:
            stop = min(start + self.now, num_images)
            done = self._attempt(run, start, stop)
            if done:
                yield done[0]
                start = stop
            else:
                self._halve(stop - start)

    def _attempt(self, run: Callable[[int, int], T], start: int, stop: int) -> list[T]:
        """Return the result in a list, which is empty if the memory ran out."""
        try:
            return [run(start, stop)]
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if stop - start == 1:
                raise torch.OutOfMemoryError(
                    f"{self.what}: memory runs out with a batch of 1 image, halved from "
                    f"{self.limit} ({error})"
                ) from error
        # Outside the handler: the error's traceback holds the tensors of the failed attempt.
        return []

    def _halve(self, size: int) -> None:
        self.now = -(-size // 2)
        gc.collect()
        torch.cuda.empty_cache()  # no effect without CUDA
        logger.warning("%s: out of memory with %d images, now %d", self.what, size, self.now)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error means that the memory of a device, or of the host, ran out."""
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in _SIGNS)
