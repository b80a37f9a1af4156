"""Select the images of a pool that all of some models misclassify."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from perturb.config import load_config
from perturb.datasets.build import build_filtered
from perturb.datasets.store import open_store
from perturb.devices import device_of
from perturb.logs import log_to
from perturb.models.checkpoints import load_classifier
from perturb.parquet import keep_pandas_out
from perturb.plan.origins import check_files, of_store

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
keep_pandas_out()
study = load_config(snakemake.config)
check_files(study, snakemake.input)
torch.set_num_threads(snakemake.threads)
build_filtered(
    Path(snakemake.output.images),
    Path(snakemake.output.manifest),
    pool=open_store(Path(snakemake.input.images), Path(snakemake.input.manifest)),
    classifiers=[
        load_classifier(Path(weights).parent, device_of(snakemake.params.device))
        for weights in snakemake.input.weights
    ],
    batch_size=snakemake.params.batch_size,
    made_from=of_store(study, snakemake.wildcards.dataset),
)
