"""Progress of a long job in its log: done, of what, rate, time left."""

import logging
import time

logger = logging.getLogger(__name__)

INTERVAL_S = 10.0


class Progress:
    """Progress of a job, logged at intervals and at the end."""

    def __init__(
        self,
        name: str,
        total: float | None,
        there: float = 0,
        unit: str = "images",
        digits: int = 0,
    ):
        """Start counting.

        Parameters
        ----------
        total : number of units in all; None if unknown.
        there : number of units that an earlier job did.
        digits : number of decimals.
        """
        self._name, self._total, self._unit, self._digits = name, total, unit, digits
        self._there = self._done = there
        self._began = self._reported = time.monotonic()

    def advance(self, number: float) -> None:
        """Count units."""
        self._done += number
        now = time.monotonic()
        is_end = self._total is not None and self._done >= self._total
        if now - self._reported < INTERVAL_S and not is_end:
            return
        self._reported = now
        rate = (self._done - self._there) / max(now - self._began, 1e-6)
        done, speed, total = (f"{n or 0:.{self._digits}f}" for n in (self._done, rate, self._total))
        of = "" if self._total is None else f" of {total}"
        left = "" if self._total is None else f", {(self._total - self._done) / rate:.0f} s left"
        unit = self._unit
        logger.info("%s: %s%s %s, %s %s/s%s", self._name, done, of, unit, speed, unit, left)
