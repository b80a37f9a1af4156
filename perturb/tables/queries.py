"""The SQL files behind a table: its query, the relations that it reads, and their checks.

A relation is one file of `relations/`, here or in the folder of an experiment, or is made by a
function that an experiment declares. The first lines of a file name the relations that it reads,
``-- NEEDS image_outcomes, matched``, and those of others that it adds rows to, ``-- ADDS TO
image_outcomes``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from perturb.experiments import registry
from perturb.experiments.captions import table_caption_file
from perturb.experiments.registry import FOLDER as EXPERIMENTS
from perturb.places import PACKAGE, as_input, code

FOLDER = Path(__file__).parent
_NEEDS, _ADDS = "-- NEEDS ", "-- ADDS TO "
# Modules and files that all tables depend on.
_MODULES = (
    "tables/columns.csv",
    "tables/columns.py",
    "tables/connection.py",
    "tables/declared.py",
    "tables/display.py",
    "tables/intervals.sql",
    "tables/macros.sql",
    "tables/queries.py",
    "tables/run.py",
    "tables/write.py",
    "formatting.py",
)


def query_file(table: str) -> Path:
    """Return the file of a table's query.

    Raises
    ------
    ValueError
        if there is no such table, or no such file.
    """
    registry.table(table)
    experiment = registry.tables()[table][0]
    file = EXPERIMENTS / experiment / f"{table}.sql"
    if not file.is_file():
        raise ValueError(f"{experiment}: there is no query {file}")
    return file


def relations_of(table: str, together: Iterable[str] = ()) -> list[str]:
    """Return the relations that a table reads, each after those that it reads itself.

    Parameters
    ----------
    together : tables of one connection. What their relations add to a relation is there before
        any other reads it.
    """
    return _ordered(registry.table(table).relations, _added(frozenset({table, *together})))


@cache
def _added(tables: frozenset[str]) -> Mapping[str, list[str]]:
    """Return the relations of some tables that add to each relation, in the tables' order."""
    found: dict[str, list[str]] = {}
    names = (name for table in sorted(tables) for name in registry.table(table).relations)
    for relation in _ordered(names, {}):
        for other in _named(relation, _ADDS):
            found.setdefault(other, []).append(relation)
    return found


def _ordered(relations: Iterable[str], added: Mapping[str, Sequence[str]]) -> list[str]:
    """Return relations, each after those that it reads and those that add to these."""
    ordered: list[str] = []

    def put(relation: str, above: tuple[str, ...]) -> None:
        if relation in above:
            raise ValueError(f"relations: {' needs '.join((*above, relation))}")
        if relation in ordered:
            return
        adds = _named(relation, _ADDS)
        for needed in _named(relation, _NEEDS):
            put(needed, (*above, relation))
            for other in () if needed in adds else added.get(needed, ()):
                put(other, (*above, relation))
        ordered.append(relation)

    for relation in relations:
        put(relation, ())
    return ordered


@cache
def _named(relation: str, word: str) -> tuple[str, ...]:
    """Return the relations that the first lines of a relation's file name after a word."""
    if relation in registry.made_relations():
        return ()
    lines = relation_file(relation).read_text(encoding="utf-8").splitlines()[:2]
    names = (line.removeprefix(word).split(", ") for line in lines if line.startswith(word))
    return tuple(name for found in names for name in found)


@cache
def relation_file(relation: str) -> Path:
    """Return the file that makes a relation.

    Raises
    ------
    ValueError
        if there is none, or there are several, or a function makes it, too.
    """
    folders = [FOLDER, *(EXPERIMENTS / name for name in registry.experiments())]
    files = [folder / "relations" / f"{relation}.sql" for folder in folders]
    made = registry.made_relations().get(relation)
    places = [*(str(file) for file in files if file.is_file()), *([made] if made else [])]
    if len(places) != 1 or made:
        found = " and ".join(places) or "nothing"
        raise ValueError(f"relation {relation!r} is made by {found}; allowed: one file")
    return Path(places[0])


def checks_of(relation: str) -> Path | None:
    """Return the query for what is wrong with a relation, if it has one."""
    if relation in registry.made_relations():
        return None
    file = relation_file(relation)
    checks = file.parent / "checks" / file.name
    return checks if checks.is_file() else None


def code_of(table: str) -> tuple[str, ...]:
    """Return the files that a table's bytes depend on."""
    files = [query_file(table), table_caption_file(table)]
    for relation in relations_of(table):
        made = registry.made_relations().get(relation)
        files += _modules(made.partition(":")[0]) if made else [relation_file(relation)]
        checks = checks_of(relation)
        files += [checks] if checks else []
    for name in registry.experiments():
        # The relations of all declarations are available to every query.
        files += [EXPERIMENTS / name / "__init__.py", EXPERIMENTS / name / "columns.csv"]
    own = (as_input(file) for file in files if file.is_file())
    return tuple(dict.fromkeys((*own, *code(*_MODULES))))


def _modules(module: str) -> list[Path]:
    """Return the file of a module of an experiment, and those of its folder that it imports."""
    file = PACKAGE.parent / (module.replace(".", "/") + ".py")
    beside = re.escape(module.rpartition(".")[0])
    imported = re.findall(rf"^from ({beside}\.\w+) import", file.read_text("utf-8"), re.MULTILINE)
    return [file, *(found for name in imported for found in _modules(name))]
