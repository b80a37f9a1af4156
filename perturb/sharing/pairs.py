"""Cells of a study that two models both have, and their shards.

Only the cells of the configuration are read, each from its own path, so that no shard of an entry
that the configuration no longer names takes part. A shard is read if its identity is the one that
configuration, weights and images give now.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from perturb.config import Config
from perturb.evaluation.cell import Cell
from perturb.evaluation.shards import read_shard
from perturb.messages import ConfigError
from perturb.plan.cells import cells
from perturb.plan.jobs import Job
from perturb.plan.paths import Paths
from perturb.plan.tasks import tasks_of

_COLUMNS = ("condition", "image_id", "is_correct")
# Of stimuli whose shape and texture disagree no class is the right one.
_WITHOUT_ANSWER = "cue_conflict"


@dataclass
class Pairs:
    """The cells of two models.

    both : cells that the study plans for both, the first model's and the second's.
    of_one : cells that it plans for one of them alone.
    without_answer : cells of the first model on stimuli that have no right class.
    """

    both: list[tuple[Cell, Cell]] = field(default_factory=list)
    of_one: list[Cell] = field(default_factory=list)
    without_answer: list[Cell] = field(default_factory=list)


def pairs_of(config: Config, first: str, second: str) -> Pairs:
    """Return the cells of two models, in the order of the configuration.

    Raises
    ------
    ConfigError
        if one of them is no model of the study, or both are the same.
    """
    _check_models(config, first, second)
    of_first, of_second = (_places(config, model) for model in (first, second))
    found = Pairs()
    for place, cell in of_first.items():
        if config.datasets[cell.dataset].role == _WITHOUT_ANSWER:
            found.without_answer.append(cell)
        elif place in of_second:
            found.both.append((cell, of_second[place]))
        else:
            found.of_one.append(cell)
    found.of_one += [cell for place, cell in of_second.items() if place not in of_first]
    return found


def _check_models(config: Config, *models: str) -> None:
    mistakes = [
        f"there is no model {model!r} in this study; allowed: {', '.join(config.models)}"
        for model in dict.fromkeys(models)
        if model not in config.models
    ]
    if len(set(models)) < len(models):
        mistakes.append(f"model {models[0]!r} is named twice; allowed: two models")
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def _places(config: Config, model: str) -> dict[Cell, Cell]:
    """Return the cells of a model by what another model's cell has in common with it."""
    return {replace(cell, model=""): cell for cell in cells(config) if cell.model == model}


def rows_of(config: Config, cell: Cell) -> pa.Table:
    """Return condition, image and outcome of each prediction of a cell.

    Raises
    ------
    FileNotFoundError
        if the cell has no shard.
    ValueError
        if its shard was changed, or is not what the configuration asks for, or what tells it is not
        there.
    """
    path = Path(Paths(config.results).shard(cell))
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        task = tasks_of(config, Job(cell.model, "", (cell,)))[0][cell]
    except OSError as error:
        raise ValueError(f"{path}: {error.filename} is needed to check it: {error.strerror}") from (
            error
        )
    table, metadata = read_shard(path)
    if metadata.get("identity") != task.identity:
        found = metadata.get("identities", {})
        names = {**task.identities, **found}
        unlike = [name for name in names if found.get(name) != task.identities.get(name)]
        raise ValueError(
            f"{path}: was made of other images, weights or settings than the study's (condition "
            f"{', '.join(unlike)})"
        )
    return table.select(_COLUMNS)


def by_severity(found: Iterable[Cell]) -> Iterator[str]:
    """Yield the names of cells, one line for those that differ by severity or source alone."""
    lines: dict[tuple[str, ...], list[str]] = {}
    for cell in found:
        last = f"{cell.severity} {cell.source}" if cell.source else cell.severity
        lines.setdefault((cell.model, cell.dataset, cell.perturbation), []).append(last)
    for parts, severities in lines.items():
        yield " / ".join([*parts, ", ".join(severities).replace("_", "/")])
