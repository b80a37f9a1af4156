"""Record what one model decides on every image of some data sets, under some perturbations."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from perturb.analyse import loader
from perturb.cells import Cell
from perturb.evaluate import evaluate_cell
from perturb.images.store import open_subset
from perturb.logs import log_to
from perturb.models.class_maps import read_class_map
from perturb.perturbations.outcome import Setting
from perturb.shards import write_shard

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0])
torch.set_num_threads(snakemake.threads)
files, model = snakemake.input, snakemake.wildcards.model
stores = dict(
    zip(snakemake.params.datasets, zip(files.images, files.manifests, strict=True), strict=True)
)
subject = loader([Path(files.weights)], torch.device(snakemake.params.device))(model)
for job, output in zip(snakemake.params.cells, snakemake.output, strict=True):
    cell = Cell(model, job["dataset"], job["perturbation"], job["severity"])
    images, manifest = map(Path, stores[cell.dataset])
    store = open_subset(images, manifest, job["num_images"], job["seed"])
    class_map = read_class_map(Path(job["class_map"])) if job["class_map"] else None
    table, metadata = evaluate_cell(
        replace(subject, class_map=class_map),
        store,
        cell,
        Setting(tuple(job["conditions"]), cell.severity_value, job["seed"], job["options"]),
        batch_size=job["batch_size"],
    )
    write_shard(Path(output), table, metadata)
