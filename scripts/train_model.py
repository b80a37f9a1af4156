"""Pre-train a model, then fine-tune it on the target task."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from perturb.config import load_config
from perturb.datasets.streamed import training_images
from perturb.devices import device_of
from perturb.logs import log_to
from perturb.models.checkpoints import save_checkpoint
from perturb.models.making import train_model
from perturb.models.training import Phase
from perturb.parquet import keep_pandas_out
from perturb.plan.origins import check_files, of_checkpoint
from perturb.plan.params import training_datasets

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
keep_pandas_out()
study = load_config(snakemake.config)
check_files(study, snakemake.input)
# The other cores render. Sums of several threads round otherwise: the network would depend on them.
torch.set_num_threads(1)
model = snakemake.wildcards.model
datasets = {purpose: study.datasets[id] for purpose, id in training_datasets(study, model).items()}
images = training_images(datasets, snakemake.input, study.seed, num_workers=snakemake.threads - 1)
classifier, card = train_model(
    snakemake.params.model,
    {phase: Phase(images[phase], number) for phase, number in snakemake.params.num_samples.items()},
    images["validation"],
    seed=snakemake.params.seed,
    device=device_of(snakemake.params.device),
)
made_from = of_checkpoint(study, model)
save_checkpoint(Path(snakemake.output.weights).parent, classifier, card, made_from)
