"""Models whose clean accuracy is no better than chance: something about them is not as it says.

A label read as another, a class index of another order, constants of another scale: each gives an
accuracy like any other, but one that a guess reaches. What counts as that is one query,
`relations/clean_chance.sql`, which the tables and the page, the terminal and `status` read.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from perturb.config import Config
from perturb.evaluate.cell import Cell
from perturb.plan.paths import Paths
from perturb.tables.catalogue import FOLDER
from perturb.tables.display import formatted

logger = logging.getLogger(__name__)

_RELATION = FOLDER / "relations" / "clean_chance.sql"


def chance_warnings(config: Config, models: Sequence[str] | None = None) -> list[str]:
    """Return a sentence for each model whose clean accuracy is no better than chance.

    Parameters
    ----------
    models : to look at, all of the study's where none are named; those whose shard of clean images
        is not there yet are passed over.

    Raises
    ------
    ValueError
        if such a shard cannot be read.
    """
    clean = config.clean_dataset.id
    cells = [Cell(model, clean, "none", "0") for model in models or config.models]
    paths = [Path(Paths(config.results).shard(cell)) for cell in cells]
    rows = clean_chance([path for path in paths if path.exists()], clean)
    return [warning_of(row["model"], row) for row in rows if row["warning"]]


def warn_of_chance(config: Config, models: Sequence[str] | None = None) -> None:
    """Log `chance_warnings`, which show on the terminal (see `perturb.logs`)."""
    for warning in chance_warnings(config, models):
        logger.warning("%s", warning)


def warn_of_clean(config: Config, cell: Cell) -> None:
    """Log a warning if a cell is that of clean images, and its model no better than chance."""
    if (cell.dataset, cell.perturbation) == (config.clean_dataset.id, "none"):
        warn_of_chance(config, [cell.model])


def clean_chance(shards: Sequence[Path], dataset: str) -> list[dict[str, Any]]:
    """Return the rows of the relation `clean_chance`, from shards of clean images alone.

    Parameters
    ----------
    shards : of the cells `none` of the clean set.
    dataset : its id.
    """
    if not shards:
        return []
    roles = pa.table({"dataset": [dataset], "role": ["clean"]})
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute((FOLDER / "macros.sql").read_text())
        connection.register("datasets", roles)
        try:
            connection.read_parquet([str(path) for path in shards]).create_view("decisions")
            connection.execute(_RELATION.read_text())
            rows = connection.sql("FROM clean_chance ORDER BY model").to_arrow_table().to_pylist()
        except duckdb.Error as error:
            raise ValueError(f"shards of clean images cannot be read: {error}") from error
    return list(rows)


def warning_of(name: str, row: Mapping[str, Any]) -> str:
    """Return what is to be said of a model that is at chance.

    Parameters
    ----------
    name : what the reader knows the model as.
    row : of `clean_chance`, or of the table `models`, which has the same columns.
    """
    top1, low, high, chance = (
        formatted(row[key], "percent")
        for key in ("clean_top1", "clean_top1_low", "clean_top1_high", "chance")
    )
    return (
        f"{name}: {row['warning']}: accuracy on {formatted(row['num_images'], 'count')} clean "
        f"images is {top1} % [{low}, {high}], no better than chance ({chance} %)"
    )
