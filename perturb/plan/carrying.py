"""Receipts that follow from others: of jobs that are named or grouped otherwise than before.

The name and the models of a job depend on the configuration, its results do not. If receipts of
other jobs list all files of a job as they are planned, its own is written, and the job need not
start to find that there is nothing to do. A receipt that is there then lists these files alone: a
study that asked for more, in the same folder, starts that job again, which keeps its files.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perturb.config import Config
from perturb.evaluation.digests import asked_digest
from perturb.plan.jobs import Job, asked_of, jobs, stores_of_job
from perturb.plan.paths import Paths
from perturb.plan.receipts import entries_of, is_of_file, short, stale_receipts, write_entries


@dataclass(frozen=True)
class _Listed:
    """An entry of a receipt that was written at a time."""

    entry: Mapping[str, Any]
    written_ns: int


def carry_receipts(config: Config) -> list[str]:
    """Write the receipts that follow from others; return those that are missing or not valid."""
    paths = Paths(config.results)
    stale = set(stale_receipts(config))
    listed = _listed(paths) if stale else {}
    for job in jobs(config).values():
        receipt = job.receipt(paths)
        found = _found(config, job, listed) if receipt in stale else None
        if found and _are_older(
            inputs_of(config, job), min(one.written_ns for one in found.values())
        ):
            write_entries(Path(receipt), {file: one.entry for file, one in found.items()})
            stale.remove(receipt)
    return sorted(stale)


def inputs_of(config: Config, job: Job) -> list[str]:
    """Return the files that Snakemake compares with a job's receipt by their dates."""
    paths, stores, models = Paths(config.results), stores_of_job(config, job), job.models()
    of_stores = [file(store) for store in stores for file in (paths.images, paths.manifest)]
    return of_stores + [file(model) for model in models for file in (paths.weights, paths.card)]


def _listed(paths: Paths) -> dict[str, list[_Listed]]:
    """Return the entries of each file in all receipts."""
    found: dict[str, list[_Listed]] = {}
    for receipt in Path(paths.receipts).rglob("*.json"):
        try:  # before it is read: a run may replace it
            written_ns = receipt.stat().st_mtime_ns
        except FileNotFoundError:
            continue
        for file, entry in entries_of(receipt).items():
            found.setdefault(file, []).append(_Listed(entry, written_ns))
    return found


def _found(
    config: Config, job: Job, listed: Mapping[str, Iterable[_Listed]]
) -> dict[str, _Listed] | None:
    """Return the latest valid entry of each file of a job; None if a file has none."""
    found = {}
    for file, asked in asked_of(config, job):
        name, digest = short(config, file), asked_digest(asked)
        valid = [
            one
            for one in listed.get(name, ())
            if one.entry.get("asked") == digest and is_of_file(one.entry, file, one.written_ns)
        ]
        if not valid:
            return None
        found[name] = max(valid, key=lambda one: one.written_ns)
    return found


def _are_older(files: Iterable[str], time_ns: int) -> bool:
    """Return whether all files are there and not newer than a time."""
    try:
        return all(os.stat(file).st_mtime_ns <= time_ns for file in files)  # noqa: PTH116
    except OSError:
        return False
