"""The SQL files behind a table: its query, the relations that it reads, and their checks.

A relation is one file of `relations/`, here or in the folder of an experiment, or is made by a
function that an experiment declares. The first line of a file names the relations that it reads:
``-- NEEDS image_outcomes, matched``.
"""

import re
from functools import cache
from pathlib import Path

from perturb.experiments import registry
from perturb.experiments.captions import table_caption_file
from perturb.experiments.registry import FOLDER as EXPERIMENTS
from perturb.places import PACKAGE, as_input, code

FOLDER = Path(__file__).parent
_NEEDS = "-- NEEDS "
# Modules and files that all tables depend on.
_MODULES = (
    "tables/columns.csv",
    "tables/columns.py",
    "tables/declared.py",
    "tables/display.py",
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


def relations_of(table: str) -> list[str]:
    """Return the relations that a table reads, each after those that it reads itself."""
    ordered: list[str] = []
    for relation in registry.table(table).relations:
        _add(relation, ordered, ())
    return ordered


def _add(relation: str, ordered: list[str], above: tuple[str, ...]) -> None:
    if relation in above:
        raise ValueError(f"relations: {' needs '.join((*above, relation))}")
    if relation in ordered:
        return
    for needed in _needs(relation):
        _add(needed, ordered, (*above, relation))
    ordered.append(relation)


@cache
def _needs(relation: str) -> tuple[str, ...]:
    if relation in registry.made_relations():
        return ()
    first = relation_file(relation).read_text(encoding="utf-8").partition("\n")[0]
    is_named = first.startswith(_NEEDS)
    return tuple(first.removeprefix(_NEEDS).split(", ")) if is_named else ()


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
