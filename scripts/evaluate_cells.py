"""Record what one model decides on every image of some data sets, under some perturbations."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from perturb.cells import Cell
from perturb.evaluate import Subject, evaluate_cell
from perturb.images.store import open_subset
from perturb.logs import log_to
from perturb.models.checkpoints import load_classifier, read_card
from perturb.models.class_maps import read_class_map
from perturb.perturbations.outcome import Setting
from perturb.shards import write_shard

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0])
torch.set_num_threads(snakemake.threads)
checkpoint = Path(snakemake.input.weights).parent
for job, output in zip(snakemake.params.cells, snakemake.output, strict=True):
    position = snakemake.params.datasets.index(job["dataset"])
    class_map = job["class_map"]
    device = torch.device(job["device"])
    cell = Cell(snakemake.wildcards.model, job["dataset"], job["perturbation"], job["severity"])
    table, metadata = evaluate_cell(
        Subject(
            load_classifier(checkpoint, device),
            read_card(checkpoint),
            device,
            read_class_map(Path(class_map)) if class_map else None,
        ),
        open_subset(
            Path(snakemake.input.images[position]),
            Path(snakemake.input.manifests[position]),
            job["num_images"],
            job["seed"],
        ),
        cell,
        Setting(tuple(job["conditions"]), cell.severity_value, job["seed"], job["options"]),
        batch_size=job["batch_size"],
    )
    write_shard(Path(output), table, metadata)
