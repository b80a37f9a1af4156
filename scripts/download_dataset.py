"""Download a public dataset of the register, verify it and unpack it."""

from pathlib import Path
from typing import TYPE_CHECKING

from perturb.config.source_checks import REGISTER
from perturb.datasets.download.downloads import download
from perturb.datasets.download.register import register_entry
from perturb.logs import log_to

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
entry = register_entry(REGISTER, snakemake.params.name, snakemake.params.sha256)
download(entry, Path(snakemake.params.folder))
