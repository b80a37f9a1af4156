# REQUIRED INPUTS  config: the configuration as Snakemake parsed it
# OUTPUTS          STUDY (the checked configuration), CELLS, PATHS, and functions that name inputs
import re

from snakemake.exceptions import WorkflowError

from perturb import jobs, products
from perturb.cells import (
    Layout,
    cells,
    evaluated_datasets,
    evaluation_jobs,
    transfer_cells,
)
from perturb.config import ConfigError, load_config
from perturb.models.names import PROTOCOL as TRAINING_PROTOCOL
from perturb.tables.catalogue import code_of

try:
    STUDY = load_config(config)
except ConfigError as error:
    raise WorkflowError(f"The configuration is not valid.\n{error}") from None

PATHS = Layout(STUDY.results)
CELLS = cells(STUDY)
EVALUATED = evaluated_datasets(STUDY)
TABLES = products.tables(STUDY)
CHARTS = products.charts(STUDY)
PICTURES = products.pictures(STUDY)
GENERATED = [dataset.id for dataset in STUDY.datasets.values() if dataset.generate]
FILTERED = [dataset.id for dataset in STUDY.datasets.values() if dataset.filter]
TRAINED = [model.id for model in STUDY.models.values() if model.training]
GIVEN = [model.id for model in STUDY.models.values() if model.weights]
GPUS = 1 if STUDY.device == "cuda" else 0


def ids(entries):
    """A pattern for exactly these ids; for none of them one that matches nothing."""
    return "|".join(map(re.escape, entries)) or "(?!)"


def store(dataset):
    """The two files of a data set's image store."""
    return {"images": PATHS.images(dataset), "manifest": PATHS.manifest(dataset)}


def checkpoint(model):
    """The two files of a model's checkpoint."""
    return {"weights": PATHS.weights(model), "card": PATHS.card(model)}


def class_maps(datasets):
    """The files that map coarser classes to the models' own, of the data sets that have one."""
    return [
        STUDY.datasets[id].class_map for id in datasets if STUDY.datasets[id].class_map
    ]


def training_stores(model):
    """The stores that a model is trained on: `training_images`, `training_manifest`, ..."""
    return {
        f"{purpose}_{file}": path
        for purpose, dataset in jobs.training_datasets(STUDY, model).items()
        for file, path in store(dataset).items()
    }


wildcard_constraints:
    model=ids(STUDY.models),
    dataset=ids(STUDY.datasets),
    table=ids(TABLES),
