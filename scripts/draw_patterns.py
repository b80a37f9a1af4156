"""Draw the adversarial perturbations of several models side by side."""

from pathlib import Path
from typing import TYPE_CHECKING

from perturb.config import load_config
from perturb.datasets.store import open_subset
from perturb.experiments.perturbation_patterns.measure import draw_sheet
from perturb.files import replacing
from perturb.logs import log_to
from perturb.parquet import keep_pandas_out
from perturb.plan.origins import check_files
from perturb.plan.paths import Paths
from perturb.plan.settings import write_settings

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
keep_pandas_out()
study = load_config(snakemake.config)
check_files(study, snakemake.input)
paths, files, shown = Paths(study.results), snakemake.input, snakemake.params.shown
patterns = snakemake.params.patterns
store = open_subset(Path(files.images), Path(files.manifest), patterns["num_images"], study.seed)
measurements = {
    title: Path(paths.measurement(model, "perturbation_patterns")) for model, title in shown.items()
}
sheet = draw_sheet(store, measurements, patterns["num_shown"])
with replacing(Path(snakemake.output[0])) as temporary:
    sheet.save(temporary, format="PNG")
write_settings(study, snakemake.output)
