"""Finished and missing cells of a study: ``perturb status``.

The command reads the shards' metadata, during a run or after it. Hours are those of evaluation;
they exclude loading models, training and waiting in a queue. The time of a shard is that of its
file, which a copy may not keep. The state of the last run is that of the status file.
"""

import argparse
import json
import socket
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from perturb.config import Config, ConfigError
from perturb.config.given import add_study_arguments, given_study
from perturb.formatting import duration
from perturb.plan.unused import summary, unused_files
from perturb.runs.census import Census, census
from perturb.runs.events import Failure
from perturb.runs.progress import NUM_NAMED, STATUS_FILE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_study_arguments(parser)
    parser.add_argument("--json", action="store_true", help="for programs; names all cells")


def run(arguments: argparse.Namespace) -> int:
    """Write the finished and missing cells of the study to standard output.

    Returns 0 if all cells are done, 1 if some are not, 2 if the configuration is not valid.
    """
    try:
        config = given_study(arguments)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    found, last = census(config), last_run(config)
    if arguments.json:
        told = json.dumps(as_json(found, last), indent=1)
    else:
        told = "\n".join(described(config, found, last))
    sys.stdout.write(told + "\n")
    return 0 if found.num_done == found.num_cells else 1


def last_run(config: Config) -> dict[str, Any] | None:
    """Return the record of the study's last run, if it had one.

    It is the status file, with the state `killed` if the process no longer exists.
    """
    try:
        record: dict[str, Any] = json.loads((Path(config.results) / STATUS_FILE).read_text())
    except (OSError, ValueError):
        return None
    started_s = datetime.fromisoformat(record["started"]).timestamp()
    if record["state"] == "running" and _is_gone(record["host"], record["pid"], started_s):
        record["state"] = "killed"
    return record


def _is_gone(host: str, process: int, started_s: float) -> bool:
    """Return whether the process of a run does not exist any more."""
    if host != socket.gethostname():
        return False
    try:
        # A later process may have the same number.
        return psutil.Process(process).create_time() >= started_s + 1
    except psutil.Error:
        return True


def as_json(found: Census, last: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the census for programs; `run` is the result of `last_run`."""
    return {
        "schema": 1,
        "cells": {
            "total": found.num_cells,
            "done": found.num_done,
            "missing": found.missing,
            "faulty": found.faulty,
        },
        "counts": [
            {"model": model, "perturbation": perturbation, "done": done, "total": total}
            for (model, perturbation), (done, total) in found.counts.items()
        ],
        "devices": [
            {
                "device": name,
                "hours": work.seconds / 3600,
                "images": work.num_images,
                "images_per_second": work.images_per_second,
            }
            for name, work in found.devices.items()
        ],
        "first": _when(found.first_s),
        "last": _when(found.last_s),
        "mixed": found.mixed,
        "warnings": found.warnings,
        "run": last,
    }


def described(config: Config, found: Census, last: Mapping[str, Any] | None) -> list[str]:
    """Return the census for people, line by line."""
    return [
        config.title,
        f"{found.num_done:,} of {found.num_cells:,} cells are done in {config.results}",
        *_of_run(last),
        *(f"WARNING: {warning}" for warning in found.warnings),
        *([summary(config, unused)] if (unused := unused_files(config)) else []),
        "",
        *_grid(found),
        "",
        *_devices(found),
        *_named("missing", found.missing),
        *_named("faulty", found.faulty),
        *_mixed(found),
    ]


def _of_run(last: Mapping[str, Any] | None) -> list[str]:
    if last is None:
        return []
    line = f"Last run: {last['state']}, recorded at {last['updated']} by process {last['pid']}"
    failures = [str(Failure(each["rule"], tuple(each["log"]))) for each in last["failures"]]
    return [f"{line} on {last['host']}", *_named("jobs failed", failures, last["num_failed"])]


def _grid(found: Census) -> list[str]:
    """Return the counts, with a row per model and a column per perturbation."""
    models = list(dict.fromkeys(model for model, _ in found.counts))
    perturbations = list(dict.fromkeys(perturbation for _, perturbation in found.counts))
    rows = [["", *perturbations]] + [
        [model, *("/".join(map(str, found.counts.get((model, p), "-"))) for p in perturbations)]
        for model in models
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]


def _devices(found: Census) -> list[str]:
    lines = [
        f"{work.seconds / 3600:,.3g} device hours on {name}: {work.num_images:,} images in all "
        f"conditions, {work.images_per_second:,.0f} a second"
        for name, work in found.devices.items()
    ]
    if found.first_s is not None and found.last_s is not None:
        passed = duration(found.last_s - found.first_s)
        lines.append(f"From {_when(found.first_s)} to {_when(found.last_s)}: {passed}")
    return lines


def _named(what: str, names: Sequence[str], number: int | None = None) -> list[str]:
    number = len(names) if number is None else number
    if not number:
        return []
    more = [f"  and {number - NUM_NAMED:,} more"] if number > NUM_NAMED else []
    return [f"{number:,} {what}:", *(f"  {name}" for name in names[:NUM_NAMED]), *more]


def _mixed(found: Census) -> list[str]:
    return [
        f"Mixed {name}: " + ", ".join(f"{value} ({number:,})" for value, number in counts.items())
        for name, counts in found.mixed.items()
    ]


def _when(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
