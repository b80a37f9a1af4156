"""Make the tables of models and datasets that predictions are joined with."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from perturb.config import load_config
from perturb.files import replacing
from perturb.logs import log_to
from perturb.plan.cells import evaluated_datasets
from perturb.plan.origins import check_files
from perturb.plan.params import chosen_by, class_subsets
from perturb.plan.paths import Paths
from perturb.plan.settings import write_settings
from perturb.plan.stores import any_store
from perturb.tables.facts import check_datasets, describe_datasets, describe_models

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
study = load_config(snakemake.config)
check_files(study, snakemake.input)
paths = Paths(study.results)
cards = {model: Path(paths.card(model)) for model in study.models}
datasets = [study.datasets[id] for id in evaluated_datasets(study)]
stores = {dataset.id: any_store(study, dataset.id) for dataset in datasets}
manifests = {dataset: Path(paths.manifest(store)) for dataset, store in stores.items()}
check_datasets(datasets, manifests)
subsets = class_subsets(study)
tables = {
    snakemake.output.models: describe_models(list(study.models.values()), cards),
    snakemake.output.datasets: describe_datasets(datasets, manifests, subsets, chosen_by(study)),
}
for path, table in tables.items():
    with replacing(Path(path)) as temporary:
        pq.write_table(table, temporary)
write_settings(study, snakemake.output)
