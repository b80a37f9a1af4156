"""Models whose clean accuracy is no better than chance: a sign of wrong inputs.

Wrong labels, a class index in another order, or normalisation constants of another scale cause no
error, but an accuracy at chance. The query `relations/clean_chance.sql` defines it for the tables,
the page, the terminal and `status`; `perturb.plan.clean_chance` finds the shards of a study.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from perturb.formatting import formatted
from perturb.tables.queries import FOLDER

_RELATION = FOLDER / "relations" / "clean_chance.sql"


def clean_chance(shards: Sequence[Path], dataset: str) -> list[dict[str, Any]]:
    """Return the rows of `clean_chance`, from the shards of the cells `none` of a dataset."""
    import duckdb  # where it is used: most jobs evaluate no clean images

    from perturb.tables.connection import define_functions

    if not shards:
        return []
    roles = pa.table({"dataset": [dataset], "role": ["clean"]})
    with duckdb.connect(config={"threads": 1}) as connection:
        define_functions(connection)
        connection.register("datasets", roles)
        try:
            connection.read_parquet([str(path) for path in shards]).create_view("predictions")
            connection.execute(_RELATION.read_text())
            rows = connection.sql("FROM clean_chance ORDER BY model").to_arrow_table().to_pylist()
        except duckdb.Error as error:
            raise ValueError(f"shards of clean images cannot be read: {error}") from error
    return list(rows)


def warning_of(name: str, row: Mapping[str, Any]) -> str:
    """Return the warning of a model at chance.

    Parameters
    ----------
    name : of the model, for readers.
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
