"""All tables of the full ImageNet study, from made-up predictions: time and memory of their jobs.

Run: ``python -m benchmarks.full_tables FOLDER``. Writes every shard that config/imagenet.yaml asks
for, with as many rows as in the real study (104 million in all), then runs the scripts that
describe the study, check its shards, make its tables and draw its charts, each in a process of its
own. What is in the rows means nothing. Shards that are there are kept: a second run only measures.
"""

import argparse
import json
import logging
import multiprocessing
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from snakemake.iocontainers import Namedlist
from torch import Tensor

from perturb import provenance
from perturb.config import Config, load_config
from perturb.config.given import read_yaml, whole
from perturb.cost.study import num_images_of
from perturb.datasets.store import ImageStore, write_manifest
from perturb.datasets.subset import balanced_subset
from perturb.datasets.synthetic.family import SHAPES
from perturb.evaluate.cell import Cell
from perturb.evaluate.rows import rows
from perturb.evaluate.shards import write_shard
from perturb.experiments.possible import samples_of
from perturb.experiments.registry import protocol_of
from perturb.models.classifier import Preprocessing
from perturb.plan import products
from perturb.plan.cells import cells, evaluated_datasets
from perturb.plan.jobs import experiments
from perturb.plan.origins import of_checkpoint, of_store
from perturb.plan.params import class_subsets
from perturb.plan.paths import Paths
from perturb.plan.stores import any_store

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parents[1]
NUM_CLASSES = 1000
# Analyses that are no shards: their files are small, and so are the tables made from them.
WITHOUT = ("patterns", "correlations")
JOBS = ("describe_study", "check_shards", "make_table", "draw_charts")
MEMORY_MB = 12_000  # of the rule `make_table`


def study() -> dict[str, Any]:
    """Return the configuration of the full study."""
    raw = whole(read_yaml(ROOT / "config" / "imagenet.yaml"))
    analyses = {key: value for key, value in raw["analyses"].items() if key not in WITHOUT}
    return raw | {"analyses": analyses}


def write_inputs(config: Config) -> None:
    """Write what the jobs read beside shards: manifests of stores and cards of models."""
    layout = Paths(config.results)
    for dataset in evaluated_datasets(config):
        path = Path(layout.manifest(any_store(config, dataset)))
        path.parent.mkdir(parents=True, exist_ok=True)
        store = any_store(config, dataset)
        write_manifest(path, manifest(config, dataset), of_store(config, store))
    for model in config.models.values():
        card = {
            "model": model.id,
            "arguments": dict(model.architecture.arguments),
            "num_parameters": 10**7,
            "weights_sha256": weights_of(model.id),
            "preprocessing": asdict(Preprocessing(side=384)),
            "made_from": of_checkpoint(config, model.id),
        }
        path = Path(layout.card(model.id))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(card))


def manifest(config: Config, dataset: str) -> pa.Table:
    """Return the manifest of a dataset of its real size; each class has as many images."""
    size = num_images_of(config, dataset)
    if size is None:
        raise ValueError(f"datasets.{dataset}: has no `images`, the size that is to be made up")
    is_conflict = config.datasets[dataset].role == "cue_conflict"
    classes = np.arange(len(SHAPES) if is_conflict else NUM_CLASSES)
    classes = np.array(class_subsets(config).get(dataset, classes), np.int16)
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


def write_shards(config: Config, model: str) -> int:
    """Write the shards of a model that are not there; return their number of rows."""
    torch.set_num_threads(1)
    stores: dict[tuple[str, int | None], ImageStore] = {}
    num_rows = 0
    for cell in cells(config):
        path = Path(Paths(config.results).shard(cell))
        if cell.model != model or path.exists():
            continue
        key = cell.dataset, config.perturbations[cell.perturbation].num_images
        if key not in stores:
            stores[key] = subset(manifest(config, cell.dataset), key[1], config.seed)
        table, facts = predicted(config, cell, stores[key])
        path.parent.mkdir(parents=True, exist_ok=True)
        write_shard(path, table, facts)
        num_rows += table.num_rows
    return num_rows


def subset(table: pa.Table, num_images: int | None, seed: int) -> ImageStore:
    """Return a store without pixels of the images that a cell is evaluated on."""
    ids, targets = (table[name].to_pylist() for name in ("image_id", "target"))
    kept = table.take(balanced_subset(ids, targets, num_images, seed))
    return ImageStore(np.empty((len(kept), 0), np.uint8), kept)


def predicted(config: Config, cell: Cell, store: ImageStore) -> tuple[pa.Table, dict[str, Any]]:
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
        rows(cell, condition, sample, store, [answers(cell, store, generator) | removed(sample)])
        for condition, numbers in samples.items()
        for sample in numbers
    ]
    return pa.concat_tables(tables).unify_dictionaries(), {
        **{name: getattr(cell, name) for name in ("model", "dataset", "perturbation")},
        "severity": value,
        "identity": sha256(str(cell).encode()).hexdigest(),
        "samples": samples,
        "options": dict(perturbation.options),
        "protocol": protocol_of(cell.perturbation),
        "seed": config.seed,
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


def run_script(job: str) -> None:
    """Run the script of a job as Snakemake does, once for each of its products."""
    raw = study()
    config = load_config(raw)
    seconds: dict[str, float] = {}
    for wildcards in products_of(config, job):
        started = time.perf_counter()
        run_once(raw, config, job, wildcards)
        seconds[" ".join(wildcards.values()) or job] = time.perf_counter() - started
    slowest = sorted(seconds, key=lambda name: -seconds[name])[:8]
    told = ", ".join(f"{name} {seconds[name]:.0f} s" for name in slowest)
    sys.stdout.write(f"slowest of {job}: {told}\n")


def products_of(config: Config, job: str) -> list[dict[str, str]]:
    """Return the wildcards of each job of a rule."""
    if job == "check_shards":
        return [{"experiment": experiment} for experiment in experiments(config)]
    if job == "make_table":
        # One that is a query over another comes after it.
        names = sorted(products.tables(config), key=lambda name: name != "reference_errors")
        return [{"table": name} for name in names]
    return [{}]


def run_once(raw: dict[str, Any], config: Config, job: str, wildcards: Mapping[str, str]) -> None:
    """Run the script of one job."""
    paths = Paths(config.results)
    table, charts = wildcards.get("table", ""), products.charts(config)
    forms = {"parquet": "parquet", "csv": "csv", "markdown": "md", "latex": "tex"}
    shown = products.chart_tables(config)
    outputs: dict[str, dict[str, Any]] = {
        "describe_study": {"models": paths.models, "datasets": paths.datasets},
        "check_shards": {"inventory": paths.inventory(wildcards.get("experiment", ""))},
        "make_table": {form: paths.table(table, suffix) for form, suffix in forms.items()},
        "draw_charts": {
            form: [paths.chart(chart, form) for chart in charts] for form in ("html", "svg", "png")
        },
    }
    inputs: dict[str, dict[str, Any]] = {
        "check_shards": {"models": paths.models},
        "draw_charts": {"tables": list(shown.values())},
    }
    params = {
        "parameters": products.table_parameters(config, table) if table else {},
        "charts": list(charts),
        "tables": list(shown),
    }
    log = paths.log(job, *wildcards.values())
    for path in (*outputs[job].values(), log):
        first = path if isinstance(path, str) else path[0]
        Path(first).parent.mkdir(parents=True, exist_ok=True)
    snakemake = SimpleNamespace(
        rule=job,
        config=raw,
        wildcards=Namedlist(fromdict=dict(wildcards)),
        params=Namedlist(fromdict=params),
        input=Namedlist(fromdict=inputs.get(job, {})),
        output=Namedlist(fromdict=outputs[job]),
        log=[log],
        threads=4,
        resources=SimpleNamespace(mem_mb=MEMORY_MB),
    )
    runpy.run_path(str(ROOT / "scripts" / f"{job}.py"), init_globals={"snakemake": snakemake})


def measured(job: str) -> tuple[float, float]:
    """Return the seconds and the largest memory [GB] of a job in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.full_tables", ".", "--only", job]
    started = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)})
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{job}: see its log")
    return time.perf_counter() - started, used.ru_maxrss * 1024 / 1e9


def main() -> None:
    """Write the inputs, run the jobs and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=JOBS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    # A study's paths are relative to where it runs.
    arguments.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(arguments.folder)
    if not Path("resources").exists():
        Path("resources").symlink_to(ROOT / "resources")
    if arguments.only:
        run_script(arguments.only)
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = load_config(study())
    write_inputs(config)
    context = multiprocessing.get_context("spawn")
    started = time.perf_counter()
    with ProcessPoolExecutor(mp_context=context) as pool:
        num_rows = sum(pool.map(partial(write_shards, config), config.models))
    logger.info("%s rows written in %.0f s", f"{num_rows:,}", time.perf_counter() - started)
    for job in JOBS:
        logger.info("%-16s %7.1f s %6.2f GB", job, *measured(job))


if __name__ == "__main__":
    main()
