"""Cells that a job has finished, kept until all of its cells are, whatever becomes of the job.

A job evaluates many cells, and Snakemake takes a job for a whole: before it starts one anew, it
removes all of its outputs, also those that an attempt that failed or was killed had finished. So
each finished shard has a second name below `finished/` in the results folder, a hard link where the
file system has them. The next attempt takes it from there if it is whole and has the identity that
is asked for (`perturb.evaluate.identity`), and evaluates the rest. When the job has finished all
cells, the second names go: a job that is forced to run again then evaluates every cell.
"""

import logging
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from perturb.evaluate.shards import read_whole, write_shard
from perturb.files import replacing
from perturb.plan.cells import Cell, Layout

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Slot:
    """Where a cell's shard belongs, and where it is kept until its job has finished all cells."""

    cell: Cell
    shard: Path
    kept: Path
    identity: str

    def restore(self) -> bool:
        """Put the kept shard where it belongs; return whether there is one of this identity."""
        if not self.kept.exists():
            return False
        try:
            found = read_whole(self.kept).get("identity")
        except ValueError as error:
            logger.info("%s: evaluated again: %s", self.cell, error)
            return False
        if found != self.identity:
            logger.info("%s: evaluated again: it was made of something else", self.cell)
            return False
        # Younger than what it was made of, as Snakemake expects of what a job has made.
        os.utime(self.kept)
        _link(self.kept, self.shard)
        return True

    def write(self, table: pa.Table, metadata: dict[str, Any]) -> None:
        """Write the shard, and keep it."""
        write_shard(self.shard, table, metadata | {"identity": self.identity})
        try:
            _link(self.shard, self.kept)
        except OSError as error:  # no room for a copy, say: then it is not kept
            logger.info("%s: not kept: %s", self.cell, error)


def slot_of(cell: Cell, shard: Path, results: str, identity: str) -> Slot:
    """Return the slot of a cell of a study whose results are in a folder."""
    return Slot(cell, shard, Path(Layout(results).finished(cell)), identity)


def restored(slots: Sequence[Slot]) -> list[Slot]:
    """Put all kept shards where they belong; return the slots that had one."""
    found = [slot for slot in slots if slot.restore()]
    if found:
        logger.info(
            "%d of %d cells are kept: an attempt that was cut short had finished them",
            *(len(found), len(slots)),
        )
    return found


def forget(slots: Sequence[Slot]) -> None:
    """Keep the shards of a job no longer, which has finished all of them."""
    for slot in slots:
        slot.kept.unlink(missing_ok=True)
        with suppress(OSError):  # others' cells are in it
            for folder in slot.kept.parents:
                folder.rmdir()


def forget_all(results: str) -> None:
    """Keep no shard of a study any longer: all of its cells are there."""
    shutil.rmtree(Layout(results).all_finished, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or a copy where the file system has no such thing."""
    with replacing(target) as temporary:
        try:
            temporary.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, temporary)
