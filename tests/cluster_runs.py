"""A Snakemake that hands jobs to the cluster of the tests: watched, waited for, killed."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import Cluster, wait_until
from tests.workspace import CONFIG, Workspace

# How long a run of a few jobs may take on a busy machine [s].
PATIENCE = 240


@dataclass(frozen=True)
class Run:
    """A Snakemake that hands jobs to the cluster."""

    process: subprocess.Popen[bytes]
    cluster: Cluster
    log: Path

    def told(self) -> str:
        """Return the output so far."""
        return self.log.read_text()

    def run_id(self) -> str | None:
        """Return the name that all its jobs have, once it is known."""
        found = re.search(r"SLURM run ID: (\S+)", self.told())
        return found[1] if found else None

    def jobs(self, rule: str = "", state: str = "") -> dict[str, dict[str, str]]:
        """Return its jobs of a rule that are in a state, by their numbers."""
        return {
            id: job
            for id, job in self.cluster.jobs().items()
            if job["name"] == self.run_id()
            and job["comment"].startswith(f"rule_{rule}")
            and state in ("", job["state"])
        }

    def wait_for(self, rule: str, state: str) -> dict[str, str]:
        """Wait for the first job of a rule in a state, and return it with its number as `id`."""
        wait_until(lambda: self.jobs(rule, state) or self.has_ended(), PATIENCE, self.told)
        assert self.jobs(rule, state), self.told()
        return next(iter(self.jobs(rule, state).values()))

    def has_ended(self) -> bool:
        """Tell whether it has come to its end."""
        return self.process.poll() is not None

    def submitted_before_any_end(self) -> bool:
        """Tell whether all its jobs were submitted before it knew of the end of one."""
        told = self.told()
        ends = [told.find(word) for word in ("Finished jobid", "Error in rule") if word in told]
        return told.rfind("has been submitted") < min(ends, default=len(told))

    def end(self, patience_s: float = PATIENCE) -> int:
        """Wait for its end and return its exit status."""
        return self.process.wait(timeout=patience_s)

    def kill(self) -> None:
        """End it as a machine does that runs out of memory: at once, without a word to its jobs."""
        if not self.has_ended():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


Start = Callable[..., Run]


@contextlib.contextmanager
def starting(cluster: Cluster) -> Iterator[Start]:
    """Yield what starts runs on a cluster; all of them have ended when the tests have.

    It takes the workspace, targets and, by name: `configuration`; `asked`, resources of a rule;
    another whole `command`; variables of the environment.
    """
    runs: list[Run] = []

    def start(
        workspace: Workspace,
        *targets: str,
        configuration: str = CONFIG,
        asked: str = "",
        command: Sequence[str] = (),
        **variables: str,
    ) -> Run:
        log = workspace.folder.with_name(f"{workspace.folder.name}-{len(runs)}.log")
        # As a user writes it, from the root of a fresh clone.
        given = [*targets, "--profile", "slurm", "--configfile", configuration]
        resources = ("--set-resources", asked) if asked else ()
        with log.open("w") as file:
            process = subprocess.Popen(
                command or ["snakemake", *given, *resources],
                cwd=workspace.folder,
                # Seven seconds: about what a job takes here. And each asks for a fake GPU, though
                # the study computes on CPUs: its jobs would not find the GPU that they asked for.
                env=cluster.environment()
                | {"PERTURB_SLURM_POLL": "7", "SBATCH_GPUS": "1"}
                | variables,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        runs.append(Run(process, cluster, log))
        return runs[-1]

    try:
        yield start
    finally:
        for run in runs:
            run.kill()
