"""Record what one model decides on every image of some data sets, under some perturbations."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from perturb.analyse import loader
from perturb.config import load_config
from perturb.evaluation import evaluate_cells
from perturb.logs import log_to
from perturb.origins import check_files
from perturb.shards import write_shard

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
check_files(load_config(snakemake.config), snakemake.input)
torch.set_num_threads(snakemake.threads)
files, cells = snakemake.input, snakemake.params.cells
stores = dict(
    zip(snakemake.params.stores, zip(files.images, files.manifests, strict=True), strict=True)
)
load = loader([Path(files.weights)], cells[0]["device"], compiled=cells[0]["compile"])
subject = load(snakemake.wildcards.model)
shards = evaluate_cells(subject, snakemake.wildcards.model, cells, stores)
for output, (table, metadata) in zip(snakemake.output, shards, strict=True):
    write_shard(Path(output), table, metadata)
