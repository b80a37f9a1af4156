"""Convert a dataset of an installed package into a decoded dataset."""

from pathlib import Path
from typing import TYPE_CHECKING

from perturb.config import load_config
from perturb.datasets.real.bundled import build_bundled
from perturb.logs import log_to
from perturb.plan.origins import of_store

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
build_bundled(
    Path(snakemake.output.images),
    Path(snakemake.output.manifest),
    snakemake.params.dataset["bundled"],
    seed=snakemake.params.dataset["seed"],
    made_from=of_store(load_config(snakemake.config), snakemake.wildcards.dataset),
)
