"""Measure how alike the outputs of a network's blocks are, model after model."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import torch

from perturb.analyse import correlations_of, loader
from perturb.images.store import open_subset
from perturb.logs import log_to

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0])
torch.set_num_threads(snakemake.threads)
job, files = snakemake.params.correlations, snakemake.input
store = open_subset(Path(files.images), Path(files.manifest), job["num_images"], job["seed"])
load = loader(map(Path, files.weights), torch.device(job["device"]))
table = correlations_of(load, job["models"], store, batch_size=job["batch_size"])
pq.write_table(table, snakemake.output[0])
