"""A batch that does not fit is done again in halves, and nothing of the failure is kept."""

import gc
import logging
import weakref
from collections.abc import Callable

import pytest
import torch

from perturb.evaluation.batch_size import BatchSize, is_out_of_memory


def _fitting(capacity: int, calls: list[tuple[int, int]]) -> Callable[[int, int], list[int]]:
    def run(start: int, stop: int) -> list[int]:
        calls.append((start, stop))
        if stop - start > capacity:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return list(range(start, stop))

    return run


@pytest.mark.parametrize(
    ("limit", "capacity", "num_images", "calls", "now"),
    [
        (4, 9, 10, [(0, 4), (4, 8), (8, 10)], 4),
        (8, 4, 10, [(0, 8), (0, 4), (4, 8), (8, 10)], 4),
        (8, 3, 8, [(0, 8), (0, 4), (0, 2), (2, 4), (4, 6), (6, 8)], 2),
        (5, 1, 3, [(0, 3), (0, 2), (0, 1), (1, 2), (2, 3)], 1),
        (5, 1, 0, [], 5),
    ],
)
def test_every_image_is_done_once(
    limit: int, capacity: int, num_images: int, calls: list[tuple[int, int]], now: int
) -> None:
    size, made = BatchSize(limit, "work"), []
    parts = list(size.over(num_images, _fitting(capacity, made)))
    assert [image for part in parts for image in part] == list(range(num_images))
    assert made == calls
    assert size.now == now


def test_size_stays_small_for_what_follows() -> None:
    size, calls = BatchSize(8, "work"), []
    list(size.over(8, _fitting(2, [])))
    list(size.over(4, _fitting(2, calls)))
    assert calls == [(0, 2), (2, 4)]


def test_single_image_that_does_not_fit_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    size = BatchSize(4, "model a on fog")
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(torch.OutOfMemoryError, match=r"model a on fog: .* batch of 1 .* from 4"),
    ):
        list(size.over(4, _fitting(0, [])))
    assert [record.getMessage() for record in caplog.records] == [
        "model a on fog: out of memory with 4 images, now 2",
        "model a on fog: out of memory with 2 images, now 1",
    ]


def test_failed_attempt_is_forgotten_before_the_next() -> None:
    """The tensors of a failed pass hang on the error; they must be gone when it is tried again."""
    held: list[weakref.ref[torch.Tensor]] = []

    def run(start: int, stop: int) -> int:
        assert all(reference() is None for reference in held)
        tensor = torch.zeros(10)
        held.append(weakref.ref(tensor))
        if stop - start > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return stop

    gc.disable()  # what frees them is that nothing refers to them, not the collector
    try:
        assert list(BatchSize(4, "work").over(2, run)) == [1, 2]
    finally:
        gc.enable()


def test_job_that_splits_its_batches_is_begun_anew() -> None:
    size, seen = BatchSize(8, "layers"), []

    def run(given: BatchSize) -> str:
        seen.append(given.now)
        if given.now > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return "done"

    assert size.until_fitting(run) == "done"
    assert seen == [8, 4, 2]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("anything"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: RuntimeError, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_other_errors_pass() -> None:
    def run(*_: int) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="multiplied"):
        list(BatchSize(4, "work").over(4, run))


def test_batch_size_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size is 0; allowed: 1 or more"):
        BatchSize(0, "work")
