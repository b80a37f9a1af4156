"""What Snakemake keeps of how a file was made, also where it did not live to see the file.

Snakemake repeats a job whose parameters, code or inputs have changed since. What it compares with
is recorded by the process that started the job, when that learns of the job's end. If it was killed
meanwhile, a job that goes on without it on a cluster ends well, its outputs count as whole, and
no later change of its parameters would ever be noticed. So each job's own Snakemake records the
same, in the same place; a Snakemake that lives writes it once more.
"""

from typing import Any

from snakemake.persistence import PersistenceBase
from snakemake.settings.types import ExecMode


def record_in_jobs(workflow: Any) -> None:
    """Have this Snakemake keep how outputs were made if it is one inside a job."""
    if workflow.exec_mode == ExecMode.DEFAULT:
        return
    finished = PersistenceBase.finished

    async def finished_and_recorded(self: Any, job: Any) -> None:
        settings = self.dag.workflow.workflow_settings
        mode, settings.exec_mode = settings.exec_mode, ExecMode.DEFAULT
        try:
            await finished(self, job)
        finally:
            settings.exec_mode = mode

    PersistenceBase.finished = finished_and_recorded
