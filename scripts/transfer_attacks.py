"""Make adversarial images against one model, and record every model's predictions on them."""

import logging
from typing import TYPE_CHECKING

import torch

from perturb.config import load_config
from perturb.cost.loading import job_loader
from perturb.experiments.transfer.jobs import evaluate_transfer
from perturb.logs import log_to
from perturb.parquet import keep_pandas_out
from perturb.plan.jobs import TRANSFER, jobs
from perturb.plan.origins import check_files
from perturb.plan.receipts import write_receipt
from perturb.plan.tasks import files_of, tasks_of

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
keep_pandas_out()
study = load_config(snakemake.config)
check_files(study, snakemake.input)
torch.set_num_threads(snakemake.threads)
job = jobs(study)[snakemake.wildcards.source, TRANSFER]
cells, _ = tasks_of(study, job)
left = [cell for cell, task in cells.items() if not task.seems_kept]
load = job_loader(study, snakemake.input.weights, left)
for cell in evaluate_transfer(cells, load, files_of(study, job), study.batch_size):
    logging.info("%s: done", cell)
write_receipt(study, job, {str(task.path): task.identity for task in cells.values()})
