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
        # The denominators of mCE: the study's own reference network, or AlexNet for ImageNet.
        "reference_errors": layout.table("reference_errors")
        if config.reference
        else "resources/alexnet_errors.csv",
    }
    return {source: files[source] for source in TABLES[table].sources}


def table_code(table: str) -> list[str]:
    """Return the SQL that a table is made by: an edit of it makes the table anew."""
    relations = [name for name in TABLES[table].relations if name != "rank_correlations"]
    folder = "perturb/tables"
    return [
        *(f"{folder}/{name}.sql" for name in (table, "macros")),
        *(f"{folder}/relations/{name}.sql" for name in relations),
        *(f"{folder}/{name}" for name in ("catalogue.py", "columns.csv", "run.py", "write.py")),
    ]


def table_parameters(config: Config, table: str) -> dict[str, int]:
    """Return the parameters of a table's query."""
    values = {"num_resamples": NUM_RESAMPLES, "seed": config.seed}
    return {name: values[name] for name in TABLES[table].parameters}


def chart_tables(config: Config, chart: str) -> dict[str, str]:
    """Return the tables that a chart shows."""
    return {table: Layout(config.results).table(table) for table in CHARTS[chart].tables}
