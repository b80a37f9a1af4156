"""A Snakemake that hands jobs to the cluster of the tests: watched, waited for, killed."""

import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import Cluster, wait_until

# How long a run of a few jobs may take on a busy machine [s].
PATIENCE = 240


@dataclass(frozen=True)
class Run:
    """A Snakemake that hands jobs to the cluster."""

    process: subprocess.Popen[bytes]
    cluster: Cluster
    log: Path

    def told(self) -> str:
        """Return what it told so far."""
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

    def end(self) -> int:
        """Wait for its end and return its exit status."""
        return self.process.wait(timeout=PATIENCE)

    def kill(self) -> None:
        """End it as a machine does that runs out of memory: at once, without a word to its jobs."""
        if not self.has_ended():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
