# REQUIRED INPUTS  config: the configuration as Snakemake parsed it
# OUTPUTS          STUDY (the checked configuration), JOBS, PATHS, and functions that name inputs
#
# Inputs are named by PATHS, never as the output of another job's definition: with one such name in
# the list Snakemake looks all others up in a way that takes the square of the number of shards.
import os
import re
import sys
from dataclasses import asdict

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.settings.types import ExecMode

from perturb.config import ConfigError, load_config
from perturb.config.given import refuse_faulty_files
from perturb.config.model_views import assumed_values
from perturb.config.numbers import spelt_alike
from perturb.config.source_checks import REGISTER
from perturb.datasets.download.register import read_register
from perturb.evaluate.digests import digest_of
from perturb.files import as_inputs, existing, refusal_of
from perturb.models.arguments import PROTOCOL as TRAINING_PROTOCOL
from perturb.plan import params, products, sources
from perturb.plan.cells import evaluated_datasets
from perturb.plan.jobs import (
    TRANSFER,
    Sources,
    datasets_of_job,
    experiments,
    jobs,
    stores_of_job,
)
from perturb.plan.left_out import left_out
from perturb.plan.paths import Paths
from perturb.plan.stale import Stale
from perturb.plan.stores import any_store, stores_of_dataset
from perturb.runs import lock
from perturb.runs.reasons import show_reasons

show_reasons(workflow)
try:
    # Snakemake keeps the last of two equal keys without a word.
    refuse_faulty_files(["--configfile", *map(str, workflow.overwrite_configfiles)])
    STUDY = load_config(config, beside=sources.missing_files)
except ConfigError as error:
    raise WorkflowError(f"The configuration is not valid.\n{error}") from None

PATHS = Paths(STUDY.results)
JOBS = jobs(STUDY)
EXPERIMENTS = experiments(STUDY)
SOURCES = Sources(STUDY)
RECEIPTS = [job.receipt(PATHS) for job in JOBS.values()]
EVALUATED = evaluated_datasets(STUDY)
TABLES = products.tables(STUDY)
CHARTS = products.charts(STUDY)
FORMS = ("html", "svg", "png")
PICTURES = products.pictures(STUDY)
GENERATED = [dataset.id for dataset in STUDY.datasets.values() if dataset.generate]
FILTERED = [dataset.id for dataset in STUDY.datasets.values() if dataset.filter]
BUNDLED = [dataset.id for dataset in STUDY.datasets.values() if dataset.bundled]
DECODED = [
    store
    for dataset in STUDY.datasets.values()
    if dataset.source
    for store in stores_of_dataset(STUDY, dataset.id)
]
SHEETS = {
    dataset: any_store(STUDY, dataset)
    for dataset in STUDY.datasets
    if stores_of_dataset(STUDY, dataset)
}
TRAINED = [model.id for model in STUDY.models.values() if model.training]
GIVEN = [model.id for model in STUDY.models.values() if model.weights]
# How a cluster spells a GPU, if not as `--gpus`: see slurm/README.md.
GRES = os.environ.get("PERTURB_SLURM_GRES")
NUM_GPUS = 1 if STUDY.device == "cuda" else 0
GPU = {"gres": GRES} if NUM_GPUS and GRES else {"gpu": NUM_GPUS}
COMMAND = products.command(
    workflow.overwrite_configfiles,
    workflow.config_settings.config_args or [],
    Path(workflow.basedir),
)

# Here already, as Snakemake looks for results before it starts anything.
if not existing(Path(STUDY.results)).is_dir():
    raise WorkflowError(f"results: {existing(Path(STUDY.results))} is not a folder.")


# In a job nothing is planned.
try:
    STALE = Stale(STUDY, is_known=workflow.exec_mode == ExecMode.DEFAULT)
except OSError as error:
    raise WorkflowError(f"results: cannot be written to: {error}") from None
for line in STALE.reasons:
    print(f"Made again: {line}", file=sys.stderr)


def ids(entries):
    """A pattern for exactly these ids; for none of them one that matches nothing."""
    return "|".join(map(re.escape, entries)) or "(?!)"


def refuse_results_folder():
    """Stop if nothing can be written where the results belong."""
    refusal = refusal_of(Path(STUDY.results))
    if refusal:
        raise WorkflowError(f"results: {refusal}.")


def refuse_missing_files():
    """Stop if something that the study reads is not there, and say all that is not.

    Runs that only fetch datasets or weights read none of it.
    """
    asked = workflow.dag_settings
    marks = Path(sources.mark_of_download(STUDY, "any")).parent
    if asked.targets and all(
        Path(target).is_relative_to(marks) for target in asked.targets
    ):
        return
    if set(asked.until) == {"import_checkpoint"}:
        return
    missing = sources.missing_files(STUDY)
    if missing:
        raise WorkflowError(
            "The study reads files that are not there.\n" + "\n".join(missing)
        )
    unlike = sources.unlike_classes(STUDY)
    if unlike:
        raise WorkflowError(
            "Datasets of the study do not have the same classes.\n" + "\n".join(unlike)
        )
    unnamed = sources.unlike_parts(STUDY)
    if unnamed:
        raise WorkflowError(
            "Images of the study are not named alike.\n" + "\n".join(unnamed)
        )


def show_assumed_values():
    """Print what is taken for preprocessing that the configuration does not give."""
    for line in assumed_values(STUDY.models.values()):
        print(line, file=sys.stderr)


def say_what_is_left_out():
    """Say which parts of the study are planned for no cell of a model, and why."""
    for sentence in left_out(STUDY):
        print(f"Left out: {sentence}", file=sys.stderr)


def record_start():
    """Keep what this run was started with, for `make resume`; elsewhere it could not be repeated."""
    if workflow.overwrite_workdir is None:
        lock.record_bare_run(Path.cwd(), sys.argv[1:])


def record_end():
    """Keep that this run has come to its end."""
    lock.record_bare_end(Path.cwd())


def has_written_page():
    """Whether a job of this run wrote the page."""
    jobs = (job for job in workflow.dag.jobs if job.rule.name == "write_page")
    return any(map(workflow.dag.finished, jobs))


def job_images(model, job):
    """Return the pixels that a job reads."""
    return [PATHS.images(store) for store in stores_of_job(STUDY, JOBS[model, job])]


def job_manifests(model, job):
    """Return the manifests that a job reads."""
    return [PATHS.manifest(store) for store in stores_of_job(STUDY, JOBS[model, job])]


def store(dataset):
    """The two files of a dataset's decoded dataset."""
    return {"images": PATHS.images(dataset), "manifest": PATHS.manifest(dataset)}


def manifests(datasets):
    """A manifest of each dataset: all its stores list the same images."""
    return [PATHS.manifest(any_store(STUDY, dataset)) for dataset in datasets]


def checkpoint(model):
    """The two files of a model's checkpoint."""
    return {"weights": PATHS.weights(model), "card": PATHS.card(model)}


def downloads(store):
    """What says that a store's images were downloaded, if the workflow does that."""
    source = STUDY.datasets[store.partition("/")[0]].source
    return (
        [sources.mark_of_download(STUDY, source["download"])]
        if "download" in source
        else []
    )


def given_weights(model):
    """The file of pretrained weights; the clean images tell networks of ours their input."""
    entry = STUDY.models[model]
    # An edited file has another SHA-256 than the configuration says, which is among the params.
    named = [entry.weights_file.path] if entry.weights_file else []
    file = {"file": path for path in as_inputs(named)}
    return file | (store(STUDY.clean_dataset.id) if entry.own_view is None else {})


def table_files(table):
    """Return the files that a table is made from."""
    found = {}
    for files in products.table_sources(STUDY, table).values():
        found |= dict.fromkeys([files] if isinstance(files, str) else files)
    return list(found)


def is_asked_for(files):
    """Return whether the command line names one of these files; Snakemake has not read it yet."""
    return not set(map(os.path.normpath, sys.argv[1:])).isdisjoint(files)


def caption(kind, name):
    """Return the caption of a table or chart, for Snakemake's own report."""
    return products.caption_file(kind, name).read_text(encoding="utf-8")


def class_maps(datasets):
    """The files that map coarser classes to the models' own, of the datasets that have one."""
    maps = (STUDY.datasets[id].class_map for id in datasets)
    return as_inputs(filter(None, maps))


def training_stores(model):
    """The stores that a model is trained on: `training_images`, `training_manifest`, ..."""
    return {
        f"{purpose}_{file}": path
        for purpose, dataset in params.training_datasets(STUDY, model).items()
        for file, path in store(dataset).items()
    }


wildcard_constraints:
    model=ids(STUDY.models),
    dataset=ids(STUDY.datasets),
    store=ids(DECODED),
    download=ids(read_register(REGISTER)),
