"""Draw a chart in the form of the paper's figure."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from perturb.charts.draw import draw
from perturb.charts.save import save_chart
from perturb.logs import log_to

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0])
tables = {name: pq.read_table(path).to_pandas() for name, path in snakemake.input.items()}
chart = draw(snakemake.wildcards.chart, tables)
save_chart(chart, **{form: Path(path) for form, path in snakemake.output.items()})
