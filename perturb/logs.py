"""The log of a job: what it reports and, if it fails, why."""

import logging
import sys
from pathlib import Path


def log_to(path: str) -> None:
    """Send the process's log messages, warnings and tracebacks to a file, line by line."""
    sys.stderr = Path(path).open("w", buffering=1)  # noqa: SIM115 - open until the process ends
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S"
    )
