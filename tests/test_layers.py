"""Imports point one way: no circle of files or folders, and no import of a higher layer."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The library's names, imported when they are used. No module of the package imports them from here.
DOOR = "perturb"
# From the highest to the lowest. Files of the package that are in none of these are leaves.
LAYERS = (
    ("perturb.library", "perturb.own"),
    ("perturb.cost", "perturb.runs", "perturb.sharing", "perturb.__main__"),
    ("perturb.plan", "perturb.page", "perturb.examples"),
    ("perturb.tables",),
    ("perturb.config",),
    ("perturb.experiments",),
    ("perturb.evaluation",),
    ("perturb.datasets",),
    ("perturb.records",),
    ("perturb.models", "perturb.charts"),
    ("perturb",),
)


def _files() -> dict[str, Path]:
    """Return the modules of the package by name."""
    found = {}
    for path in (ROOT / "perturb").rglob("*.py"):
        if path.name.startswith("test_"):
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


FILES = _files()


def _imported(path: Path) -> Iterator[str]:
    """Yield the modules of the package that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in FILES)
        elif isinstance(node, ast.ImportFrom) and node.module in FILES:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in FILES else node.module for name in names)


IMPORTS = {name: set(_imported(path)) - {name} for name, path in FILES.items()}


def _folder(module: str) -> str:
    is_package = FILES[module].name == "__init__.py"
    return module if is_package else module.rpartition(".")[0]


def _layer(module: str) -> int:
    if module == DOOR:
        return -1
    places = (
        position
        for position, names in enumerate(LAYERS)
        if any(module == name or module.startswith(f"{name}.") for name in names)
    )
    return next(places)


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_files_form_no_circle() -> None:
    assert _circle(IMPORTS) == []


def test_folders_form_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module, imported in IMPORTS.items():
        folders = graph.setdefault(_folder(module), set())
        # A package's own file says what the package is, and imports what is in it.
        folders |= {_folder(name) for name in imported} - {_folder(module), "perturb"}
    assert _circle(graph) == []


@pytest.mark.parametrize("module", FILES)
def test_no_module_imports_a_higher_layer(module: str) -> None:
    higher = [name for name in sorted(IMPORTS[module]) if _layer(name) < _layer(module)]
    assert higher == []


def test_planning_needs_no_heavy_package() -> None:
    """What a declaration imports is imported by a dry run, which has Snakemake alone."""
    heavy = {"torch", "timm", "duckdb", "pyarrow", "altair", "pandas", "numpy"}
    for path in (ROOT / "perturb" / "experiments").glob("*/__init__.py"):
        for module in _reached(f"perturb.experiments.{path.parent.name}"):
            tops = _imported_packages(FILES[module])
            assert not tops & heavy, f"{module} imports {sorted(tops & heavy)}"


def _reached(module: str) -> set[str]:
    found, left = set(), [module]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += IMPORTS[name]
    return found


def _imported_packages(path: Path) -> set[str]:
    """Return the packages that a file imports when it is imported itself."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found
