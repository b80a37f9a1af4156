"""Draw sample images of every dataset side by side."""

from pathlib import Path
from typing import TYPE_CHECKING

from perturb.config import load_config
from perturb.datasets.contact_sheet import sheet_of_store
from perturb.datasets.store import open_store
from perturb.files import replacing
from perturb.logs import log_to
from perturb.parquet import keep_pandas_out
from perturb.plan.origins import check_files
from perturb.plan.settings import write_settings

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
keep_pandas_out()
study = load_config(snakemake.config)
check_files(study, snakemake.input)
stores = zip(snakemake.input.images, snakemake.input.manifests, strict=True)
for (images, manifest), sheet in zip(stores, snakemake.output, strict=True):
    drawn = sheet_of_store(open_store(Path(images), Path(manifest)))
    with replacing(Path(sheet)) as temporary:
        drawn.save(temporary, format="PNG")
write_settings(study, snakemake.output)
