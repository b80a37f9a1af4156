"""Measure and draw what adversarial perturbations look like, model beside model."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import torch

from perturb.config import load_config
from perturb.datasets.build import generated_masks
from perturb.datasets.store import open_subset
from perturb.evaluate.loading import PatternStudy, captions_of, loader, measure_patterns
from perturb.experiments.perturbation_patterns.sheet import pattern_sheet
from perturb.files import replacing
from perturb.logs import log_to
from perturb.plan.origins import check_files

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
check_files(load_config(snakemake.config), snakemake.input)
torch.set_num_threads(snakemake.threads)
job, files = snakemake.params.patterns, snakemake.input
store = open_subset(Path(files.images), Path(files.manifest), job["num_images"], job["seed"])
num_shown = job["num_shown"]
study = PatternStudy(
    store=store,
    masks=generated_masks(store, job["generate"], job["seed"]),
    patch_sizes=job["patch_sizes"],
    num_shown=num_shown,
    shown=job["shown"],
    **job["options"],
)
load = loader(map(Path, files.weights), job["device"])
how = {"batch_size": job["batch_size"], "precision": job["precision"]}
table, shown = measure_patterns(load, job["models"], study, **how)
with replacing(Path(snakemake.output.table)) as temporary:
    pq.write_table(table, temporary)
sheet = pattern_sheet(store.read(0, num_shown).pixels, shown, captions_of(store, num_shown))
with replacing(Path(snakemake.output.sheet)) as temporary:
    sheet.save(temporary, format="PNG")
