"""Progress of a training phase: its curve, and lines in the log."""

import logging
import math
import time
from dataclasses import dataclass

_LOGGER = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 5.0


@dataclass(frozen=True)
class CurvePoint:
    """Mean training loss since the last point, and validation accuracy if measured."""

    phase: str
    step: int
    num_samples: int
    loss: float
    validation_accuracy: float | None


class Progress:
    """The curve so far. ``name`` is ``<model>/<phase>``."""

    def __init__(self, name: str, num_steps: int, batch_size: int) -> None:
        self.curve: list[CurvePoint] = []
        self._name, self._num_steps, self._batch_size = name, num_steps, batch_size
        self._started = self._last_line = time.perf_counter()
        self._losses: list[float] = []

    def add(self, step: int, loss: float) -> None:
        """Add the loss of a step; log at intervals of seconds.

        Raises
        ------
        ValueError
            If the loss is not finite.
        """
        if not math.isfinite(loss):
            raise ValueError(f"{self._name}: the loss of step {step} is {loss}")
        self._losses.append(loss)
        if time.perf_counter() - self._last_line > _SECONDS_BETWEEN_LINES:
            self._log(step, loss)

    def mark(self, step: int, validation_accuracy: float | None) -> None:
        """Add a point to the curve."""
        loss = sum(self._losses) / len(self._losses)
        self._losses.clear()
        phase = self._name.rpartition("/")[2]
        seen = step * self._batch_size
        self.curve.append(CurvePoint(phase, step, seen, loss, validation_accuracy))
        self._log(step, loss)
        if validation_accuracy is not None:
            _LOGGER.info("%s: validation accuracy %.3f", self._name, validation_accuracy)

    def _log(self, step: int, loss: float) -> None:
        self._last_line = time.perf_counter()
        speed = step * self._batch_size / (self._last_line - self._started)
        left = (self._num_steps - step) * self._batch_size / speed
        message = "%s: step %d of %d, loss %.3f, %.0f samples/s, %.0f s left"
        _LOGGER.info(message, self._name, step, self._num_steps, loss, speed, left)
