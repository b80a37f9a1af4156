"""The finished cells of a study, from the metadata of its shards.

Only the footers of the Parquet files are read, so that thousands of shards take seconds, and the
predictions of each model on clean images. The rule `check_shards` checks the rows themselves.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perturb.config import Config
from perturb.evaluation.cell import Cell
from perturb.evaluation.shards import read_metadata
from perturb.experiments.registry import protocol_of
from perturb.plan.asked import seed_of
from perturb.plan.cells import cells
from perturb.plan.jobs import TRANSFER, jobs
from perturb.plan.paths import Paths
from perturb.runs.clean import ChanceWarnings

# Properties that should be the same in all shards of a comparison.
_MIXABLE = ("commit", "perturb", "python", "torch", "timm", "dtype")
_READERS = 4


@dataclass
class Work:
    """Evaluations on one kind of device; an image counts once per condition and sample."""

    seconds: float = 0
    num_images: int = 0

    @property
    def images_per_second(self) -> float:
        """The mean rate of all evaluations."""
        return self.num_images / self.seconds if self.seconds else 0


@dataclass
class Census:
    """The finished, missing and faulty cells of a study.

    counts : number of finished cells and of all cells, by model and perturbation.
    missing : cells without a shard, with the log of their job if it has started.
    faulty : shards with a fault, and the reason.
    devices : by the manufacturer's name.
    first_s, last_s : start of the first evaluation and end of the last one, in seconds since 1970.
    mixed : for each property that differs between shards, the number of shards by value.
    warnings : a sentence for each model that is no better than chance on clean images.
    """

    num_cells: int
    num_done: int = 0
    counts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    faulty: list[str] = field(default_factory=list)
    devices: dict[str, Work] = field(default_factory=dict)
    first_s: float | None = None
    last_s: float | None = None
    mixed: dict[str, dict[str, int]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def census(config: Config) -> Census:
    """Return the finished, missing and faulty cells of a study."""
    layout, asked = Paths(config.results), cells(config)
    found, logs = Census(num_cells=len(asked)), _logs(config, layout)
    values: dict[str, Counter[str]] = {name: Counter() for name in _MIXABLE}
    for cell, metadata in _read(layout, asked):
        key = cell.model, cell.perturbation
        done, total = found.counts.get(key, (0, 0))
        found.counts[key] = done, total + 1
        if metadata is None:
            found.missing.append(_named(cell, logs))
        elif isinstance(metadata, ValueError):
            found.faulty.append(str(metadata))
        elif fault := _fault(config, cell, metadata):
            found.faulty.append(f"{layout.shard(cell)}: {fault}")
        else:
            found.counts[key] = done + 1, total + 1
            _add(found, Path(layout.shard(cell)), metadata, values)
    found.warnings = ChanceWarnings(config).found()
    found.num_done = sum(done for done, _ in found.counts.values())
    found.mixed = {name: dict(counts) for name, counts in values.items() if len(counts) > 1}
    return found


def _read(
    layout: Paths, asked: Sequence[Cell]
) -> Iterator[tuple[Cell, Mapping[str, Any] | ValueError | None]]:
    """Yield each cell with its shard's metadata, None without a shard, or the fault."""

    def read(cell: Cell) -> Mapping[str, Any] | ValueError | None:
        path = Path(layout.shard(cell))
        try:
            return read_metadata(path) if path.exists() else None
        except ValueError as error:
            return error

    # Threads, because most of the time on a network file system is waiting.
    with ThreadPoolExecutor(_READERS) as readers:
        yield from zip(asked, readers.map(read, asked), strict=True)


def _fault(config: Config, cell: Cell, metadata: Mapping[str, Any]) -> str | None:
    """Return the reason why a shard's metadata are not those of its cell; None if they are."""
    expected = {
        "model": cell.model,
        "dataset": cell.dataset,
        "perturbation": cell.perturbation,
        "severity": cell.severity_value,
        "protocol": protocol_of(cell.perturbation),
        "seed": seed_of(config, cell.perturbation),
    }
    for key, value in expected.items():
        if metadata.get(key) != value:
            return f"{key} is {metadata.get(key)!r}, expected {value!r}"
    return None


def _add(
    found: Census, path: Path, metadata: Mapping[str, Any], values: Mapping[str, Counter[str]]
) -> None:
    ended, seconds = path.stat().st_mtime, float(metadata["seconds"])
    found.first_s = min(ended - seconds, ended if found.first_s is None else found.first_s)
    found.last_s = max(ended, ended if found.last_s is None else found.last_s)
    work = found.devices.setdefault(metadata["device"], Work())
    work.seconds += seconds
    work.num_images += metadata["num_images"] * sum(map(len, metadata["samples"].values()))
    facts = {**metadata["versions"], **metadata}
    for name, counts in values.items():
        counts[str(facts.get(name))] += 1


def _logs(config: Config, paths: Paths) -> dict[Cell, str]:
    """Return the log of the job of each cell."""
    return {
        cell: paths.log("transfer_attacks", job.model)
        if job.name == TRANSFER
        else paths.log("evaluate", job.model, job.name)
        for job in jobs(config).values()
        for cell in job.cells
    }


def _named(cell: Cell, logs: Mapping[Cell, str]) -> str:
    return f"{cell} (begun: see {logs[cell]})" if Path(logs[cell]).exists() else str(cell)
