"""Render a set of the embedded image family into a decoded dataset."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from perturb.config import load_config
from perturb.datasets.build import build_generated
from perturb.logs import log_to
from perturb.parquet import keep_pandas_out
from perturb.plan.origins import of_store

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
keep_pandas_out()
torch.set_num_threads(snakemake.threads)
dataset = snakemake.params.dataset
build_generated(
    Path(snakemake.output.images),
    Path(snakemake.output.manifest),
    dataset["generate"],
    num_images=dataset["num_images"],
    seed=dataset["seed"],
    made_from=of_store(load_config(snakemake.config), snakemake.wildcards.dataset),
)
