# REQUIRED INPUTS  config: the configuration as Snakemake parsed it
# OUTPUTS          STUDY (the checked configuration), JOBS, PATHS, and functions that name inputs
#
# Inputs are named by PATHS, never as `rules.<rule>.output`: with one such name in the list the time
# of Snakemake's look-up grows with the square of the number of files.
import os
import re
import sys
from dataclasses import asdict

import yaml
from snakemake.cli import parse_args
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.settings.types import ExecMode

from perturb.config import ConfigError, load_config
from perturb.config.given import refuse_faulty_files
from perturb.config.preprocessing import assumed_values
from perturb.config.numbers import spelt_alike
from perturb.config.source_checks import REGISTER
from perturb.datasets.download.register import read_register
from perturb.evaluation.digests import digest_of
from perturb.files import as_inputs, existing, refusal_of
from perturb.models.arguments import PROTOCOL as TRAINING_PROTOCOL
from perturb.places import code, prefer_own_code, wherever
from perturb.plan import params, products, sources
from perturb.plan.cells import evaluated_datasets
from perturb.plan.examples import examples_of
from perturb.plan.jobs import (
    TRANSFER,
    Sources,
    datasets_of_job,
    jobs,
    jobs_of_experiments,
    stores_of_job,
)
from perturb.plan.left_out import left_out
from perturb.plan.paths import Paths
from perturb.plan.settings import inventory_settings
from perturb.plan.stale import Stale
from perturb.plan.stores import any_store, stores_of_dataset
from perturb.plan.unused import list_unused
from perturb.runs.last_run import record_run
from perturb.runs.monitor import watch

prefer_own_code()
try:
    # Of two equal keys Snakemake keeps the last one without a warning.
    refuse_faulty_files(["--configfile", *map(str, workflow.overwrite_configfiles)])
    STUDY = load_config(config, beside=sources.missing_files)
except ConfigError as error:
    raise WorkflowError(f"The configuration is not valid.\n{error}") from None

watch(workflow, STUDY)
PATHS = Paths(STUDY.results)
JOBS = jobs(STUDY)
RESULTS_OF = jobs_of_experiments(STUDY)
EXPERIMENTS = list(RESULTS_OF)
SOURCES = Sources(STUDY)
RECEIPTS = [job.receipt(PATHS) for job in JOBS.values()]
EVALUATED = evaluated_datasets(STUDY)
TABLES = products.tables(STUDY)
CHARTS = products.charts(STUDY)
TABLE_FORMS = ("parquet", "csv", "md", "tex")
TABLE_FILES = [PATHS.table(table, form) for table in TABLES for form in TABLE_FORMS]
CHART_FILES = [
    PATHS.chart(chart, form)
    for chart in CHARTS
    for form in ("html", "svg", "png", "pdf", "json")
]
PICTURES = products.pictures(STUDY)
EXAMPLES = examples_of(STUDY)
GENERATED = [
    dataset.id
    for dataset in STUDY.datasets.values()
    if dataset.generate and not dataset.is_streamed
]
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
# The cluster's option for a GPU, if not `--gpus`: see slurm/README.md.
GRES = os.environ.get("PERTURB_SLURM_GRES")
# The image of jobs under `--sdm apptainer`: see envs/README.md.
IMAGE = os.environ.get("PERTURB_IMAGE", "perturb.sif")
NUM_GPUS = 1 if STUDY.device == "cuda" else 0
GPU = {"gres": GRES} if NUM_GPUS and GRES else {"gpu": NUM_GPUS}
COMMAND = products.command(
    workflow.overwrite_configfiles,
    workflow.config_settings.config_args or [],
    Path(workflow.basedir),
)

# Checked here, because Snakemake looks for results before it starts anything.
if not existing(Path(STUDY.results)).is_dir():
    raise WorkflowError(f"results: {existing(Path(STUDY.results))} is not a folder.")


# Jobs plan nothing.
try:
    STALE = Stale(STUDY, is_known=workflow.exec_mode == ExecMode.DEFAULT)
except OSError as error:
    raise WorkflowError(f"results: cannot be written to: {error}") from None
for line in STALE.reasons:
    print(f"Made again: {line}", file=sys.stderr)


def ids(entries):
    """Return a pattern that matches exactly these ids; nothing if there are none."""
    return "|".join(map(re.escape, entries)) or "(?!)"


def check_before_jobs():
    """Make all checks at once: a missing folder must not become a missing number.

    Print the defaults of preprocessing that the configuration does not set, the parts of the study
    that are not planned for a model, with the reason, and how many results belong to no entry.
    """
    refuse_faults()
    told = [*assumed_values(STUDY.models.values())]
    told += [f"Left out: {sentence}" for sentence in left_out(STUDY)]
    for line in filter(None, [*told, list_unused(STUDY)]):
        print(line, file=sys.stderr)


def _are_downloads_alone(asked):
    """Return whether a run only downloads datasets or weights: it needs no file of the study."""
    marks = Path(sources.mark_of_download(STUDY, "any")).parent
    is_download = [Path(target).is_relative_to(marks) for target in asked.targets]
    return bool(is_download and all(is_download)) or set(asked.until) == {
        "import_checkpoint"
    }


def refuse_faults():
    """Raise an error that lists all that a run would fail at: the results folder, the study's files."""
    refusal = refusal_of(Path(STUDY.results))
    faults = [f"results: {refusal}."] if refusal else []
    # Not known yet while a module is read.
    asked = workflow.dag_settings
    if asked is None or not _are_downloads_alone(asked):
        faults += sources.faulty_files(STUDY)
    if faults:
        raise WorkflowError("\n".join(faults))


def record_start():
    """Record the arguments of this run for `perturb resume`; not with `--directory`."""
    if workflow.overwrite_workdir is None:
        record_run(Path.cwd())


def show_report():
    """Show the path of the page if a job of this run wrote it: the last line of the output."""
    jobs = (job for job in workflow.dag.jobs if job.rule.name.endswith("write_page"))
    if any(map(workflow.dag.finished, jobs)):
        logger.info(f"The report: {Path(PATHS.page).resolve()}")


def job_stores(model, job):
    """Return the files of the decoded datasets that a job reads."""
    stores = stores_of_job(STUDY, JOBS[model, job])
    files = {"images": PATHS.images, "manifests": PATHS.manifest}
    return {name: list(map(path, stores)) for name, path in files.items()}


def job_checkpoints(model, job):
    """Return the files of the checkpoints that a job loads."""
    return checkpoints(JOBS[model, job].models())


def store(dataset):
    """Return the two files of a decoded dataset."""
    return {"images": PATHS.images(dataset), "manifest": PATHS.manifest(dataset)}


def manifests(datasets):
    """Return one manifest per dataset: all its decoded datasets list the same images."""
    return [PATHS.manifest(any_store(STUDY, dataset)) for dataset in datasets]


def checked_manifests(experiment):
    """Return the manifests of all decoded datasets that an experiment reads."""
    found = (stores_of_job(STUDY, job) for job in RESULTS_OF[experiment])
    return list(
        map(PATHS.manifest, dict.fromkeys(id for stores in found for id in stores))
    )


def checked_cards(experiment):
    """Return the cards of all models of an experiment."""
    return [PATHS.card(job.model) for job in RESULTS_OF[experiment]]


def checkpoints(models):
    """Return the files of the checkpoints of some models."""
    files = {"weights": PATHS.weights, "cards": PATHS.card}
    return {name: list(map(path, models)) for name, path in files.items()}


def downloads(store):
    """Return the mark of the download of a decoded dataset's images, if the workflow downloads them."""
    source = STUDY.datasets[store.partition("/")[0]].source
    return (
        [sources.mark_of_download(STUDY, source["download"])]
        if "download" in source
        else []
    )


def given_weights(model):
    """Return the file of pretrained weights, and for networks of ours the clean images: their input."""
    entry = STUDY.models[model]
    # Its SHA-256 is among the params: an edited file differs from the configuration.
    of_file = entry.weights_file
    named = [of_file.path] if of_file else []
    named += [of_file.class_vectors.path] if of_file and of_file.class_vectors else []
    file = {"file": paths} if (paths := as_inputs(named)) else {}
    return file | (
        store(STUDY.clean_dataset.id) if entry.own_preprocessing is None else {}
    )


def in_report(chart, form):
    """Return how Snakemake's own report lists a chart in a format."""
    labels = {"chart": CHARTS[chart].title, "format": form}
    caption = str(products.caption_file("chart", chart))
    return {"caption": caption, "category": "Charts", "labels": labels}


def is_asked_for(files):
    """Return whether one of these files is a target of the command line.

    Snakemake has parsed it, but gives its targets only after it has read the rules.
    """
    words = set(map(os.path.normpath, sys.argv[1:]))
    if words.isdisjoint(files):
        return False
    targets = parse_args(sys.argv[1:])[1].targets
    return not set(map(os.path.normpath, targets)).isdisjoint(files)


def class_maps(datasets):
    """Return the class maps of the datasets that have one; receipts compare their content."""
    maps = (STUDY.datasets[id].class_map for id in datasets)
    return [ancient(path) for path in as_inputs(filter(None, maps))]


def training_stores(model):
    """Return a model's training data: `training_images`, `training_manifest`, ...; none if streamed."""
    return {
        f"{purpose}_{file}": path
        for purpose, dataset in params.training_datasets(STUDY, model).items()
        if stores_of_dataset(STUDY, dataset)
        for file, path in store(dataset).items()
    }


def training_threads(model):
    """Return the cores of a training: on a GPU those beside the first render streamed images."""
    datasets = params.training_datasets(STUDY, model).values()
    is_streamed = any(STUDY.datasets[id].is_streamed for id in datasets)
    return 8 if is_streamed and STUDY.device == "cuda" else 1


def training_minutes(model):
    """Return the minutes that a training asks for: half an hour, and more for many images.

    On a core the largest network of `config/scaling.yaml` learns 14,000 images a minute.
    """
    return 30 + sum(params.training_samples(STUDY, model).values()) // 10_000


# Of workflows that use this one as a module, Snakemake calls their own `onstart` alone.
if (
    not workflow.modifier.is_main_snakefile()
    and workflow.exec_mode == ExecMode.DEFAULT
    and not workflow.output_settings.dryrun
):
    check_before_jobs()


wildcard_constraints:
    model=ids(STUDY.models),
    dataset=ids(STUDY.datasets),
    store=ids(DECODED),
    download=ids(read_register(REGISTER)),
