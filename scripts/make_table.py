"""Make a table of the paper, a query over shards, in four formats."""

from pathlib import Path
from typing import TYPE_CHECKING

from perturb.logs import log_to
from perturb.tables.catalogue import TABLES
from perturb.tables.run import make_table
from perturb.tables.write import write_table

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
name = snakemake.wildcards.table
sources = {source: snakemake.input[source] for source in TABLES[name].sources}
paths = {
    source: Path(files) if isinstance(files, str) else [Path(file) for file in files]
    for source, files in sources.items()
}
table = make_table(name, paths, snakemake.params.parameters, threads=snakemake.threads)
write_table(table, name, **{form: Path(path) for form, path in snakemake.output.items()})
