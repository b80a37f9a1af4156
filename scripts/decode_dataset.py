"""Decode real images, once per preprocessing, into a decoded dataset."""

from pathlib import Path
from typing import TYPE_CHECKING

from perturb.config import load_config
from perturb.datasets.real.ingest import build_from_source
from perturb.logs import log_to
from perturb.models.resizing import Resizing
from perturb.plan.origins import of_store

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
dataset = snakemake.params.dataset
build_from_source(
    Path(snakemake.output.images),
    Path(snakemake.output.manifest),
    dataset["source"],
    Resizing(**dataset["view"]),
    root=Path(),
    part=dataset["part"],
    side=dataset.get("side"),
    num_images=dataset["num_images"],
    num_classes=dataset["num_classes"],
    decoding=dataset["decoding"],
    workers=snakemake.threads,
    clean=next(map(Path, snakemake.input.clean), None),
    made_from=of_store(load_config(snakemake.config), snakemake.wildcards.store),
)
