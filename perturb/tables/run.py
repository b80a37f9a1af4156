"""A table from shards: DuckDB computes every number, by the declared query.

The inputs are explicit lists of files by name: a glob would include stale shards. The result has
the same bytes for any number of threads and any order of the files: counts are integers,
floating-point sums are ordered (`macros.sql`), and every query orders its rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from perturb.experiments import registry
from perturb.experiments.declaration import Source
from perturb.tables.connection import define_functions
from perturb.tables.declared import declared
from perturb.tables.queries import checks_of, query_file, relation_file, relations_of

Sources = Mapping[str, Path | Sequence[Path]]
Parameters = Mapping[str, float | None]

# Columns of facts that may be missing in a study: these are empty.
_FACTS = {
    "models": Source(
        "models",
        filled={
            "entry": "VARCHAR",
            "run": "INTEGER",
            "num_removable": "INTEGER",
            "forward_flops": "DOUBLE",
            "paper_pretraining": "VARCHAR",
            "timm_tag": "VARCHAR",
        },
    ),
    "datasets": Source(
        "datasets",
        filled={
            "published": "VARCHAR",
            "num_classes": "INTEGER",
            "num_subset_classes": "INTEGER",
            "chosen_by": "VARCHAR",
            "has_decisions": "BOOLEAN",
        },
    ),
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
    name : of a declared table.
    sources : the files of each needed relation. `predictions`: verified shards, all of the cells
        that the table covers; `models`, `datasets`: Parquet; `reference_errors`, `claim_rules`:
        Parquet or CSV; `stimuli`: manifests of cue-conflict sets (image_id, target, texture;
        target_label if there is one); `patterns`: measures of perturbations (model, image_id,
        patch_px, border_ratio, foreground_ratio); `representations`: how alike layers are (model,
        measure, layer_a, layer_b, value, spread, num_images; with image_id and without layers:
        `pearson_all_rise` and `pearson_cls_rise`, by how much the correlation of the last third's
        layers exceeds that of the first third's); `inventory`: the shards' metadata about how they
        were made; `paper_figures`, `published_top1`: what others published, as the files of these
        names in `resources/` hold it; `decisions`: people's decisions as CSV (subj,
        object_response, category, imagename). The table's optional ones may be empty.
    parameters : `headline_epsilon`: the epsilon that models are compared at, in units of [0, 1],
        None in a study without attacks.
    threads : for DuckDB; the result does not depend on it.
    memory_mb : that DuckDB may take [MB]; what needs more goes to temporary files. None for most of
        the machine's.

    Raises
    ------
    ValueError
        if a source or a parameter is missing or unknown, or the rows of a relation are not what
        its query needs (`relations/checks`). `perturb.plan.check_shards` proves beforehand that all
        models have the same images, conditions and samples.
    """
    given = {name: (sources, parameters or {})}
    [(_, table)] = make_tables(given, threads=threads, memory_mb=memory_mb)
    return table


def make_tables(
    given: Mapping[str, tuple[Sources, Parameters]],
    *,
    threads: int = 1,
    memory_mb: int | None = None,
) -> Iterator[tuple[str, pa.Table]]:
    """Yield tables of one study by name, each the same as by `make_table`.

    A relation that several of them read is made once, from the shards of all of them.

    Parameters
    ----------
    given : the sources and the parameters of each table. A table that is a source of others comes
        before them, and its file is written before the next table is asked for.
    threads, memory_mb : as of `make_table`.

    Raises
    ------
    ValueError
        as `make_table`.
    """
    for name, (sources, parameters) in given.items():
        _check_given(name, sources, parameters)
    with _connected(threads, memory_mb) as connection:
        study = _Study(connection, given)
        for name in given:
            try:
                table = study.table(name)
            except ValueError as error:
                raise ValueError(f"table {name}: {error}") from error
            yield name, table


class _Study:
    """The relations of some tables in one connection, each made when the first table needs it."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        given: Mapping[str, tuple[Sources, Parameters]],
    ) -> None:
        self._connection = connection
        self._names = tuple(given)
        self._built: set[str] = set()
        self._parameters = {
            key: value for _, found in given.values() for key, value in found.items()
        }
        self._files = _files_of([sources for sources, _ in given.values()])
        # Several relations read the same files.
        connection.execute("SET parquet_metadata_cache = true")
        for relation, rows in declared().items():
            connection.register(relation, rows)
        define_functions(connection)
        for key, value in self._parameters.items():
            connection.execute(f"SET VARIABLE {key} = ?", [value])
        self._opened: set[str] = set()
        # A table that is a source of another has no file yet.
        self._open(source for source in self._files if source not in given)

    def table(self, name: str) -> pa.Table:
        """Return a table."""
        self._open(registry.table(name).sources)
        for relation in relations_of(name, self._names):
            if relation not in self._built:
                _build(self._connection, relation, self._parameters)
                self._built.add(relation)
        return _fetch(self._connection, query_file(name).read_text())

    def _open(self, sources: Iterable[str]) -> None:
        for source in sources:
            if source not in self._opened:
                reader = _reader(source, self._files[source])
                self._connection.execute(f"CREATE TEMP VIEW {source} AS {reader}")
                self._opened.add(source)


def _files_of(sources: Sequence[Sources]) -> Mapping[str, Sequence[Path]]:
    """Return the files of each source, of all tables together."""
    found: dict[str, set[Path]] = {}
    for given in sources:
        for source, files in given.items():
            found.setdefault(source, set()).update([files] if isinstance(files, Path) else files)
    return {source: sorted(files) for source, files in found.items()}


def _check_given(name: str, sources: Sources, parameters: Parameters) -> None:
    table = registry.table(name)
    _check_names(f"{name}: sources", sources, table.sources)
    _check_names(f"{name}: parameters", parameters, table.parameters)
    for source, files in sources.items():
        if not isinstance(files, Path) and not files and source not in table.optional:
            raise ValueError(f"{source}: no files; at least one is needed")


@contextmanager
def _connected(threads: int, memory_mb: int | None) -> Iterator[duckdb.DuckDBPyConnection]:
    # DuckDB's default would be the folder that the workflow runs in.
    with TemporaryDirectory(prefix="perturb-") as folder:
        settings: dict[str, str | int] = {"threads": threads, "temp_directory": folder}
        if memory_mb is not None:
            settings["memory_limit"] = f"{memory_mb}MB"
        with duckdb.connect(config=settings) as connection:
            yield connection


def _build(connection: duckdb.DuckDBPyConnection, relation: str, parameters: Parameters) -> None:
    made = registry.made_relations().get(relation)
    if made:
        make = registry.entry_point(made)
        connection.register(relation, make(partial(_fetch, connection), parameters))
        return
    try:
        connection.execute(relation_file(relation).read_text())
    except duckdb.InvalidInputException as error:  # error() in the relation
        raise ValueError(str(error)) from error
    checks = checks_of(relation)
    if checks:
        problems = _fetch(connection, checks.read_text())["problem"].to_pylist()
        if problems:
            raise ValueError("\n".join(problems))


def _reader(source: str, paths: Sequence[Path]) -> str:
    """Return the query that reads a source from these files alone."""
    known = _FACTS.get(source) or registry.sources().get(source) or Source(source)
    nothing = ", ".join(f"NULL::{type} AS {name}" for name, type in known.filled.items())
    empty = f"SELECT {nothing} WHERE false"
    if not paths:
        return empty
    if known.refusing:
        registry.entry_point(known.refusing)(paths)
    listed = ", ".join(f"'{_quoted(path)}'" for path in paths)
    if paths[0].suffix == ".csv":
        reader = f"read_csv([{listed}], header = true, types = {dict(known.types)})"
    else:
        reader = f"read_parquet([{listed}], hive_partitioning = false)"
    return f"FROM {reader} UNION ALL BY NAME {empty}" if known.filled else f"FROM {reader}"


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
