"""Draw some images of a data set side by side."""

from pathlib import Path
from typing import TYPE_CHECKING

from perturb.images.contact_sheet import sheet_of_store
from perturb.images.store import open_store
from perturb.logs import log_to

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0])
store = open_store(Path(snakemake.input.images), Path(snakemake.input.manifest))
sheet_of_store(store).save(snakemake.output[0])
