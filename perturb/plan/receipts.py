"""Receipts: the list of a job's files, which is the job's output for Snakemake.

Shards and measurements are not declared as outputs, because Snakemake deletes outputs before a job
starts and after it fails, including finished ones. Instead a receipt lists them, each with the
configuration's part of its identity (`asked`), its identity, and its size. A receipt is valid if it
lists all files that the study plans for the job, as planned, and these files exist and are
unchanged; it may list more. So removing a cell from the study repeats nothing, and adding one
starts its job again, which keeps the existing files. `perturb.plan.stale` reports receipts that
are not valid to Snakemake.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perturb.config import Config
from perturb.evaluation.digests import asked_digest
from perturb.files import replacing
from perturb.plan.jobs import Job, asked_of, jobs
from perturb.plan.paths import Paths


def stale_receipts(config: Config) -> list[str]:
    """Return the receipts that are missing or not valid."""
    paths = Paths(config.results)
    return [
        job.receipt(paths)
        for job in jobs(config).values()
        if not _is_valid(config, job, job.receipt(paths))
    ]


def write_receipt(config: Config, job: Job, identities: Mapping[str, str]) -> None:
    """Write a job's receipt, with the identity of each file that the job makes."""
    entries = {
        short(config, file): {
            "asked": asked_digest(asked),
            "identity": identities[file],
            "bytes": Path(file).stat().st_size,
        }
        for file, asked in asked_of(config, job)
    }
    write_entries(Path(job.receipt(Paths(config.results))), entries)


def write_entries(receipt: Path, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a receipt that lists these files, each by its path below the results folder."""
    with replacing(receipt) as temporary:
        temporary.write_text(json.dumps({"files": entries}, indent=0) + "\n")


def done_files(config: Config) -> set[str]:
    """Return the planned files that valid receipts list."""
    found: set[str] = set()
    for job in jobs(config).values():
        if _is_valid(config, job, job.receipt(Paths(config.results))):
            found |= job.files(Paths(config.results)).keys()
    return found


def _is_valid(config: Config, job: Job, receipt: str) -> bool:
    entries = entries_of(receipt)
    if not entries:
        return False
    written_ns = os.stat(receipt).st_mtime_ns  # noqa: PTH116
    for file, asked in asked_of(config, job):
        entry = entries.get(short(config, file))
        if entry is None or entry["asked"] != asked_digest(asked):
            return False
        if not is_of_file(entry, file, written_ns):
            return False
    return True


def is_of_file(entry: Mapping[str, Any], file: str, written_ns: int) -> bool:
    """Return whether a file is as an entry of a receipt says that was written at a time."""
    try:
        status = os.stat(file)  # noqa: PTH116
    except OSError:
        return False
    # A file that was written later may have changed: its job checks it.
    return bool(status.st_size == entry["bytes"] and status.st_mtime_ns <= written_ns)


def entries_of(receipt: str | Path) -> dict[str, dict[str, Any]]:
    """Return the entries of a receipt; none if it is missing or another program wrote it."""
    try:
        entries = json.loads(Path(receipt).read_text())["files"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return dict(entries) if isinstance(entries, dict) else {}


def short(config: Config, file: str) -> str:
    """Return the path of a file below the results folder."""
    return file.removeprefix(f"{config.results}/")
