"""Make adversarial images against one model, and record what every model decides on them."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from perturb.analyse import loader, transfer_shards
from perturb.cells import Cell
from perturb.config import load_config
from perturb.images.store import open_subset
from perturb.logs import log_to
from perturb.origins import check_files
from perturb.perturbations.outcome import Setting
from perturb.shards import write_shard

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
check_files(load_config(snakemake.config), snakemake.input)
torch.set_num_threads(snakemake.threads)
job, source = snakemake.params.transfer, snakemake.wildcards.source
cells = [Cell(**cell, source=source) for cell in snakemake.params.cells]
outputs = dict(zip(cells, map(Path, snakemake.output), strict=True))
store = open_subset(
    Path(snakemake.input.images), Path(snakemake.input.manifest), job["num_images"], job["seed"]
)
load = loader(map(Path, snakemake.input.weights), job["device"], compiled=job["compile"])
how = {"batch_size": job["batch_size"], "precision": job["precision"]}
for severity in {cell.severity: cell.severity_value for cell in cells}.items():
    of_severity = [cell for cell in cells if cell.severity == severity[0]]
    setting = Setting((source,), severity[1], job["seed"], job["options"])
    for cell, table, metadata in transfer_shards(load, store, of_severity, setting, **how):
        write_shard(outputs[cell], table, metadata)
