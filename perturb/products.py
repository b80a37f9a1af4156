"""What the tables and charts of a study are made from; the rules ask here for their inputs."""

from perturb.cells import Layout, cells
from perturb.charts.catalogue import CHARTS
from perturb.config import Config
from perturb.tables.catalogue import TABLES

# Bootstrap samples of the images behind the interval of a rank correlation.
NUM_RESAMPLES = 2000


def table_sources(config: Config, table: str) -> dict[str, str | list[str]]:
    """Return the files of each relation that a table is a query over."""
    layout = Layout(config.results)
    files: dict[str, str | list[str]] = {
        "decisions": [layout.shard(cell) for cell in cells(config)],
        "models": layout.models,
        "datasets": layout.datasets,
        "inventory": layout.inventory,
        "claim_rules": "resources/claims.csv",
        "reference_errors": reference_errors(config),
    }
    return {source: files[source] for source in TABLES[table].sources}


def reference_errors(config: Config) -> str:
    """Return the errors that are the denominators of mCE: the study's own, or AlexNet's."""
    corruptions = config.perturbations.get("corruptions")
    if corruptions is not None and corruptions.denominators == "alexnet":
        return "resources/alexnet_errors.csv"
    return Layout(config.results).table("reference_errors")


def table_parameters(config: Config, table: str) -> dict[str, int]:
    """Return the parameters of a table's query."""
    values = {"num_resamples": NUM_RESAMPLES, "seed": config.seed}
    return {name: values[name] for name in TABLES[table].parameters}


def chart_tables(config: Config) -> dict[str, str]:
    """Return the tables that charts show."""
    layout = Layout(config.results)
    return {table: layout.table(table) for chart in CHARTS.values() for table in chart.tables}
