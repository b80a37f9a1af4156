"""What the tables and charts of a study are made from; the rules ask here for their inputs."""

from collections.abc import Collection, Mapping

from perturb.cells import Layout, cells
from perturb.charts.catalogue import Chart, charts_of
from perturb.config import Config
from perturb.severities import severity_value
from perturb.stores import any_store
from perturb.tables.catalogue import TABLES, code_of, tables_of

# Bootstrap samples of the images behind the interval of a rank correlation.
NUM_RESAMPLES = 2000


def studies(config: Config) -> set[str]:
    """Return what a study has that tables and charts may need."""
    found = {_kind(config, perturbation) for perturbation in config.perturbations}
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
    """Return what tables call a perturbation: corruptions whether or not they passed JPEG."""
    is_corruptions = config.perturbations[perturbation] is config.corruptions
    return "corruptions" if is_corruptions else perturbation


def tables(config: Config) -> tuple[str, ...]:
    """Return the tables of a study."""
    return tuple(tables_of(studies(config)))


def tables_as_made(config: Config) -> list[str]:
    """Return the tables of a study, those that are queries over another table after it."""
    return sorted(tables(config), key=lambda table: "reference_errors" in TABLES[table].sources)


def tables_read(config: Config) -> list[str]:
    """Return the files that the tables of a study are made from, less those that are tables."""
    files: dict[str, None] = {}
    for table in tables(config):
        for source in table_sources(config, table).values():
            files |= dict.fromkeys([source] if isinstance(source, str) else source)
    layout = Layout(config.results)
    made = {layout.table(table) for table in tables(config)}
    return [file for file in files if file not in made]


def tables_code(config: Config) -> list[str]:
    """Return the files that the bytes of a study's tables depend on."""
    files = dict.fromkeys(file for table in tables(config) for file in code_of(table))
    return [*files, "perturb/products.py"]


def charts(config: Config) -> Mapping[str, Chart]:
    """Return the charts of a study."""
    return charts_of(studies(config))


def table_sources(config: Config, table: str) -> dict[str, str | list[str]]:
    """Return the files of each relation that a table is a query over."""
    layout = Layout(config.results)
    files: dict[str, str | list[str]] = {
        "decisions": _decisions(config, TABLES[table].reads),
        "models": layout.models,
        "datasets": layout.datasets,
        "inventory": layout.inventory,
        "claim_rules": "resources/claims.csv",
        "reference_errors": reference_errors(config),
        "paper_figures": "resources/paper_figures.csv",
        "published_top1": "resources/timm_top1.csv",
        "stimuli": [
            layout.manifest(any_store(config, dataset)) for dataset in cue_conflict_sets(config)
        ],
        "patterns": [layout.patterns] if config.patterns else [],
        "representations": [layout.correlations] if config.correlations else [],
    }
    return {source: files[source] for source in TABLES[table].sources}


def _decisions(config: Config, reads: Collection[str]) -> list[str]:
    layout = Layout(config.results)
    return [
        layout.shard(cell)
        for cell in cells(config)
        if not reads or _kind(config, cell.perturbation) in reads
    ]


def cue_conflict_sets(config: Config) -> list[str]:
    """Return the evaluated sets whose shape and texture disagree."""
    evaluated = config.perturbations["none"].datasets
    return [id for id in evaluated if config.datasets[id].role == "cue_conflict"]


def reference_errors(config: Config) -> str:
    """Return the errors that are the denominators of mCE: the study's own, or AlexNet's."""
    if config.corruptions is not None and config.corruptions.denominators == "alexnet":
        return "resources/alexnet_errors.csv"
    return Layout(config.results).table("reference_errors")


def table_parameters(config: Config, table: str) -> dict[str, float]:
    """Return the parameters of a table's query."""
    values = {
        "num_resamples": NUM_RESAMPLES,
        "seed": config.seed,
        "headline_epsilon": severity_value(config.epsilon),
    }
    return {name: values[name] for name in TABLES[table].parameters}


def chart_tables(config: Config) -> dict[str, str]:
    """Return the tables that charts show."""
    layout = Layout(config.results)
    return {
        table: layout.table(table) for chart in charts(config).values() for table in chart.tables
    }


def pictures(config: Config) -> dict[str, str]:
    """Return the pictures of the page by what they show."""
    if config.patterns is None:
        return {}
    patterns = config.patterns
    epsilon, steps = round(255 * patterns.options["epsilon"], 2), patterns.options["steps"]
    caption = (
        f"What PGD changes in the same images to mislead different models, in {steps} steps and by "
        f"at most {epsilon:g} gray levels a pixel; gray is no change, and the largest "
        "change is black or white in each colour (the form of Figure 5 of the paper)"
    )
    return {caption: Layout(config.results).pattern_sheet}
