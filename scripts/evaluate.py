"""Record missing predictions of models under some perturbations, or missing measurements."""

from typing import TYPE_CHECKING

import torch

from perturb.config import load_config
from perturb.cost.loading import job_loader
from perturb.evaluation.cell import Cell
from perturb.evaluation.failures import each_in_turn
from perturb.evaluation.jobs import evaluate_cells
from perturb.experiments.measurements import measure
from perturb.experiments.registry import evaluator
from perturb.logs import log_to
from perturb.parquet import keep_pandas_out
from perturb.plan.clean_chance import warn_of_clean
from perturb.plan.jobs import jobs
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
job = jobs(study)[snakemake.wildcards.model, snakemake.wildcards.job]
cells, measurements = tasks_of(study, job)
files = files_of(study, job)
left = [cell for cell, task in cells.items() if not task.seems_kept]
weights = list(snakemake.input.weights)
load, plain = job_loader(study, weights, left), job_loader(study, weights)
evaluated = evaluate_cells(cells, load, files, evaluator, study.batch_size)
measured = measure(measurements, plain, job.model, files, study.batch_size)
for done in each_in_turn(evaluated, measured):
    if isinstance(done, Cell):
        warn_of_clean(study, done)
tasks = [*cells.values(), *measurements]
write_receipt(study, job, {str(task.path): task.identity for task in tasks})
