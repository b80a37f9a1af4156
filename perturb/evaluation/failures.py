"""Results of a job that fail: they are named at its end, after all others were tried.

torch is imported where a failure is judged: checks of results need this module, and no torch.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

# Messages of an accelerator that does nothing more for this process.
_UNUSABLE = ("CUDA error", "HIP error", "CUDNN_STATUS_", "CUBLAS_STATUS_", "No CUDA GPUs")
# One of a single operation.
_UNSUPPORTED = "_STATUS_NOT_SUPPORTED"


class FailedError(ValueError):
    """Results that failed, each with the reason."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = dict(reasons)
        lines = [
            reason if reason.startswith(name) else f"{name}: {reason}"
            for name, reason in self.reasons.items()
        ]
        heading = [f"{len(lines)} failed:"] if len(lines) > 1 else []
        super().__init__("\n".join([*heading, *lines]))


class Once(Generic[T]):
    """A function that is called at most once; later calls repeat its result, or its error."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._results: list[T] = []
        self._error: Exception | None = None

    def __call__(self) -> T:
        """Return the result of the function."""
        if self._error is not None:
            release(self._error)
            raise self._error
        if not self._results:
            try:
                self._results.append(self._function())
            except Exception as error:
                self._error = error
                raise
        return self._results[0]


def release(error: BaseException | None) -> None:
    """Drop the tracebacks of an error, which hold the tensors of the failed attempt."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def each_in_turn(*parts: Iterable[T]) -> Iterator[T]:
    """Yield from each part, also after one that failed.

    Raises
    ------
    FailedError
        at the end, naming what failed in any part.
    """
    reasons: dict[str, str] = {}
    for part in parts:
        try:
            yield from part
        except FailedError as error:
            reasons |= error.reasons
    if reasons:
        raise FailedError(reasons)


def concerns_all(error: Exception) -> bool:
    """Return whether no other result of the job can succeed: the disk or the device is unusable."""
    from perturb.evaluation.batch_size import is_out_of_memory

    if isinstance(error, OSError):
        return True
    if not isinstance(error, RuntimeError) or is_out_of_memory(error):
        return False
    text = str(error)
    return _UNSUPPORTED not in text and any(sign in text for sign in _UNUSABLE)


def reason_of(error: Exception) -> str:
    """Return the reason of a failure; the kind of an error that is no check's is named."""
    import torch

    is_of_check = isinstance(error, ValueError | torch.OutOfMemoryError)
    return str(error) if is_of_check and str(error) else f"{type(error).__name__}: {error}"
