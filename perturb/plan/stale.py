"""What is there and not what the configuration asks for, and how Snakemake learns of it.

Snakemake makes a file again if an input is newer. So the rules that make what is stale have one
more input, a mark that is new in each run; rules whose results are good have none. Nothing is
deleted or renamed, so a dry run with another configuration leaves no trace, and nothing depends on
Snakemake's own records: they may be lost, or those of another folder.
"""

import os
import time
from pathlib import Path

from perturb.config import Config
from perturb.files import replacing
from perturb.plan.origins import foreign_artefacts
from perturb.plan.paths import Paths
from perturb.plan.receipts import stale_receipts

_NUM_NAMED = 20


class Stale:
    """What of a study's results is stale.

    reasons : what differs in checkpoints and decoded datasets, a line each, the first twenty.

    Parameters
    ----------
    is_known : whether it is looked for; False where nothing is planned.

    Raises
    ------
    OSError
        if something is stale and the results folder cannot be written to.
    """

    def __init__(self, config: Config, *, is_known: bool = True) -> None:
        self._paths = Paths(config.results)
        self._files: set[str] = set()
        self.reasons: list[str] = []
        if is_known:
            self._look(config)
        if self._files:
            self._write_mark()

    def _look(self, config: Config) -> None:
        foreign = foreign_artefacts(config)
        self._files |= foreign.keys()
        # Before the first receipt all jobs are planned anyway.
        if Path(self._paths.mark).parent.is_dir():
            self._files |= {os.path.normpath(path) for path in stale_receipts(config)}
        lines = [f"{path}: {line}" for path, lines in foreign.items() for line in lines]
        self.reasons = lines[:_NUM_NAMED]

    def mark_of(self, path: str) -> list[str]:
        """Return the additional input of the rule that makes a file: the mark if it is stale."""
        return [self._paths.mark] if os.path.normpath(path) in self._files else []

    def _write_mark(self) -> None:
        # Of another content each time: Snakemake compares that of small files, too.
        with replacing(Path(self._paths.mark)) as temporary:
            temporary.write_text(f"{time.time_ns()} {os.getpid()}\n")
