"""Check every shard of an experiment against its cell, its images and its weights."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from perturb.config import load_config
from perturb.files import replacing
from perturb.logs import log_to
from perturb.plan.check_shards import check_shards
from perturb.plan.origins import check_files

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
study = load_config(snakemake.config)
check_files(study, snakemake.input)
models = pq.read_table(snakemake.input.models, columns=["model", "weights_sha256"])
hashes = dict(zip(*models.to_pydict().values(), strict=True))
inventory = check_shards(study, snakemake.wildcards.experiment, hashes)
with replacing(Path(snakemake.output[0])) as temporary:
    pq.write_table(inventory, temporary)
