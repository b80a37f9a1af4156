"""A copy of the repository as a fresh clone has it, and Snakemake run in it."""

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name

from envs.lock import DEV_LOCK, RUN_LOCK
from envs.pins import read_pins

ROOT = Path(__file__).parent.parent
CONFIG = "study.yaml"
TABLE_SUFFIXES = (".parquet", ".csv", ".md", ".tex")
# A name with spaces, quotes and a letter beyond ASCII.
UNUSUAL = 'it\'s a "Größe" of ours'


@dataclass(frozen=True)
class Workspace:
    """A folder with the repository's files; `study.yaml` in it is the configuration."""

    folder: Path

    def configure(self, study: dict[str, Any]) -> None:
        """Write the configuration."""
        (self.folder / CONFIG).write_text(yaml.safe_dump(study, sort_keys=False))

    def command(self, *arguments: str, configuration: str = CONFIG) -> list[str]:
        """Return the command line of a run."""
        return [
            *(sys.executable, "-m", "snakemake", "--cores", "2", "--nocolor"),
            *("--configfile", configuration, *arguments),
        ]

    def run(self, *arguments: str, configuration: str = CONFIG) -> subprocess.CompletedProcess[str]:
        """Run Snakemake to its end; its messages are in `stderr`."""
        command = self.command(*arguments, configuration=configuration)
        return run_command(command, self.folder)

    def python(self, arguments: Sequence[str], variables: dict[str, str]) -> str:
        """Run Python in an environment to a good end; return all that it writes."""
        return told_by([sys.executable, *arguments], self.folder, variables)

    def told(self, *arguments: str, status: int = 0, configuration: str = CONFIG) -> str:
        """Run Snakemake to its end, which is to come with this status; return all it writes."""
        command = self.command(*arguments, configuration=configuration)
        return told_by(command, self.folder, status=status)

    def planned(self) -> dict[str, int]:
        """Return how many jobs of each rule a run would start now."""
        return planned_jobs(self.told("--dry-run"))

    def tables(self, results: str = "results") -> dict[str, bytes]:
        """Return the content of every table in every format, but for measured times."""
        folder = self.folder / results / "tables"
        return {
            file.name: _timeless(file)
            for file in sorted(folder.iterdir())
            if file.suffix in TABLE_SUFFIXES
            and file.stem != "runs"
            # In its other formats a measured speed is a row as any other.
            and (file.stem != "leaderboard" or file.suffix == ".csv")
        }

    def copy(self, folder: Path) -> "Workspace":
        """Return a copy with the same times, so that it is as finished as this one."""
        shutil.copytree(self.folder, folder)
        return Workspace(folder)


def _timeless(table: Path) -> bytes:
    """Return the content of a table without the rows of measured speeds."""
    content = table.read_bytes()
    if table.stem != "leaderboard":
        return content
    return b"\n".join(line for line in content.splitlines() if b",images_per_second," not in line)


def locked_environment(folder: Path) -> dict[str, str]:
    """Return an environment in which Python finds only what the lock of a run holds.

    Parameters
    ----------
    folder : receives the module that hides the packages which the checks need besides.
    """
    run, checks = (read_pins(ROOT / lock) for lock in (RUN_LOCK, DEV_LOCK))
    hidden = [
        module
        for module, owners in packages_distributions().items()
        if {canonicalize_name(owner) for owner in owners} <= checks.keys() - run.keys()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(
        f"import sys\nsys.modules.update(dict.fromkeys({hidden!r}))\n"
    )
    return environment() | {"PYTHONPATH": str(folder)}


def planned_jobs(told: str) -> dict[str, int]:
    """Return the jobs that a dry run lists by rule; rules that share a script are one."""
    # The list stands there twice, before and after the jobs.
    counts = dict(re.findall(r"^(\w+) +(\d+)$", told, re.MULTILINE))
    planned: dict[str, int] = defaultdict(int)
    for rule, count in counts.items():
        if rule not in ("total", "all"):
            planned[re.sub(r"_\d+$", "", rule)] += int(count)
    return dict(planned)


def environment() -> dict[str, str]:
    """Return the environment without what pytest's own workers set."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}


def run_command(
    command: Sequence[str | Path], folder: Path = ROOT, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder to its end, in `environment()` or another."""
    given = {"cwd": folder, "env": environment() if variables is None else variables}
    return subprocess.run(command, capture_output=True, text=True, check=False, **given)


def told_by(
    command: Sequence[str | Path],
    folder: Path = ROOT,
    variables: dict[str, str] | None = None,
    *,
    status: int = 0,
) -> str:
    """Run a command to its end, which is to come with this status; return all that it writes."""
    done = run_command(command, folder, variables)
    told = done.stdout + done.stderr
    assert done.returncode == status, told
    return told


def make(*arguments: str) -> str:
    """Run make in the repository; return what it writes."""
    # The make that runs the tests would hand on its own flags, such as --keep-going.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return told_by(["make", "--no-print-directory", *arguments], ROOT, variables)


def files_of_repository(*folders: str) -> list[str]:
    """Return the files that git tracks or would by `git add --all`, of some folders or all."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *folders]
    return [
        name for name in run_command(listed).stdout.split("\0") if name and (ROOT / name).is_file()
    ]


def fresh_clone(folder: Path) -> Workspace:
    """Return a workspace of the files that git tracks or would, as they are now."""
    for name in files_of_repository():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return Workspace(folder)
