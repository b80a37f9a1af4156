"""Check a file of weights against its SHA-256 and its architecture."""

from pathlib import Path
from typing import TYPE_CHECKING

from perturb.images.store import open_store
from perturb.logs import log_to
from perturb.models.checkpoints import save_checkpoint
from perturb.models.making import import_weights

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0])
store = open_store(Path(snakemake.input.images), Path(snakemake.input.manifest))
classifier, card = import_weights(
    Path(snakemake.input.file),
    snakemake.params.sha256,
    snakemake.params.model,
    num_classes=store.num_classes,
    side=store.pixels.shape[-1],
)
save_checkpoint(Path(snakemake.output.weights).parent, classifier, card)
