"""Models that share jobs: how they are grouped, and what a change of the models starts."""

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perturb.config import Config, ConfigError, load_config
from perturb.config.given import read_yaml, whole
from perturb.cost.command import described
from perturb.cost.rates import Machine
from perturb.cost.reading import bytes_read
from perturb.plan.carrying import carry_receipts
from perturb.plan.cells import cells
from perturb.plan.groups import is_shared
from perturb.plan.jobs import Job, jobs
from perturb.plan.receipts import stale_receipts
from perturb.plan.stores import stores_of_cell
from tests import kept_study
from tests.tiny_study import TINY_STUDY
from tests.workspace import ROOT

JOBS_BY = ("experiment", "kind", "model", "cell")
SHARED = {"none", "class_subset", "corruptions", "corruptions_jpeg85", "stored_corruptions"}
Change = Callable[[dict[str, Any]], Any]


def _imagenet(**changed: Any) -> Config:
    return load_config(whole(read_yaml(ROOT / "config/imagenet.yaml")) | changed)


def _shared_models(job: Job) -> list[str]:
    return list(dict.fromkeys(cell.model for cell in job.cells if is_shared(cell)))


@pytest.mark.parametrize("models_per_job", [1, 3, 100])
@pytest.mark.parametrize("jobs_by", JOBS_BY)
def test_each_cell_is_in_one_job_of_few_models(jobs_by: str, models_per_job: int) -> None:
    config = _imagenet(jobs_by=jobs_by, models_per_job=models_per_job)
    found = jobs(config)
    joined = Counter(cell for job in found.values() for cell in job.cells)
    assert joined == Counter(cells(config))
    for (model, name), job in found.items():
        assert (job.model, job.name) == (model, name)
        models = _shared_models(job)
        assert len(models) <= models_per_job
        assert models == [id for id in config.models if id in models]  # in this order
        own = {cell.model for cell in job.cells if not is_shared(cell) and not cell.source}
        assert own <= {model}
    assert {cell.perturbation for cell in joined if is_shared(cell)} <= SHARED


@pytest.mark.parametrize("jobs_by", JOBS_BY)
def test_models_of_a_job_see_the_same_pixels(jobs_by: str) -> None:
    config = _imagenet(jobs_by=jobs_by, models_per_job=100)
    for job in jobs(config).values():
        seen = {
            model: {
                store
                for cell in job.cells
                if cell.model == model and is_shared(cell)
                for store in stores_of_cell(config, cell, model)
            }
            for model in _shared_models(job)
        }
        assert len(set(map(frozenset, seen.values()))) <= 1


def test_models_with_other_preprocessing_have_jobs_of_their_own() -> None:
    found = jobs(_imagenet(models_per_job=5))
    assert _shared_models(found["vit-b32-1k", "imagenet-c-3"]) == [
        *("vit-b32-1k", "vit-b16-1k", "vit-b16-sam-1k", "vit-b32-21k", "vit-b16-21k"),
    ]
    assert _shared_models(found["vit-b32-1k", "imagenet"]) == [
        *("vit-b32-1k", "vit-b16-1k", "vit-b32-21k", "vit-b16-21k", "vit-l32-21k"),
    ]
    sizes = [len(job.models()) for (_, name), job in found.items() if name == "imagenet-c-3"]
    assert sizes == [5, 5, 5, 5]
    assert {len(job.models()) for (_, name), job in found.items() if "pgd" in name} == {1}


def test_models_that_share_a_job_read_images_once() -> None:
    alone, shared = (bytes_read(_imagenet(models_per_job=count)) for count in (1, 20))
    pixels = 3 * 224**2
    of_one = 75 * 50_000 * pixels
    # All images of ImageNet-C, cue conflicts and ImageNet at 224 px are the same for 20 models.
    assert alone - shared > 19 * (of_one + (1_200 + 50_000) * pixels)
    assert bytes_read(_imagenet(models_per_job=5)) - shared > 3 * of_one


def test_cost_tells_what_is_read() -> None:
    machine = Machine("", flops_per_s=1e14)
    (line,) = (one for one in described(_imagenet(), machine) if one.startswith("They read"))
    assert line == "They read 3.73 TB of decoded images; with one model a job it would be 14.4 TB."
    alone = described(_imagenet(models_per_job=1), machine)
    assert "They read 14.4 TB of decoded images." in alone


def test_transfer_attacks_of_a_source_read_images_once(default_config: dict[str, Any]) -> None:
    config = load_config(default_config)
    without = {id: one for id, one in config.perturbations.items() if id != "transfer"}
    read = bytes_read(config) - bytes_read(replace(config, perturbations=without))
    transfer = config.perturbations["transfer"]
    assert transfer.num_images is not None
    of_one = len(transfer.severities) * transfer.num_images * 3 * 32**2
    assert read == len(config.benchmark_models) * of_one


@pytest.mark.parametrize("value", [0, -1, 1.5, "two", True])
def test_other_numbers_of_models_are_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="models_per_job"):
        load_config(TINY_STUDY | {"models_per_job": value})


# ------------------------------------------------------------- a study of five models, two a job


def _study() -> dict[str, Any]:
    study = copy.deepcopy(TINY_STUDY) | {"models_per_job": 2}
    for dataset in study["datasets"].values():
        dataset["images"] = min(dataset["images"], 12)
    for id in ("c", "d"):
        study["models"][id] = {**study["models"]["a"]}
    return study


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return a study that was run to its end in the working directory."""
    monkeypatch.chdir(tmp_path)
    study = _study()
    assert len(kept_study.run_anew(study)) == len(cells(load_config(study)))
    return study


def _inserted(study: dict[str, Any], place: int) -> None:
    entries = list(study["models"].items())
    entries.insert(place, ("new", {**study["models"]["a"]}))
    study["models"] = dict(entries)


CHANGES: dict[str, tuple[Change, int]] = {
    "first": (lambda study: _inserted(study, 0), 1),
    "second": (lambda study: _inserted(study, 1), 1),
    "third": (lambda study: _inserted(study, 2), 1),
    "last": (lambda study: _inserted(study, 5), 1),
    "without the first": (lambda study: study["models"].pop("a"), 0),
    "without the second": (lambda study: study["models"].pop("b"), 1),
    "without the last": (lambda study: study["models"].pop("d"), 0),
    "with a label": (lambda study: study["models"]["b"].update(label="B"), 0),
    "one by one": (lambda study: study.update(models_per_job=1), 0),
    "by cell": (lambda study: study.update(jobs_by="cell"), 0),
}


@pytest.mark.parametrize(("change", "num_started"), CHANGES.values(), ids=CHANGES)
def test_a_change_of_the_models_starts_its_group_and_evaluates_the_new_one(
    change: Change, num_started: int, study: dict[str, Any]
) -> None:
    change(study)
    config = load_config(study)
    for model in config.models:
        if not Path(f"results/checkpoints/{model}").exists():
            kept_study.save_model(config, model)
    before = {path: path.read_bytes() for path in Path("results/shards").rglob("*.parquet")}
    started = Counter(name for _, name in kept_study.planned(config))
    assert set(started.values()) <= {num_started}
    evaluated = {str(cell) for cell in cells(config) if cell.model == "new"}
    assert kept_study.run_anew(study) == evaluated
    assert kept_study.planned(config) == set()
    assert all(path.read_bytes() == content for path, content in before.items())


def _damaged(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes()[:-1])


HIDDEN: dict[str, Callable[[], Any]] = {
    "weights that are newer": Path("results/checkpoints/b/weights.safetensors").touch,
    "images that are newer": Path("results/decoded/test/images.npy").touch,
    "no weights": Path("results/checkpoints/b/weights.safetensors").unlink,
    "a damaged shard": lambda: _damaged(Path("results/shards/b/test/none/0.parquet")),
    "a shard that is newer": Path("results/shards/b/test/none/0.parquet").touch,
    "no shard": Path("results/shards/b/test/none/0.parquet").unlink,
}


@pytest.mark.parametrize("hide", HIDDEN.values(), ids=HIDDEN)
def test_a_receipt_follows_only_from_what_is_as_it_was(
    hide: Callable[[], Any], study: dict[str, Any]
) -> None:
    study["models"].pop("a")
    hide()
    config = load_config(study)
    assert "results/receipts/b/benchmarks.json" in carry_receipts(config)
    assert "results/receipts/b/benchmarks.json" in stale_receipts(config)


def test_groups_may_change_to_and_fro(study: dict[str, Any]) -> None:
    for count in (1, 3, 2, 5, 1, 2):
        assert kept_study.planned(load_config(study | {"models_per_job": count})) == set()
    study["models"] = dict(reversed(study["models"].items()))
    assert kept_study.planned(load_config(study)) == set()


def test_what_is_no_longer_planned_is_evaluated_by_no_later_study(study: dict[str, Any]) -> None:
    whole = copy.deepcopy(study)
    for model in ("a", "c"):
        study["models"].pop(model)
        assert kept_study.planned(load_config(study)) == set()
    assert kept_study.run_anew(whole) == set()
