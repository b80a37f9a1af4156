"""Record what one model decides on every image of some data sets, under some perturbations."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from perturb.config import load_config
from perturb.evaluate.jobs import evaluate_into, job_slots
from perturb.evaluate.loading import loader
from perturb.logs import log_to
from perturb.plan.clean_chance import warn_of_clean
from perturb.plan.origins import check_files

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
study = load_config(snakemake.config)
check_files(study, snakemake.input)
torch.set_num_threads(snakemake.threads)
files, cells = snakemake.input, snakemake.params.cells
stores = dict(
    zip(snakemake.params.stores, zip(files.images, files.manifests, strict=True), strict=True)
)
load = loader([Path(files.weights)], cells[0]["device"], compiled=cells[0]["compile"])
slots = job_slots(snakemake.output, study.results, Path(files.card), cells, stores)
for cell in evaluate_into(slots, load, snakemake.wildcards.model, cells, stores):
    warn_of_clean(study, cell)
