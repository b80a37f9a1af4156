"""Draw the gallery of perturbed images, and the images on which models differ."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from perturb.config import load_config
from perturb.cost.loading import job_loader
from perturb.examples.disagreements import write_disagreements
from perturb.examples.gallery import write_gallery
from perturb.logs import log_to
from perturb.parquet import keep_pandas_out
from perturb.plan.origins import check_files
from perturb.plan.settings import write_settings

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
keep_pandas_out()
study = load_config(snakemake.config)
check_files(study, snakemake.input)
torch.set_num_threads(snakemake.threads)
output = snakemake.output
load = job_loader(study, snakemake.input.weights)
write_gallery(study, load, Path(output.gallery), Path(output.gallery_pictures))
write_disagreements(study, Path(output.disagreements), Path(output.disagreements_pictures))
write_settings(study, [output.gallery, output.disagreements])
