"""Make tables of the paper, queries over shards, each in four formats."""

from pathlib import Path
from typing import TYPE_CHECKING

from perturb.config import load_config
from perturb.logs import log_to
from perturb.plan import products
from perturb.plan.settings import write_settings
from perturb.tables.run import make_tables
from perturb.tables.write import write_table

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
# In addition to DuckDB the job holds outcomes of all images, for the rank correlations.
limits = {"threads": snakemake.threads, "memory_mb": snakemake.resources.mem_mb * 2 // 3}
config = load_config(snakemake.config)
names = list(snakemake.params.tables)
given = {
    name: (
        {
            source: Path(files) if isinstance(files, str) else [Path(file) for file in files]
            for source, files in products.table_sources(config, name).items()
        },
        snakemake.params.parameters[name],
    )
    for name in products.as_made(names)
}
for name, table in make_tables(given, **limits):
    forms = ("parquet", "csv", "markdown", "latex")
    place = names.index(name)
    write_table(table, name, **{form: Path(snakemake.output[form][place]) for form in forms})
write_settings(config, snakemake.output.parquet)
