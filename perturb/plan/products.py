"""Inputs of the tables, charts and page of a study, for the rules."""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from perturb.config import Config
from perturb.experiments import registry
from perturb.experiments.attacks.checks import ATTACKS
from perturb.experiments.captions import chart_caption_file, table_caption_file
from perturb.experiments.declaration import Chart
from perturb.files import as_inputs
from perturb.places import PACKAGE, as_input, code, resource
from perturb.plan.asked import measured_models
from perturb.plan.cells import cells
from perturb.plan.jobs import experiments
from perturb.plan.paths import Paths
from perturb.plan.stores import any_store
from perturb.severities import severity_value
from perturb.tables.queries import code_of

# Other files in folders of code are those of editors.
_CODE = (".py", ".html", ".css", ".js")


def studies(config: Config) -> set[str]:
    """Return the properties of a study that tables and charts may need."""
    found = {_kind(config, perturbation) for perturbation in config.perturbations}
    if not found.isdisjoint(ATTACKS):
        found.add("attacks")
    if config.reference is not None:
        found.add("reference")
    if any(model.run > 1 for model in config.models.values()):
        found.add("training_runs")
    if config.has_cue_conflict:
        found.add("cue_conflict")
    if config.patterns is not None:
        found.add("patterns")
    if config.correlations is not None:
        found.add("correlations")
    if any(item.paper for item in config.pretraining.values()):
        found.add("paper")
    if any(item.published for item in config.datasets.values()):
        found.add("published")
    return found


def _kind(config: Config, perturbation: str) -> str:
    """Return the name of a perturbation in tables: one for corruptions with and without JPEG."""
    is_corruptions = config.perturbations[perturbation] is config.corruptions
    return "corruptions" if is_corruptions else perturbation


def tables(config: Config) -> tuple[str, ...]:
    """Return the tables of a study."""
    return registry.tables_of(studies(config))


def table_code(table: str) -> list[str]:
    """Return the files that the bytes of a table depend on."""
    return [*code_of(table), *code("plan/products.py")]


def as_made(names: Sequence[str]) -> list[str]:
    """Return tables in an order in which each comes after the table that it reads."""
    return sorted(names, key=lambda name: "reference_errors" in registry.table(name).sources)


def tables_read(config: Config) -> list[str]:
    """Return the files that all tables of a study are made from, without the tables themselves."""
    made = {Paths(config.results).table(name) for name in tables(config)}
    files = (file for name in tables(config) for file in table_files(config, name))
    return [file for file in dict.fromkeys(files) if file not in made]


def tables_code(config: Config) -> list[str]:
    """Return the files that the bytes of all tables of a study depend on."""
    return list(dict.fromkeys(file for name in tables(config) for file in table_code(name)))


def charts_code() -> list[str]:
    """Return the files that the bytes of charts depend on, apart from the tables and their code."""
    shared = code("formatting.py", "experiments/drawing.py", "experiments/emptiness.py")
    return [
        *_code_in("charts"),
        *_experiment_files(("__init__.py", "charts.py", "means.py")),
        *shared,
    ]


def page_code() -> list[str]:
    """Return the files that the bytes of the page depend on; it includes the charts."""
    own = (
        "means.py",
        "methods.txt",
        "notes.py",
        "page.html",
        "picture.rst",
        "sentences.py",
        "sure.html",
    )
    captions = [
        *(chart_caption_file(chart) for chart in registry.charts()),
        *(table_caption_file(table) for table in registry.tables()),
    ]
    captions.append(resource("references.bib"))
    return [*_code_in("page"), *charts_code(), *_experiment_files(own), *map(as_input, captions)]


def examples_code() -> list[str]:
    """Return the files that the bytes of the examples depend on, apart from the evaluators'."""
    own = code("plan/examples.py", "experiments/gallery.py")
    return [*_code_in("examples"), *_experiment_files(("__init__.py", "gallery.py")), *own]


def _experiment_files(names: Sequence[str]) -> list[str]:
    files = (registry.FOLDER / folder / name for folder in registry.experiments() for name in names)
    return [as_input(file) for file in files if file.is_file()]


def _code_in(folder: str) -> list[str]:
    files = (PACKAGE / folder).rglob("*")
    return sorted(as_input(file) for file in files if file.suffix in _CODE and file.is_file())


def charts(config: Config) -> Mapping[str, Chart]:
    """Return the charts of a study."""
    return registry.charts_of(studies(config))


def table_sources(config: Config, table: str, without: str = "") -> dict[str, str | list[str]]:
    """Return the files of each relation that a table's query reads, except one."""
    layout = Paths(config.results)
    files: dict[str, Callable[[], str | list[str]]] = {
        "predictions": lambda: _predictions(config, table),
        "models": lambda: layout.models,
        "datasets": lambda: layout.datasets,
        "inventory": lambda: [layout.inventory(name) for name in experiments(config)],
        "claim_rules": lambda: as_input(resource("claims.csv")),
        "reference_errors": lambda: reference_errors(config),
        "paper_figures": lambda: as_input(resource("paper_figures.csv")),
        "published_top1": lambda: as_input(resource("timm_top1.csv")),
        "stimuli": lambda: [
            layout.manifest(any_store(config, dataset)) for dataset in cue_conflict_sets(config)
        ],
        "decisions": lambda: as_inputs(
            file for dataset in config.datasets.values() for file in dataset.decisions
        ),
        "patterns": lambda: _measurements(config, "perturbation_patterns"),
        "representations": lambda: _measurements(config, "layer_correlations"),
    }
    return {
        source: files[source]() for source in registry.table(table).sources if source != without
    }


def table_files(config: Config, table: str) -> list[str]:
    """Return the files that a table is made from."""
    sources = table_sources(config, table).values()
    found = (file for files in sources for file in ([files] if isinstance(files, str) else files))
    return list(dict.fromkeys(found))


def perturbations_read(config: Config, table: str) -> set[str]:
    """Return the perturbations of a study whose shards a table reads."""
    declared = registry.table(table)
    if "predictions" not in declared.sources:
        return set()
    reads = declared.reads
    return {id for id in config.perturbations if not reads or _kind(config, id) in reads}


def _predictions(config: Config, table: str) -> list[str]:
    layout, read = Paths(config.results), perturbations_read(config, table)
    return [layout.shard(cell) for cell in cells(config) if cell.perturbation in read]


def _measurements(config: Config, name: str) -> list[str]:
    return [Paths(config.results).measurement(id, name) for id in measured_models(config, name)]


def cue_conflict_sets(config: Config) -> list[str]:
    """Return the evaluated datasets with cue conflicts."""
    evaluated = config.perturbations["none"].datasets
    return [id for id in evaluated if config.datasets[id].role == "cue_conflict"]


def reference_errors(config: Config) -> str | list[str]:
    """Return the denominators of mCE: the reference's errors, AlexNet's, or no file without mCE."""
    match _denominators(config):
        case "alexnet":
            return as_input(resource("alexnet_errors.csv"))
        case "none":
            return []
    return Paths(config.results).table("reference_errors")


def _denominators(config: Config) -> str:
    corruptions = config.corruptions
    return "none" if corruptions is None else str(corruptions.denominators)


def table_parameters(config: Config, table: str) -> dict[str, float]:
    """Return the parameters of a table's query."""
    values = {
        "headline_epsilon": severity_value(config.epsilon),
        "has_denominators": float(_denominators(config) != "none"),
    }
    return {name: values[name] for name in registry.table(table).parameters}


def chart_tables(config: Config) -> dict[str, str]:
    """Return the tables that charts read."""
    layout = Paths(config.results)
    return {
        table: layout.table(table) for chart in charts(config).values() for table in chart.tables
    }


def pictures(config: Config) -> dict[str, str]:
    """Return the pictures of the page by their experiments."""
    owners = [name for name, found in registry.experiments().items() if found.has_picture]
    return dict.fromkeys(owners, Paths(config.results).pattern_sheet) if config.patterns else {}


def caption_file(kind: str, name: str) -> Path:
    """Return the file of the caption of a ``table`` or a ``chart``."""
    return {"table": table_caption_file, "chart": chart_caption_file}[kind](name)


def command(files: Sequence[Path], entries: Sequence[str], folder: Path) -> str:
    """Return the command line that makes a study, for the folder of the Snakefile.

    Parameters
    ----------
    files : the configuration files that Snakemake was given, none for the default one.
    entries : of `--config`.
    folder : of the Snakefile.
    """
    words = ["snakemake", "--cores", "all"]
    if entries:
        words += ["--config", *entries]
    named = [os.path.relpath(file, folder) for file in files]
    if named not in ([], ["config.yaml"]):
        words += ["--configfile", *named]
    return shlex.join(words)
