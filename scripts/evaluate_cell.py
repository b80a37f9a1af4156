"""Record what one model decides on every image of a data set, at one severity."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from perturb.cells import Cell
from perturb.evaluate import evaluate_cell
from perturb.images.store import open_store
from perturb.logs import log_to
from perturb.models.checkpoints import load_classifier, read_card
from perturb.shards import write_shard

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0])
torch.set_num_threads(snakemake.threads)
cell = snakemake.params.cell
device = torch.device(cell["device"])
checkpoint = Path(snakemake.input.weights).parent
table, metadata = evaluate_cell(
    load_classifier(checkpoint, device),
    open_store(Path(snakemake.input.images), Path(snakemake.input.manifest)),
    Cell(**snakemake.wildcards),
    tuple(cell["conditions"]),
    card=read_card(checkpoint),
    seed=cell["seed"],
    batch_size=cell["batch_size"],
    device=device,
)
write_shard(Path(snakemake.output[0]), table, metadata)
