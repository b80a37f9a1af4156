"""A study whose jobs run in this process, on networks of random weights: what Snakemake would do.

A job runs if its receipt is not valid, not there, or older than a file that it reads. What it runs
are the functions that the scripts of the rules call.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from perturb.config import Config, load_config
from perturb.datasets.build import build_generated
from perturb.evaluation.identity import dataset_facts, model_facts
from perturb.evaluation.jobs import evaluate_cells
from perturb.evaluation.loading import loader
from perturb.experiments.measurements import measure
from perturb.experiments.registry import evaluator as evaluator_of
from perturb.experiments.transfer.jobs import evaluate_transfer
from perturb.models.architectures import build_network
from perturb.models.checkpoints import ModelCard, save_checkpoint
from perturb.models.classifier import Classifier, Preprocessing
from perturb.plan.carrying import carry_receipts
from perturb.plan.jobs import TRANSFER, Job, jobs
from perturb.plan.origins import foreign_artefacts, of_checkpoint, of_store
from perturb.plan.paths import Paths
from perturb.plan.receipts import write_receipt
from perturb.plan.tasks import files_of, tasks_of

SIDE, NUM_CLASSES = 32, 12


def run(config: Config) -> set[str]:
    """Bring a study to its end; return the cells and measurements that were evaluated."""
    for path in foreign_artefacts(config):
        Path(path).unlink()
    _prepare(config)
    started, evaluated = planned(config), set[str]()
    for key, job in jobs(config).items():
        if key in started:
            evaluated |= set(_run_job(config, job))
    return evaluated


def run_anew(study: Mapping[str, Any]) -> set[str]:
    """Run a configuration as another process would, which remembers nothing of the files."""
    dataset_facts.cache_clear()
    model_facts.cache_clear()
    return run(load_config(study))


def planned(config: Config) -> set[tuple[str, str]]:
    """Return the jobs that a run would start, by model and name."""
    stale = set(carry_receipts(config))
    return {key for key, job in jobs(config).items() if _is_planned(config, job, stale)}


def save_model(config: Config, model: str) -> None:
    """Write a checkpoint of a model; no two have the same weights."""
    architecture = config.models[model].architecture
    network = build_network(architecture.family, architecture.arguments, NUM_CLASSES, SIDE)
    card = ModelCard(
        model=model,
        architecture=architecture.id,
        family=architecture.family,
        size=architecture.size,
        patch_size=architecture.patch_size,
        arguments=architecture.arguments,
        num_classes=NUM_CLASSES,
        preprocessing=Preprocessing(side=SIDE),
        made_from=of_checkpoint(config, model),
    )
    folder = Path(Paths(config.results).card(model)).parent
    save_checkpoint(folder, Classifier(network, card.preprocessing).eval(), card)


def _prepare(config: Config) -> None:
    paths = Paths(config.results)
    for dataset in config.datasets.values():
        manifest = Path(paths.manifest(dataset.id))
        if not manifest.exists() and dataset.generate and dataset.num_images:
            images = Path(paths.images(dataset.id))
            made_from = of_store(config, dataset.id)
            build_generated(
                *(images, manifest, dataset.generate, dataset.num_images, config.seed),
                made_from=made_from,
            )
    for model in config.models:
        if not Path(paths.card(model)).exists():
            save_model(config, model)


def _is_planned(config: Config, job: Job, stale: set[str]) -> bool:
    paths = Paths(config.results)
    receipt = Path(job.receipt(paths))
    read = [file for files in files_of(config, job).values() for file in files]
    read += [paths.weights(model) for model in job.models()]
    return str(receipt) in stale or any(
        Path(file).stat().st_mtime_ns > receipt.stat().st_mtime_ns for file in read
    )


def _run_job(config: Config, job: Job) -> Iterable[str]:
    paths, files = Paths(config.results), files_of(config, job)
    receipt = Path(job.receipt(paths))
    receipt.unlink(missing_ok=True)  # as Snakemake does
    cells, measurements = tasks_of(config, job)
    load = loader([Path(paths.weights(model)) for model in job.models()], "cpu")
    if job.name == TRANSFER:
        done = [str(cell) for cell in evaluate_transfer(cells, load, files, config.batch_size)]
    else:
        done = [
            str(cell)
            for cell in evaluate_cells(cells, load, files, evaluator_of, config.batch_size)
        ]
        made = measure(measurements, load, job.model, files, config.batch_size)
        done += [task.name for task in made]
    tasks = [*cells.values(), *measurements]
    time.sleep(0.002)  # times of files are no finer everywhere
    write_receipt(config, job, {str(task.path): task.identity for task in tasks})
    return done
