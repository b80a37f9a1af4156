"""Two models of a study compared, cell by cell, on the images that both have seen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from perturb.config import Config
from perturb.evaluation.cell import Cell
from perturb.experiments.corruptions.names import BENCHMARK_GROUPS, GROUPS, STORED_CORRUPTIONS
from perturb.experiments.registry import experiment_of
from perturb.sharing.differences import Differences, differences
from perturb.sharing.pairs import Pairs, pairs_of, rows_of

_GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}
# As in the tables: the mean is one of the clean images, or of stored copies of them.
_ROLES_OF_MEAN = ("clean", "corrupted")


@dataclass(frozen=True)
class Difference:
    """Accuracies of two models, and the first minus the second with its 95 % interval.

    first_predictions, second_predictions : of each image.
    """

    num_images: int
    first: float
    second: float
    value: float
    low: float
    high: float
    first_predictions: int
    second_predictions: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Row:
    """A difference under one group of conditions of a cell."""

    dataset: str
    perturbation: str
    condition: str
    severity: str
    difference: Difference


@dataclass
class Comparison:
    """The differences of two models.

    rows : in the order of the study.
    clean : on the clean dataset.
    mean : over the corruptions of the benchmark at all severities.
    missing, faulty : cells without a shard, and reasons why shards were not read.
    conditions_of_one : conditions of a cell that one of the models has.
    """

    first: str
    second: str
    pairs: Pairs
    rows: list[Row] = field(default_factory=list)
    clean: Difference | None = None
    mean: Difference | None = None
    missing: list[Cell] = field(default_factory=list)
    faulty: list[str] = field(default_factory=list)
    conditions_of_one: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether all cells that the study plans for both models were compared."""
        return not self.missing and not self.faulty


def compared(config: Config, first: str, second: str, *, by_condition: bool = False) -> Comparison:
    """Return the differences of two models over every cell that both have.

    Parameters
    ----------
    by_condition : a row for each corruption, not for each group of corruptions.

    Raises
    ------
    ConfigError
        if one of them is no model of the study.
    """
    found = Comparison(first, second, pairs_of(config, first, second))
    with differences() as collected:
        for position, pair in enumerate(found.pairs.both):
            _add(config, found, collected, position, pair, by_condition)
        for row in collected.of_cells():
            cell = found.pairs.both[row["position"]][0]
            found.rows.append(_row(cell, row))
            if cell.dataset == config.clean_dataset.id and cell.perturbation == "none":
                found.clean = found.rows[-1].difference
        mean = collected.of_mean()
        found.mean = _difference(mean) if mean else None
    return found


def _add(
    config: Config,
    found: Comparison,
    collected: Differences,
    position: int,
    pair: tuple[Cell, Cell],
    by_condition: bool,
) -> None:
    """Add a cell of both models, or note why it is left out."""
    rows: list[pa.Table] = []
    for cell in pair:
        try:
            rows.append(rows_of(config, cell))
        except FileNotFoundError:
            found.missing.append(cell)
        except ValueError as error:
            found.faulty.append(str(error))
    if len(rows) < 2:
        return
    names = [table["condition"].cast(pa.string()).unique().to_pylist() for table in rows]
    shared = [name for name in names[0] if name in names[1]]
    for cell, own in zip(pair, names, strict=True):
        alone = [name for name in own if name not in shared]
        found.conditions_of_one += [f"{cell}: {', '.join(alone)}"] if alone else []
    if not shared:
        return
    try:
        collected.add(position, *rows, groups=_groups(config, pair[0], shared, by_condition))
    except ValueError as error:
        found.faulty.append(f"{pair[0]} and {pair[1]}: {error}")


def _groups(
    config: Config, cell: Cell, conditions: list[str], by_condition: bool
) -> Mapping[str, list[Any]]:
    """Return the group of each condition: that of a corruption, elsewhere the condition itself."""
    is_corruption = experiment_of(cell.perturbation) == experiment_of(STORED_CORRUPTIONS)
    is_in_mean = is_corruption and config.datasets[cell.dataset].role in _ROLES_OF_MEAN
    groups = [_GROUP_OF[name] if is_corruption else name for name in conditions]
    return {
        "condition": conditions,
        "condition_group": conditions if by_condition else groups,
        "is_in_mean": [is_in_mean and group in BENCHMARK_GROUPS for group in groups],
    }


def _row(cell: Cell, row: Mapping[str, Any]) -> Row:
    severity = cell.severity.replace("_", "/")
    return Row(cell.dataset, cell.perturbation, row["condition"], severity, _difference(row))


def _difference(row: Mapping[str, Any]) -> Difference:
    return Difference(
        num_images=row["num_images"],
        first=row["first_accuracy"],
        second=row["second_accuracy"],
        value=row["difference"],
        low=row["low"],
        high=row["high"],
        first_predictions=row["first_predictions"],
        second_predictions=row["second_predictions"],
    )
