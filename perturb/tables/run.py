"""A table from shards: every number is computed by DuckDB, from the SQL file of the table's name.

The inputs are handed over by name and read as explicit lists: a glob would count a stale shard.
The result has the same bytes whatever the number of threads and the order of the files: counts
are integers, floating-point sums are ordered (`macros.sql`), and every query orders its rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from perturb.experiments.corruptions.names import BENCHMARK_CORRUPTIONS, CORRUPTIONS
from perturb.tables.catalogue import FOLDER, checks_of, table_named
from perturb.tables.correlations import rank_correlations

Sources = Mapping[str, Path | Sequence[Path]]
Parameters = Mapping[str, float | None]

# ImageNet-C's own groups, by the number of corruptions in each.
_GROUPS = ["Noise"] * 3 + ["Blur"] * 4 + ["Weather"] * 4 + ["Digital"] * 4 + ["Extra"] * 4

# Types that cannot be read off a CSV file: AlexNet's severities are all empty.
_CSV_TYPES = {
    "reference_errors": {"severity": "INTEGER", "error": "DOUBLE"},
    "claim_rules": {"threshold": "DOUBLE", "minimum_models": "INTEGER"},
    "paper_figures": {
        "condition": "VARCHAR",
        "level": "INTEGER",
        "grid_side": "INTEGER",
        "value": "DOUBLE",
        "tolerance": "DOUBLE",
        "num_samples": "INTEGER",
    },
    "published_top1": {"crop": "DOUBLE", "value": "DOUBLE", "tolerance": "DOUBLE"},
}
# Columns of sources that a study may lack, as a whole or in part: what lacks is empty.
_COLUMNS = {
    "models": {"paper_pretraining": "VARCHAR", "timm_tag": "VARCHAR"},
    "datasets": {
        "published": "VARCHAR",
        "num_classes": "INTEGER",
        "num_subset_classes": "INTEGER",
    },
    "stimuli": {
        "image_id": "VARCHAR",
        "target": "SMALLINT",
        "texture": "SMALLINT",
        "target_label": "VARCHAR",
    },
    "patterns": {
        "model": "VARCHAR",
        "image_id": "VARCHAR",
        "patch_px": "INTEGER",
        "border_ratio": "FLOAT",
        "foreground_ratio": "FLOAT",
    },
    "representations": {
        "model": "VARCHAR",
        "measure": "VARCHAR",
        "layer_a": "SMALLINT",
        "layer_b": "SMALLINT",
        "value": "DOUBLE",
        "spread": "DOUBLE",
        "num_images": "INTEGER",
        "image_id": "VARCHAR",
    },
}


def make_table(
    name: str,
    sources: Sources,
    parameters: Parameters | None = None,
    *,
    threads: int = 1,
    memory_mb: int | None = None,
) -> pa.Table:
    """Return a table of the study.

    Parameters
    ----------
    name : one of `perturb.tables.TABLES`, which says what each table needs.
    sources : the files of each needed relation. `decisions`: verified shards, all of the cells
        that the table covers; `models`, `datasets`: Parquet; `reference_errors`, `claim_rules`:
        Parquet or CSV; `stimuli`: manifests of cue-conflict sets (image_id, target, texture;
        target_label if there is one); `patterns`: measures of perturbations (model, image_id,
        patch_px, border_ratio, foreground_ratio); `representations`: how alike layers are (model,
        measure, layer_a, layer_b, value, spread, num_images; with image_id and without layers:
        `pearson_all_rise` and `pearson_cls_rise`, by how much the correlation of the last third's
        layers exceeds that of the first third's); `inventory`: what the shards say of how they
        were made; `paper_figures`, `published_top1`: what others published, as the files of these
        names in `resources/` hold it. The table's optional ones may be empty.
    parameters : `num_resamples` and `seed` of the bootstrap; `headline_epsilon`: the epsilon that
        models are compared at, in units of [0, 1], None in a study without attacks.
    threads : for DuckDB; the result does not depend on it.
    memory_mb : that DuckDB may take [MB]; what needs more goes to temporary files. None for most of
        the machine's.

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
    with _connected(threads, memory_mb) as connection:
        # The relations of one table read the same files several times.
        connection.execute("SET parquet_metadata_cache = true")
        connection.register("corruptions", _corruptions())
        connection.execute((FOLDER / "macros.sql").read_text())
        for key, value in parameters.items():
            connection.execute(f"SET VARIABLE {key} = ?", [value])
        for source, files in sources.items():
            paths = [files] if isinstance(files, Path) else sorted(files)
            if not paths and source not in table.optional:
                raise ValueError(f"{source}: no files; at least one is needed")
            connection.execute(f"CREATE TEMP VIEW {source} AS {_reader(source, paths)}")
        for relation in table.relations:
            _build(connection, relation, parameters)
        return _fetch(connection, (FOLDER / f"{name}.sql").read_text())


@contextmanager
def _connected(threads: int, memory_mb: int | None) -> Iterator[duckdb.DuckDBPyConnection]:
    # Not where DuckDB would put its files: the folder that the workflow runs in.
    with TemporaryDirectory(prefix="perturb-") as folder:
        settings: dict[str, str | int] = {"threads": threads, "temp_directory": folder}
        if memory_mb is not None:
            settings["memory_limit"] = f"{memory_mb}MB"
        with duckdb.connect(config=settings) as connection:
            yield connection


def _build(connection: duckdb.DuckDBPyConnection, relation: str, parameters: Parameters) -> None:
    if relation == "rank_correlations":
        outcomes = _fetch(connection, "FROM image_outcomes JOIN compared_models USING (model)")
        connection.register(relation, rank_correlations(outcomes, **_bootstrap(parameters)))
        return
    connection.execute((FOLDER / "relations" / f"{relation}.sql").read_text())
    checks = checks_of(relation)
    if checks:
        problems = _fetch(connection, checks.read_text())["problem"].to_pylist()
        if problems:
            raise ValueError("\n".join(problems))


def _bootstrap(parameters: Parameters) -> dict[str, int]:
    return {
        name: int(value)
        for name, value in parameters.items()
        if name in ("num_resamples", "seed") and value is not None
    }


def _reader(source: str, paths: Sequence[Path]) -> str:
    """Return the query that reads a source from exactly these files."""
    columns = _COLUMNS.get(source, {})
    nothing = ", ".join(f"NULL::{type} AS {name}" for name, type in columns.items())
    empty = f"SELECT {nothing} WHERE false"
    if not paths:
        return empty
    listed = ", ".join(f"'{_quoted(path)}'" for path in paths)
    if paths[0].suffix == ".csv":
        reader = f"read_csv([{listed}], header = true, types = {_CSV_TYPES.get(source, {})})"
    else:
        reader = f"read_parquet([{listed}], hive_partitioning = false)"
    return f"FROM {reader} UNION ALL BY NAME {empty}" if columns else f"FROM {reader}"


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
