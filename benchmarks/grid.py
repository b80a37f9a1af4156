"""Time of planning a large grid: this workflow's cells against as many bare Snakemake jobs.

Run: ``python -m benchmarks.grid --cells 5000``. Nothing is computed. Both workflows are planned
from nothing (``--dry-run``), then every job is marked as done (``--touch``, on made-up files), and
then run again, which finds nothing to do. Each bare job reads one file and writes one, as a cell's
job does at the least. Both have the settings of profiles/default. Wall seconds of whole commands.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import chdir
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from benchmarks.counts import finish as finish_jobs
from perturb.config import load_config
from perturb.datasets.store import write_manifest
from perturb.plan.cells import cells
from perturb.plan.origins import of_checkpoint, of_store
from perturb.plan.paths import Paths
from perturb.plan.settings import stale_products, write_settings

_ROOT = Path(__file__).resolve().parent.parent
_WORKFLOW = (
    *("Snakefile", "config.yaml", "rules", "scripts", "perturb"),
    *("profiles", "resources", "schemas", "envs", "report"),
)
_BARE = """
rule all:
    input: expand("out/{{number}}.txt", number=range({num_jobs}))

rule make_source:
    output: "source.txt"
    shell: "touch {{output}}"

rule make_one:
    input: "source.txt"
    output: "out/{{number}}.txt"
    shell: "touch {{output}}"
"""
# Snakemake waits a tenth of a second before it touches the outputs of a job.
_SNAKEMAKE = """
import sys
from snakemake.cli import main
from snakemake.executors.touch import Executor
Executor.SLEEPING_TIME = 0
main(sys.argv[1:])
"""
_EPSILONS = 38


def grid(num_cells: int) -> dict[str, Any]:
    """Return a study of about this many cells: models of one network, attacked at many epsilons."""
    epsilons = [f"{number}/255" for number in range(1, _EPSILONS + 1)]
    attack = {"datasets": ["test"], "epsilons": epsilons}
    network = {"embed_dim": 16, "depth": 1, "num_heads": 1, "mlp_ratio": 1}
    model = {"architecture": "vit", "pretraining": "small", "weights": "trained"}
    images = {"role": "train", "images": 24}
    return {
        "datasets": {
            "test": {"role": "clean", "generate": {"set": "target", "split": "test"}, "images": 24},
            "fit": {**images, "generate": {"set": "target", "split": "train"}},
            "watch": {**images, "generate": {"set": "target", "split": "validation"}},
        },
        "epsilon": epsilons[3],
        "pretraining": {"small": {"dataset": "fit", "samples": 128}},
        "training": {"dataset": "fit", "validation": "watch", "samples": 128},
        "architectures": {
            "vit": {"family": "vit", "size": "S", "patch_size": 16, "arguments": network}
        },
        "models": {
            f"m{number}": model for number in range(max(1, round(num_cells / (2 * _EPSILONS + 1))))
        },
        "perturbations": {"none": {"datasets": ["test"]}, "fgsm": attack, "pgd": attack},
    }


def run(folder: Path, *arguments: str) -> tuple[float, str]:
    """Return the wall seconds of a Snakemake command, and its output."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _SNAKEMAKE, "--cores", "1", *arguments],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
    return seconds, done.stdout + done.stderr


def measure(folder: Path, *options: str, rounds: int) -> tuple[float, float]:
    """Return the best wall seconds of planning all jobs, and of a run that has nothing to do."""
    plan = min(run(folder, "--dry-run", "--quiet", "all", *options)[0] for _ in range(rounds))
    _, listed = run(folder, "--summary", *options)
    for line in listed.splitlines():
        name, *columns = line.split("\t")
        if columns and name != "output_file":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
    # On many cores: it then looks for jobs to start less often.
    run(folder, "--touch", "--forceall", "--quiet", "all", *options, "--cores", "1000")
    finish(folder)
    again = []
    for _ in range(rounds):
        seconds, told = run(folder, *options)
        if "Nothing to be done" not in told:
            raise SystemExit(f"there was something to do: {told[-2000:]}")
        again.append(seconds)
    return plan, min(again)


def finish(folder: Path) -> None:
    """Write origins into results, receipts that list them, and settings, all with one time."""
    study = folder / "study.yaml"
    if not study.exists():
        return
    config = load_config(yaml.safe_load(study.read_text()))
    paths = Paths(config.results)
    with chdir(folder):
        for model in config.models:
            card = {"model": model, "made_from": of_checkpoint(config, model)}
            Path(paths.card(model)).write_text(json.dumps(card))
        for dataset in config.datasets:
            table = pa.table({"image_id": ["0"]})
            write_manifest(Path(paths.manifest(dataset)), table, of_store(config, dataset))
        finish_jobs(config)
        write_settings(config, stale_products(config))
        now = time.time()
        for path in Path(config.results).rglob("*"):
            os.utime(path, (now, now))


def main() -> None:
    """Measure both workflows and write a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    study = grid(options.cells)
    num_cells = len(cells(load_config(study)))
    with tempfile.TemporaryDirectory() as name:
        ours, bare = Path(name) / "ours", Path(name) / "bare"
        ours.mkdir()
        for part in _WORKFLOW:
            copy = shutil.copytree if (_ROOT / part).is_dir() else shutil.copyfile
            copy(_ROOT / part, ours / part)
        (ours / "study.yaml").write_text(yaml.safe_dump(study))
        bare.mkdir()
        shutil.copytree(_ROOT / "profiles", bare / "profiles")
        (bare / "Snakefile").write_text(_BARE.format(num_jobs=num_cells))
        rows = {
            f"Perturb, {num_cells} cells": measure(
                ours, "--configfile", "study.yaml", rounds=options.rounds
            ),
            f"bare Snakemake, {num_cells} jobs": measure(bare, rounds=options.rounds),
        }
    sys.stdout.write("| workflow | dry run [s] | no-op rerun [s] |\n|---|---:|---:|\n")
    for label, (plan, again) in rows.items():
        sys.stdout.write(f"| {label} | {plan:.1f} | {again:.1f} |\n")


if __name__ == "__main__":
    main()
