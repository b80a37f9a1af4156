"""All tables of the full ImageNet study, from made-up predictions: time and memory of their jobs.

Run: ``python -m benchmarks.full_tables FOLDER``. Writes every shard that config/imagenet.yaml asks
for, with as many rows as in the real study (106 million in all), and the receipts of the jobs that
would make them; then the workflow describes the study, checks its shards, makes its tables and
draws its charts. What is in the rows means nothing. Shards that are there are kept: a second run
only measures. ``--configfile`` names another study.
"""

import argparse
import csv
import json
import logging
import multiprocessing
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import chdir
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import yaml
from torch import Tensor

from perturb import provenance
from perturb.config import Config, load_config
from perturb.config.given import read_yaml, whole
from perturb.cost.study import num_images_of
from perturb.datasets.store import ImageStore, write_manifest
from perturb.datasets.subset import balanced_subset
from perturb.datasets.synthetic.family import SHAPES
from perturb.evaluation.cell import Cell
from perturb.evaluation.keeping import Task
from perturb.evaluation.rows import rows
from perturb.experiments.possible import samples_of
from perturb.models.checkpoints import ModelCard
from perturb.models.classifier import Preprocessing
from perturb.plan import params
from perturb.plan.cells import evaluated_datasets
from perturb.plan.jobs import Job, jobs
from perturb.plan.origins import of_checkpoint, of_store
from perturb.plan.paths import Paths
from perturb.plan.receipts import write_receipt
from perturb.plan.stores import stores_of_dataset
from perturb.plan.tasks import tasks_of

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parents[1]
NUM_CLASSES = 1000
# Analyses that are no shards: their files are small, and so are the tables made from them.
WITHOUT = ("perturbation_patterns", "layer_correlations")
RULES = ("describe_study", "check_shards", "make_tables", "draw_charts")


def study(configfile: Path) -> dict[str, Any]:
    """Return a configuration without analyses."""
    raw = whole(read_yaml(configfile))
    analyses = {key: value for key, value in raw["analyses"].items() if key not in WITHOUT}
    return raw | {"analyses": analyses}


def write_inputs(config: Config) -> None:
    """Write what the jobs read beside shards: manifests of stores and cards of models."""
    layout = Paths(config.results)
    for dataset in evaluated_datasets(config):
        for store in stores_of_dataset(config, dataset):
            path = Path(layout.manifest(store))
            path.parent.mkdir(parents=True, exist_ok=True)
            write_manifest(path, manifest(config, dataset), of_store(config, store))
            Path(layout.images(store)).touch()
    for model in config.models.values():
        card = ModelCard(
            **params.model_facts(config, model.id),
            num_classes=NUM_CLASSES,
            preprocessing=Preprocessing(side=384),
            made_from=of_checkpoint(config, model.id),
            num_parameters=10**7,
            weights_sha256=weights_of(model.id),
        )
        path = Path(layout.card(model.id))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(card)))
        Path(layout.weights(model.id)).touch()


def manifest(config: Config, dataset: str) -> pa.Table:
    """Return the manifest of a dataset of its real size; each class has as many images."""
    size = num_images_of(config, dataset)
    if size is None:
        raise ValueError(f"datasets.{dataset}: has no `images`, the size that is to be made up")
    is_conflict = config.datasets[dataset].role == "cue_conflict"
    classes = np.arange(len(SHAPES) if is_conflict else NUM_CLASSES)
    classes = np.array(params.class_subsets(config).get(dataset, classes), np.int16)
    number = np.arange(size)
    columns: dict[str, Any] = {
        "image_id": [f"{dataset}/{n:06d}" for n in number],
        "target": classes[number % len(classes)],
    }
    if is_conflict:
        columns["texture"] = (number // 7 % len(SHAPES)).astype(np.int16)
    return pa.table(columns)


def weights_of(model: str) -> str:
    """Return a hash in the place of that of a model's weights."""
    return sha256(model.encode()).hexdigest()


def write_results(config: Config, job: Job) -> int:
    """Write the missing shards of a job, and its receipt; return their number of rows."""
    torch.set_num_threads(1)
    stores: dict[tuple[str, int | None], ImageStore] = {}
    num_rows = 0
    tasks, _ = tasks_of(config, job)
    for cell, task in tasks.items():
        if task.path.exists():
            continue
        key = cell.dataset, config.perturbations[cell.perturbation].num_images
        if key not in stores:
            stores[key] = subset(manifest(config, cell.dataset), key[1], config.seed)
        table, facts = predicted(config, cell, task, stores[key])
        task.write(table, facts)
        num_rows += table.num_rows
    write_receipt(config, job, {str(task.path): task.identity for task in tasks.values()})
    return num_rows


def subset(table: pa.Table, num_images: int | None, seed: int) -> ImageStore:
    """Return a store without pixels of the images that a cell is evaluated on."""
    ids, targets = (table[name].to_pylist() for name in ("image_id", "target"))
    kept = table.take(balanced_subset(ids, targets, num_images, seed))
    return ImageStore(np.empty((len(kept), 0), np.uint8), kept)


def predicted(
    config: Config, cell: Cell, task: Task, store: ImageStore
) -> tuple[pa.Table, dict[str, Any]]:
    """Return the rows of a cell's shard, and how they were made."""
    perturbation = config.perturbations[cell.perturbation]
    architecture = config.models[cell.model].architecture
    value = cell.severity_value
    samples = (
        {cell.source: (0,)}
        if cell.source
        else samples_of(perturbation, value, architecture, config.seed)
    )
    seed = int.from_bytes(sha256(str(cell).encode()).digest()[:4])
    generator = torch.Generator().manual_seed(seed)

    def removed(sample: int) -> dict[str, str]:
        if cell.perturbation == "heads":
            block, head = divmod(sample, architecture.arguments["num_heads"])
            return {"removed": f"{block}.{head}"}
        # Of one block its index is the sample's number; of several, any text is as good.
        return {"removed": str(sample)} if cell.perturbation == "lesions" else {}

    tables = [
        rows(cell, condition, sample, store, answers(cell, store, generator) | removed(sample))
        for condition, numbers in samples.items()
        for sample in numbers
    ]
    return pa.concat_tables(tables).unify_dictionaries(), {
        **{name: getattr(cell, name) for name in ("model", "dataset", "perturbation")},
        "severity": value,
        "samples": samples,
        **{name: task.asked[name] for name in ("options", "protocol", "seed")},
        "weights_sha256": weights_of(cell.model),
        "source_sha256": weights_of(cell.source) if cell.source else None,
        "batch_size": config.batch_size,
        "device": "none",
        "dtype": "float32",
        "versions": provenance.versions(),
        "commit": "",
        "num_images": len(store),
        "seconds": 1.0,
        "images_per_second": float(len(store)),
    }


def answers(cell: Cell, store: ImageStore, generator: torch.Generator) -> dict[str, Tensor | str]:
    """Return predictions on all images, two thirds of them right, and what a perturbation adds."""
    size, targets = len(store), store.targets
    draws = torch.rand((size, 5), generator=generator)
    is_right = draws[:, 0] < 2 / 3
    added: dict[str, Tensor | str] = {}
    if cell.perturbation in ("fgsm", "pgd", "attack_ensemble", "transfer"):
        added["distance"] = torch.full((size,), cell.severity_value)
    if cell.perturbation == "fgsm":
        added["gradient_norm"] = draws[:, 1]
    if cell.perturbation == "spatial":
        added["rotation_deg"] = draws[:, 1] * 60 - 30
        for axis, column in (("x", 2), ("y", 3)):
            added[f"translation_{axis}_px"] = (draws[:, column] * 48 - 24).to(torch.int16)
    if cell.perturbation == "token_removal":
        added["flops_kept"] = torch.full((size,), 1 - cell.severity_value / 2)
    return {
        "target": targets,
        "prediction": torch.where(is_right, targets, (targets + 1) % NUM_CLASSES),
        "is_top5": is_right | (draws[:, 1] < 0.5),
        "target_probability": draws[:, 2],
        "loss": draws[:, 3],
        "confidence": draws[:, 4],
        **added,
    }


def measured(config: Config, rule: str) -> tuple[float, float]:
    """Return the seconds and the largest memory [GB] of a rule's jobs, as Snakemake measured."""
    of_one = Path(Paths(config.results).benchmark(rule))
    of_several = of_one.with_suffix("").glob("*.tsv")  # of a rule with wildcards
    files = [of_one] if of_one.exists() else of_several
    lines = [row for file in files for row in csv.DictReader(file.open(), delimiter="\t")]
    seconds = sum(float(line["s"]) for line in lines)
    return seconds, max(float(line["max_rss"]) for line in lines) * 2**20 / 1e9


def run_workflow(cores: int) -> None:
    """Run the jobs from the check of the shards to the charts in the working directory."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["make_tables", "draw_charts", "--configfile", "study.yaml", "--quiet", "all"]
    subprocess.run([*command, "--cores", str(cores), "--forcerun", *RULES], check=True)


def main() -> None:
    """Write the inputs, run the jobs and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--configfile", type=Path, default=ROOT / "config" / "imagenet.yaml")
    parser.add_argument("--cores", type=int, default=4)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    raw = study(arguments.configfile)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    # A study's paths are relative to where it runs.
    with chdir(arguments.folder):
        Path("study.yaml").write_text(yaml.safe_dump(raw))
        config = load_config(raw)
        write_inputs(config)
        context = multiprocessing.get_context("spawn")
        started = time.perf_counter()
        with ProcessPoolExecutor(mp_context=context) as pool:
            num_rows = sum(pool.map(partial(write_results, config), jobs(config).values()))
        logger.info("%s rows written in %.0f s", f"{num_rows:,}", time.perf_counter() - started)
        run_workflow(arguments.cores)
        for rule in RULES:
            logger.info("%-16s %7.1f s %6.2f GB", rule, *measured(config, rule))


if __name__ == "__main__":
    main()
