"""A table from shards: every number is computed by DuckDB, from the SQL file of the table's name.

The inputs are handed over by name and read as explicit lists: a glob would count a stale shard.
The result has the same bytes whatever the number of threads and the order of the files: counts
are integers, floating-point sums are ordered (`macros.sql`), and every query orders its rows.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from perturb.perturbations.names import BENCHMARK_CORRUPTIONS, CORRUPTIONS
from perturb.tables.catalogue import FOLDER, table_named
from perturb.tables.correlations import rank_correlations

Sources = Mapping[str, Path | Sequence[Path]]
Parameters = Mapping[str, int]

# ImageNet-C's own groups, by the number of corruptions in each.
_GROUPS = ["Noise"] * 3 + ["Blur"] * 4 + ["Weather"] * 4 + ["Digital"] * 4 + ["Extra"] * 4

# Types that cannot be read off a CSV file: AlexNet's severities are all empty.
_CSV_TYPES = {
    "reference_errors": {"severity": "INTEGER", "error": "DOUBLE"},
    "claim_rules": {"threshold": "DOUBLE", "minimum_models": "INTEGER"},
}


def make_table(
    name: str, sources: Sources, parameters: Parameters | None = None, *, threads: int = 1
) -> pa.Table:
    """Return a table of the study.

    Parameters
    ----------
    name : one of `perturb.tables.TABLES`, which says what each table needs.
    sources : the files of each needed relation. `decisions`: verified shards, all of the cells
        that the table covers; `models`, `datasets`: Parquet; `reference_errors`, `claim_rules`:
        Parquet or CSV; `inventory`: what the shards say of how they were made.
    parameters : `num_resamples` and `seed` for `claims`, none for the others.
    threads : for DuckDB; the result does not depend on it.

    Raises
    ------
    ValueError
        if a source or a parameter is missing or unknown, or the models cannot be compared: not
        the same images and conditions on every test set.
    """
    table = table_named(name)
    parameters = parameters or {}
    _check_names(f"{name}: sources", sources, table.sources)
    _check_names(f"{name}: parameters", parameters, table.parameters)
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.register("corruptions", _corruptions())
        connection.execute((FOLDER / "macros.sql").read_text())
        for source, files in sources.items():
            _register(connection, source, files)
        for relation in table.relations:
            _build(connection, relation, parameters)
        return _fetch(connection, (FOLDER / f"{name}.sql").read_text())


def _build(connection: duckdb.DuckDBPyConnection, relation: str, parameters: Parameters) -> None:
    if relation == "rank_correlations":
        outcomes = _fetch(connection, "FROM image_outcomes JOIN benchmark_models USING (model)")
        connection.register(relation, rank_correlations(outcomes, **parameters))
        return
    connection.execute((FOLDER / "relations" / f"{relation}.sql").read_text())
    if relation == "image_outcomes":
        checks = (FOLDER / "relations" / "checks.sql").read_text()
        problems = _fetch(connection, checks)["problem"].to_pylist()
        if problems:
            raise ValueError("\n".join(problems))


def _register(
    connection: duckdb.DuckDBPyConnection, source: str, files: Path | Sequence[Path]
) -> None:
    """Create the view of a source's name over exactly these files."""
    paths = [files] if isinstance(files, Path) else list(files)
    if not paths:
        raise ValueError(f"{source}: no files; at least one is needed")
    listed = ", ".join(f"'{_quoted(path)}'" for path in sorted(paths))
    if paths[0].suffix == ".csv":
        reader = f"read_csv([{listed}], header = true, types = {_CSV_TYPES.get(source, {})})"
    else:
        reader = f"read_parquet([{listed}], hive_partitioning = false)"
    connection.execute(f"CREATE TEMP VIEW {source} AS FROM {reader}")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _fetch(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    try:
        return connection.sql(query).to_arrow_table()
    except duckdb.InvalidInputException as error:  # error() in one of the queries
        raise ValueError(str(error)) from error


def _check_names(what: str, given: Mapping[str, object], needed: Sequence[str]) -> None:
    if sorted(given) != sorted(needed):
        raise ValueError(f"{what} are {sorted(given)}; needed: {sorted(needed)}")


def _corruptions() -> pa.Table:
    return pa.table(
        {
            "corruption": CORRUPTIONS,
            "corruption_group": _GROUPS,
            "position": range(len(CORRUPTIONS)),
            "is_benchmark": [name in BENCHMARK_CORRUPTIONS for name in CORRUPTIONS],
        }
    )
