"""Receipts: what a job has made, file by file, and the output that Snakemake knows it by.

Shards and measurements are no declared outputs: Snakemake deletes those before a job starts and
after it fails, finished ones too. A receipt lists them instead, each with what the configuration
asked for (`asked`), its identity, and its size. It is valid if it lists all that the study plans
for its job, as planned, and these files are there, unchanged; it may list more. So a cell that is
removed from the study costs nothing, and a cell that is added costs a start of its job, which keeps
what it finds. How Snakemake learns which are not valid is in `perturb.plan.stale`.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perturb.config import Config
from perturb.evaluate.digests import asked_digest
from perturb.files import replacing
from perturb.plan.jobs import Job, asked_of, jobs
from perturb.plan.paths import Paths


def stale_receipts(config: Config) -> list[str]:
    """Return the receipts that are not valid, or not there."""
    paths = Paths(config.results)
    return [
        job.receipt(paths)
        for job in jobs(config).values()
        if not _is_valid(config, job, job.receipt(paths))
    ]


def write_receipt(config: Config, job: Job, identities: Mapping[str, str]) -> None:
    """Write a job's receipt.

    Parameters
    ----------
    identities : of each file that the job makes.
    """
    entries = {
        _short(config, file): {
            "asked": asked_digest(asked),
            "identity": identities[file],
            "bytes": Path(file).stat().st_size,
        }
        for file, asked in asked_of(config, job)
    }
    with replacing(Path(job.receipt(Paths(config.results)))) as temporary:
        temporary.write_text(json.dumps({"files": entries}, indent=0) + "\n")


def done_files(config: Config) -> set[str]:
    """Return the files of all valid receipts that the study plans."""
    found: set[str] = set()
    for job in jobs(config).values():
        if _is_valid(config, job, job.receipt(Paths(config.results))):
            found |= job.files(Paths(config.results)).keys()
    return found


def _is_valid(config: Config, job: Job, receipt: str) -> bool:
    entries = _entries(receipt)
    if not entries:
        return False
    written_ns = os.stat(receipt).st_mtime_ns  # noqa: PTH116
    for file, asked in asked_of(config, job):
        entry = entries.get(_short(config, file))
        if entry is None or entry["asked"] != asked_digest(asked):
            return False
        try:
            status = os.stat(file)  # noqa: PTH116
        except OSError:
            return False
        # A file that was written later is another one, or the same: its job looks.
        if status.st_size != entry["bytes"] or status.st_mtime_ns > written_ns:
            return False
    return True


def _entries(receipt: str) -> dict[str, dict[str, Any]]:
    """Return what a receipt lists; nothing if there is none, or another program wrote it."""
    try:
        entries = json.loads(Path(receipt).read_text())["files"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return dict(entries) if isinstance(entries, dict) else {}


def _short(config: Config, file: str) -> str:
    return file.removeprefix(f"{config.results}/")
