"""All experiments, read from their folders in the order of `ORDER`."""

from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from perturb.experiments.consistency import check_declarations
from perturb.experiments.declaration import (
    Chart,
    Experiment,
    Measure,
    Measurement,
    Perturbation,
    Source,
    Table,
    TestSet,
)

T = TypeVar("T")

FOLDER = Path(__file__).parent


@cache
def experiments() -> Mapping[str, Experiment]:
    """Return the experiments by the names of their folders, in order.

    Raises
    ------
    ValueError
        if `ORDER` names a folder that declares no experiment, or declarations contradict.
    """
    names = (FOLDER / "ORDER").read_text(encoding="utf-8").split()
    found = {name: _declared(name) for name in names}
    check_declarations(found)
    return found


def _declared(name: str) -> Experiment:
    if not (FOLDER / name / "__init__.py").is_file():
        raise ValueError(f"{FOLDER / 'ORDER'}: there is no folder {name!r} with an `__init__.py`")
    experiment = getattr(import_module(f"perturb.experiments.{name}"), "EXPERIMENT", None)
    if not isinstance(experiment, Experiment):
        raise ValueError(f"perturb.experiments.{name}: declares no `EXPERIMENT`")  # noqa: TRY004
    return experiment


@cache
def perturbations() -> Mapping[str, Perturbation]:
    """Return all perturbations by id."""
    return {item.id: item for found in experiments().values() for item in found.perturbations}


@cache
def measurements() -> Mapping[str, Measurement]:
    """Return all measurements by id."""
    return {item.id: item for found in experiments().values() for item in found.measurements}


def of_key(key: str) -> Perturbation:
    """Return the first perturbation that the configuration calls `key`."""
    return next(item for item in perturbations().values() if key in (item.key, item.id))


def experiment_of(id: str) -> str:
    """Return the experiment that declares a perturbation or measurement."""
    for name, found in experiments().items():
        ids = [item.id for item in found.perturbations] + [item.id for item in found.measurements]
        if id in ids:
            return name
    raise ValueError(f"no experiment declares {id!r}")


def kind_of(id: str) -> str:
    """Return the kind of the experiment that declares a perturbation or measurement."""
    name = experiment_of(id)
    return experiments()[name].kind or name


def evaluator(id: str) -> Callable[..., Any]:
    """Return the `perturb.evaluation.outcome.Evaluator` of a perturbation.

    Raises
    ------
    ValueError
        if no experiment declares the perturbation, or its entry point does not exist.
    """
    path = perturbation(id).evaluator
    if path is None:
        raise ValueError(f"perturbation {id!r} has no evaluator of its own")
    return entry_point(path)


def perturbation(id: str) -> Perturbation:
    """Return a perturbation; errors as of `_declared_one`."""
    return _declared_one("perturbation", id, perturbations())


def _declared_one(kind: str, name: str, known: Mapping[str, T]) -> T:
    """Return what an experiment declares under a name.

    Raises
    ------
    ValueError
        if none does; it names what is declared.
    """
    if name not in known:
        raise ValueError(f"{kind} is {name!r}; allowed: {', '.join(known)}")
    return known[name]


def protocol_of(id: str) -> int:
    """Return the protocol of a perturbation."""
    return perturbation(id).protocol


@cache
def tables() -> Mapping[str, tuple[str, Table]]:
    """Return all tables by name, each with the name of its experiment."""
    return {
        item.name: (name, item) for name, found in experiments().items() for item in found.tables
    }


@cache
def charts() -> Mapping[str, tuple[str, Chart]]:
    """Return all charts by name, each with the name of its experiment."""
    return {
        item.name: (name, item) for name, found in experiments().items() for item in found.charts
    }


def table(name: str) -> Table:
    """Return a table; errors as of `_declared_one`."""
    return _declared_one("table", name, tables())[1]


def chart(name: str) -> Chart:
    """Return a chart; errors as of `_declared_one`."""
    return _declared_one("chart", name, charts())[1]


def tables_of(available: Collection[str]) -> tuple[str, ...]:
    """Return the tables, in order, of a study that has these names of `Table.needs`."""
    return tuple(name for name, (_, item) in tables().items() if set(item.needs) <= set(available))


def charts_of(available: Collection[str]) -> dict[str, Chart]:
    """Return the charts, in order, of a study that has these names of `Table.needs`."""
    return {name: item for name, (_, item) in charts().items() if needs_of(item) <= set(available)}


def needs_of(chart: Chart) -> set[str]:
    """Return what a study needs for a chart: what the tables of the chart need."""
    return {need for name in chart.tables for need in table(name).needs}


def drawing_of(name: str) -> Callable[..., Any]:
    """Return the function that draws a chart."""
    return entry_point(f"perturb.experiments.{charts()[name][0]}.charts:{name}")


@cache
def test_sets() -> Mapping[str, TestSet]:
    """Return all declared test sets by id."""
    return {item.id: item for found in experiments().values() for item in found.test_sets}


@cache
def measures() -> Mapping[str, Measure]:
    """Return all declared measures by id, in their order."""
    declared = (item for found in experiments().values() for item in found.measures)
    return {item.id: item for item in sorted(declared, key=lambda item: item.position)}


@cache
def sources() -> Mapping[str, Source]:
    """Return all declared sources by name."""
    return {item.name: item for found in experiments().values() for item in found.sources}


@cache
def made_relations() -> Mapping[str, str]:
    """Return the entry points of all relations that are made in Python."""
    return {
        name: path for found in experiments().values() for name, path in found.relations.items()
    }


def entry_point(path: str) -> Callable[..., Any]:
    """Return the function that ``"package.module:function"`` names, importing its module.

    Raises
    ------
    ValueError
        if there is no such module or function.
    """
    module, _, name = path.partition(":")
    try:
        function: Callable[..., Any] = getattr(import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ValueError(f"entry point {path!r}: {error}") from error
    return function
