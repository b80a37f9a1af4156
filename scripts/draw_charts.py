"""Draw charts in the form of the paper's figures."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from perturb.charts.save import save_chart
from perturb.config import load_config
from perturb.experiments.drawing import draw
from perturb.logs import log_to
from perturb.plan.settings import write_settings

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
tables = {
    name: pq.read_table(file).to_pandas()
    for name, file in zip(snakemake.params.tables, snakemake.input.tables, strict=True)
}
files = snakemake.output
forms = ("json", "html", "svg", "png", "pdf")
by_form = [getattr(files, form) for form in forms]
for chart, *paths in zip(snakemake.params.charts, *by_form, strict=True):
    save_chart(draw(chart, tables), **dict(zip(forms, map(Path, paths), strict=True)))
write_settings(load_config(snakemake.config), files.html)
