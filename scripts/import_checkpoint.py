"""Check pretrained weights against their SHA-256 and their architecture; download those of timm."""

from pathlib import Path
from typing import TYPE_CHECKING

from perturb.config import load_config
from perturb.config.preprocessing import assumed_preprocessing
from perturb.datasets.store import open_store
from perturb.logs import log_to
from perturb.models.checkpoints import save_checkpoint
from perturb.models.making import import_weights
from perturb.parquet import keep_pandas_out
from perturb.plan.origins import check_files, of_checkpoint

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
keep_pandas_out()
study = load_config(snakemake.config)
check_files(study, snakemake.input)
task = {}
if "images" in snakemake.input.keys():  # noqa: SIM118, the keys of a list of files
    store = open_store(Path(snakemake.input.images), Path(snakemake.input.manifest))
    task = {"num_classes": store.num_classes, "side": store.pixels.shape[-1]}
assumed = assumed_preprocessing(study.models[snakemake.wildcards.model])
classifier, card = import_weights(snakemake.params.model, assumed=assumed, **task)
made_from = of_checkpoint(study, snakemake.wildcards.model)
save_checkpoint(Path(snakemake.output.weights).parent, classifier, card, made_from)
