"""Draw the charts in the form of the paper's figures."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from perturb.charts.save import save_chart
from perturb.experiments.drawing import draw
from perturb.logs import log_to

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
tables = {
    name: pq.read_table(snakemake.input[name]).to_pandas() for name in snakemake.params.tables
}
for chart in snakemake.params.charts:
    paths = {form: Path(snakemake.output[f"{chart}_{form}"]) for form in ("html", "svg", "png")}
    save_chart(draw(chart, tables), **paths)
