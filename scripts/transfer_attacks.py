"""Make adversarial images against one model, and record what every model decides on them."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from perturb.config import load_config
from perturb.datasets.store import open_subset
from perturb.evaluate.loading import loader
from perturb.experiments.transfer.jobs import transfer_into, transfer_slots
from perturb.logs import log_to
from perturb.plan.cells import Cell
from perturb.plan.origins import check_files

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
study = load_config(snakemake.config)
check_files(study, snakemake.input)
torch.set_num_threads(snakemake.threads)
job, source, files = snakemake.params.transfer, snakemake.wildcards.source, snakemake.input
cells = [Cell(**cell, source=source) for cell in snakemake.params.cells]
cards = {Path(card).parent.name: Path(card) for card in files.cards}
store = open_subset(Path(files.images), Path(files.manifest), job["num_images"], job["seed"])
load = loader(map(Path, files.weights), job["device"], compiled=job["compile"])
slots = transfer_slots(
    dict(zip(cells, map(Path, snakemake.output), strict=True)),
    study.results,
    cards,
    job,
    (files.images, files.manifest),
)
transfer_into(slots, load, store, job)
