"""Progress of a long job in its log: done, of what, rate, time left."""

import io
import logging
from typing import Any

from tqdm import tqdm  # type: ignore[import-untyped]

logger = logging.getLogger(__name__)

INTERVAL_S = 10.0


class Progress(tqdm):  # type: ignore[misc]
    """tqdm's count of a job, logged at intervals and at the end instead of drawn."""

    monitor_interval = 0  # no thread

    def __init__(self, name: str, total: int | None, there: int = 0, **options: Any):
        """Start counting, from what an earlier job did."""
        line = "{desc}: {n_fmt} of {total_fmt}{unit}, {rate_noinv_fmt}, {remaining} left"
        options |= {"mininterval": INTERVAL_S, "miniters": 1, "bar_format": line}
        super().__init__(desc=name, total=total, initial=there, file=io.StringIO(), **options)

    def display(self, *_: Any, **__: Any) -> None:
        """Log the count."""
        if self.n > self.initial:
            logger.info("%s", self)
