"""Results that stay: each is evaluated only if its file does not hold what is asked for.

The unit is the file of one result, a shard or a measurement. It gets its name when it is whole, and
Snakemake never deletes it: the declared output of a job is a receipt (`perturb.plan.receipts`). So
an attempt that fails or is killed loses nothing that it has finished. A shard may be kept in part:
`perturb.evaluation.completing` says how.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from perturb.evaluation.failures import FailedError, concerns_all, reason_of, release
from perturb.evaluation.measurements import read_whole_measurement, write_measurement
from perturb.evaluation.shards import read_metadata, read_whole, write_shard
from perturb.files import replacing

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A result that is asked for.

    name : what logs and messages call it.
    path : where its file belongs.
    asked : what the configuration says of it, as `perturb.plan.asked` returns it.
    identity : of `perturb.evaluation.identity`.
    identities : of each condition of a cell.
    earlier : where a shard is kept that had more conditions.
    """

    name: str
    path: Path
    asked: Mapping[str, Any]
    identity: str
    identities: Mapping[str, str] = field(default_factory=dict)
    is_measurement: bool = False
    earlier: Path | None = None

    @property
    def is_kept(self) -> bool:
        """Whether its file is there, whole, and of its identity."""
        if not self.path.exists():
            return False
        try:
            found = (read_whole_measurement if self.is_measurement else read_whole)(self.path)
        except ValueError as error:
            logger.info("%s: evaluated again: %s", self.name, error)
            return False
        if found.get("identity") != self.identity:
            is_part = bool(self.kept_conditions(found))
            reason = (
                "completed: it has other conditions"
                if is_part
                else "evaluated again: it was made of something else"
            )
            logger.info("%s: %s", self.name, reason)
            return False
        return True

    @property
    def seems_kept(self) -> bool:
        """Whether a shard of its identity is there; it need not be whole."""
        try:
            return read_metadata(self.path).get("identity") == self.identity
        except ValueError:  # also if there is none
            return False

    def kept_conditions(self, metadata: Mapping[str, Any]) -> list[str]:
        """Return the conditions that a shard with these metadata holds as they are asked for."""
        found = metadata.get("identities", {})
        return [name for name, identity in self.identities.items() if found.get(name) == identity]

    def write(self, table: pa.Table, metadata: Mapping[str, Any]) -> None:
        """Write its file; a whole shard with conditions that are no longer asked for is kept."""
        identity = {"identity": self.identity}
        if self.is_measurement:
            write_measurement(self.path, table, {**metadata, **identity})
        else:
            identities = {"identities": dict(self.identities)}
            self._keep_earlier()
            write_shard(self.path, table, {**metadata, **identity, **identities})

    def _keep_earlier(self) -> None:
        try:
            found = read_whole(self.path).get("identities", {})
        except ValueError:
            return
        if self.earlier is None or found.keys() <= self.identities.keys():
            return
        with replacing(self.earlier) as temporary:
            try:
                os.link(self.path, temporary)
            except OSError:  # a file system without links
                shutil.copyfile(self.path, temporary)


def unfinished(tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks that are to be evaluated: those that are not kept."""
    left = [task for task in tasks if not task.is_kept]
    if len(left) < len(tasks):
        logger.info("%d of %d are kept, made by an earlier job", len(tasks) - len(left), len(tasks))
    return left


def evaluate_each(
    tasks: Iterable[Task], evaluate: Callable[[Task], tuple[pa.Table, Mapping[str, Any]]]
) -> Iterator[Task]:
    """Evaluate tasks one after another; yield each when its file is there.

    Raises
    ------
    FailedError
        after the last task, naming those that failed; the others' files are there.
    OSError, RuntimeError
        at once, if the disk or the accelerator is unusable: no other task would succeed.
    """
    reasons: dict[str, str] = {}
    for task in tasks:
        try:
            task.write(*evaluate(task))
        except Exception as error:
            if concerns_all(error):
                raise
            logger.info("%s: failed: %s", task.name, error, exc_info=True)
            reasons[task.name] = reason_of(error)
            release(error)  # it holds the model and the tensors of the failed cell
            continue
        logger.info("%s: evaluated", task.name)
        yield task
    if reasons:
        raise FailedError(reasons)
