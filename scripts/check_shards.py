"""Check every shard and measurement of an experiment against its cell, images and weights."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from perturb.config import load_config
from perturb.evaluation.identity import model_facts
from perturb.files import replacing
from perturb.logs import log_to
from perturb.parquet import keep_pandas_out
from perturb.plan.check_shards import check_shards
from perturb.plan.origins import check_files
from perturb.plan.settings import write_settings

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
keep_pandas_out()
study = load_config(snakemake.config)
check_files(study, snakemake.input)
cards = map(Path, snakemake.input.cards)
hashes = {card.parent.name: model_facts(card)["weights_sha256"] for card in cards}
inventory = check_shards(study, snakemake.wildcards.experiment, hashes)
with replacing(Path(snakemake.output[0])) as temporary:
    pq.write_table(inventory, temporary)
write_settings(study, snakemake.output)
