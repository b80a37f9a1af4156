"""Measure how alike the outputs of a network's blocks are, model after model."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import torch

from perturb.config import load_config
from perturb.datasets.store import open_subset
from perturb.evaluate.loading import correlations_of, loader
from perturb.files import replacing
from perturb.logs import log_to
from perturb.plan.origins import check_files

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
check_files(load_config(snakemake.config), snakemake.input)
torch.set_num_threads(snakemake.threads)
job, files = snakemake.params.correlations, snakemake.input
stores = {
    model: open_subset(Path(images), Path(manifest), job["num_images"], job["seed"])
    for model, images, manifest in zip(job["models"], files.images, files.manifests, strict=True)
}
load = loader(map(Path, files.weights), job["device"])
table = correlations_of(load, stores, batch_size=job["batch_size"], precision=job["precision"])
with replacing(Path(snakemake.output[0])) as temporary:
    pq.write_table(table, temporary)
