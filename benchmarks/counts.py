"""Cost of changes of a study: the cells and conditions to evaluate, counted by planning alone.

Run: ``python -m benchmarks.counts [--configfile config/imagenet.yaml]``. The study's receipts are
written over made-up files, as if it were finished; then its configuration is changed and planned.
A cell counts if its file is not there, or was asked for otherwise: what its job would evaluate. So
does each condition of a cell; those of a cell that stay are kept.
"""

import argparse
import copy
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from perturb.config import Config, load_config
from perturb.config.given import read_yaml, whole
from perturb.evaluation.digests import asked_digest, digest_of, of_condition
from perturb.experiments.corruptions.names import BENCHMARK_CORRUPTIONS, CORRUPTIONS
from perturb.plan.carrying import carry_receipts, inputs_of
from perturb.plan.jobs import asked_of, jobs
from perturb.plan.paths import Paths
from perturb.plan.receipts import done_files, write_receipt

ROOT = Path(__file__).resolve().parents[1]
Change = Callable[[dict[str, Any]], Any]


def _first(entries: dict[str, Any], **wanted: str) -> str:
    return next(
        id
        for id, entry in entries.items()
        if all(entry.get(key) == value for key, value in wanted.items())
    )


def _add_model(raw: dict[str, Any]) -> None:
    entry = next(
        entry
        for entry in raw["models"].values()
        if entry.get("role") != "reference" and entry["weights"] != "absent"
    )
    raw["models"] = {"another": entry, **raw["models"]}


def _remove_model(raw: dict[str, Any]) -> None:
    del raw["models"][
        next(id for id, entry in raw["models"].items() if entry.get("role") != "reference")
    ]


def _label(raw: dict[str, Any]) -> None:
    raw["title"] = "Another title"
    raw["datasets"][_first(raw["datasets"], role="clean")]["label"] = "Another label"


def _reorder(raw: dict[str, Any]) -> None:
    for key in ("models", "datasets", "perturbations"):
        raw[key] = dict(reversed(raw[key].items()))


def _more_samples(raw: dict[str, Any]) -> None:
    raw["perturbations"]["lesions"]["samples"] = 1 + raw["perturbations"]["lesions"].get(
        "samples", 10
    )


def _more_corruptions(raw: dict[str, Any]) -> None:
    """Add one that is not listed, if there is any; without a list each kind has its default."""
    entries = raw["perturbations"]
    is_stored = "stored_corruptions" in entries
    entry = entries["stored_corruptions" if is_stored else "corruptions"]
    listed = entry.get("corruptions", BENCHMARK_CORRUPTIONS if is_stored else CORRUPTIONS)
    new = [name for name in CORRUPTIONS if name not in listed]
    entry["corruptions"] = [*listed, *new[:1]]


CHANGES: dict[str, Change] = {
    "nothing": dict,
    "a label and the title": _label,
    "another order": _reorder,
    "one more epsilon of FGSM": lambda raw: raw["perturbations"]["fgsm"]["epsilons"].insert(
        0, "1/1020"
    ),
    "one more corruption": _more_corruptions,
    "one number of removed blocks less": lambda raw: raw["perturbations"]["lesions"].update(
        removed=raw["perturbations"]["lesions"]["removed"][1:]
    ),
    "more samples of lesions": _more_samples,
    "one model more": _add_model,
    "one model less": _remove_model,
    "another seed": lambda raw: raw.update(seed=raw.get("seed", 2021) + 1),
    "one job a model": lambda raw: raw.update(jobs_by="model"),
    "four models a job": lambda raw: raw.update(models_per_job=4),
}


def finish(config: Config) -> None:
    """Write a file for each input and result, and the receipts that list results."""
    paths = Paths(config.results)
    for job in jobs(config).values():
        _write_all(inputs_of(config, job))
    for job in jobs(config).values():
        files = job.files(paths)
        _write_all(files)
        write_receipt(config, job, dict.fromkeys(files, "0"))


def _write_all(files: Iterable[str]) -> None:
    for file in files:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_bytes(b"-")


def asked(config: Config) -> dict[str, str]:
    """Return each result of a study with the digest of its configured inputs."""
    return {
        file: asked_digest(what)
        for job in jobs(config).values()
        for file, what in asked_of(config, job)
    }


def conditions(config: Config) -> set[tuple[str, str]]:
    """Return each condition of each result, with the digest of what is asked for.

    Stores are named, as no file is there: a decoded dataset of its own is another one.
    """
    found = set()
    for job in jobs(config).values():
        for file, what in asked_of(config, job):
            for condition in what.get("conditions", ()):
                alone = of_condition(what, condition)
                if len(what["stores"]) > 1:
                    alone["stores"] = what["stores"][what["conditions"].index(condition)]
                found.add((file, digest_of(alone)))
    return found


def main() -> None:
    """Write a Markdown table of changes and the cells that they cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", type=Path, default=ROOT / "config" / "imagenet.yaml")
    raw = whole(read_yaml(parser.parse_args().configfile))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        config = load_config(copy.deepcopy(raw))
        finish(config)
        before, conditions_before = asked(config), conditions(config)
        started = time.perf_counter()
        num_done = len(done_files(config))
        seconds = time.perf_counter() - started
        sys.stdout.write(f"{num_done} of {len(before)} are done; read in {seconds:.2f} s\n\n")
        heads = ("change", "results", "evaluated", "conditions evaluated", "jobs started")
        sys.stdout.write(f"| {' | '.join(heads)} |\n|---|---:|---:|---:|---:|\n")
        for name, change in CHANGES.items():
            changed = copy.deepcopy(raw)
            change(changed)
            _tell(name, load_config(changed), before, conditions_before)


def _tell(
    name: str, config: Config, asked_before: dict[str, str], conditions_before: set[tuple[str, str]]
) -> None:
    after = asked(config)
    new = [file for file, digest in after.items() if asked_before.get(file) != digest]
    num_conditions = len(conditions(config) - conditions_before)
    receipts = {path: _state(path) for path in _receipts(config)}
    carry_receipts(config)
    done = done_files(config)
    _restore(config, receipts)  # the next change is one of the same study
    started = [
        job for job in jobs(config).values() if not job.files(Paths(config.results)).keys() <= done
    ]
    counts = (len(after), len(new), num_conditions, len(started))
    sys.stdout.write(f"| {name} | {' | '.join(map(str, counts))} |\n")


def _receipts(config: Config) -> list[Path]:
    return list(Path(Paths(config.results).receipts).rglob("*.json"))


def _state(path: Path) -> tuple[bytes, int]:
    """Return content and time of a file."""
    return path.read_bytes(), path.stat().st_mtime_ns


def _restore(config: Config, receipts: dict[Path, tuple[bytes, int]]) -> None:
    for path in _receipts(config):
        if path not in receipts:
            path.unlink()
        elif _state(path) != receipts[path]:
            content, time_ns = receipts[path]
            path.write_bytes(content)
            os.utime(path, ns=(time_ns, time_ns))


if __name__ == "__main__":
    main()
