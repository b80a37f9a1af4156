"""Stale results: existing files that do not match the configuration, reported to Snakemake.

Snakemake makes a file again if an input is newer. So the jobs of stale results get an additional
input, a mark that is new in each run; other jobs do not. Nothing is deleted or renamed, so a dry
run with another configuration evaluates nothing again, and nothing depends on Snakemake's own
records, which may be lost or belong to another folder.
"""

import os
import time
from pathlib import Path

from perturb.config import Config
from perturb.files import replacing
from perturb.plan.carrying import carry_receipts
from perturb.plan.origins import foreign_artefacts
from perturb.plan.paths import Paths
from perturb.plan.settings import stale_products

_NUM_NAMED = 20


class Stale:
    """The stale results of a study.

    reasons : differences of checkpoints and decoded datasets, one line each, the first twenty.

    Parameters
    ----------
    is_known : whether stale results are searched; False in jobs, which plan nothing.

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
        # Without any receipt all jobs are planned anyway.
        if Path(self._paths.receipts).is_dir():
            self._files |= {os.path.normpath(path) for path in carry_receipts(config)}
        self._files |= set(stale_products(config))
        lines = [f"{path}: {line}" for path, lines in foreign.items() for line in lines]
        self.reasons = lines[:_NUM_NAMED]

    def mark_of(self, *paths: str) -> list[str]:
        """Return the additional input of the job of these files: the mark if one is stale."""
        is_stale = not self._files.isdisjoint(map(os.path.normpath, paths))
        return [self._paths.mark] if is_stale else []

    def _write_mark(self) -> None:
        # New content each time: for small files Snakemake also compares the content.
        with replacing(Path(self._paths.mark)) as temporary:
            temporary.write_text(f"{time.time_ns()} {os.getpid()}\n")
