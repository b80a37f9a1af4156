"""Shards that a failed job had finished stay where they are.

Snakemake removes all outputs of a job that failed, since they might be corrupted. A shard cannot
be: it gets its name when it is whole, and is one cell's, whatever becomes of the others. The job is
repeated all the same, as it lacks the others; it takes the finished ones from where
`perturb.evaluate.finished` keeps them.
"""

import re
from collections.abc import Collection
from typing import Any

from snakemake.jobs import Job

_EVALUATING = re.compile(r"evaluate_cells_\d+|transfer_attacks")


def keep_finished_shards() -> None:
    """Have this Snakemake remove no shard of a job that failed."""
    cleanup = Job.cleanup

    async def cleanup_of_others(self: Any, skip_outputs: Collection[Any]) -> None:
        if not _EVALUATING.fullmatch(self.rule.name):
            await cleanup(self, skip_outputs)

    Job.cleanup = cleanup_of_others
