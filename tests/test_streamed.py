"""Streamed datasets: the images and the networks of stored ones, and nothing on disk."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from perturb.config import ConfigError, load_config
from perturb.cost.dag import jobs_of
from perturb.cost.disk import disk_of
from perturb.cost.networks import network_of
from perturb.cost.rates import Machine, Rate
from perturb.cost.study import work_of
from perturb.datasets.build import build_generated
from perturb.datasets.store import open_store
from perturb.datasets.streamed import StreamedImages, training_images
from perturb.models.recipes import RECIPES
from perturb.models.training import Phase, accuracy_on, pretrain_and_finetune
from perturb.models.training_images import Draw, LabelledImages, no_moves
from perturb.plan.origins import of_checkpoint, of_store
from perturb.plan.paths import Paths
from perturb.plan.stores import stores_of_dataset
from tests.workspace import ROOT, told_by

SETS: list[dict[str, Any]] = [
    {"set": "target", "split": "train"},
    {"set": "upstream", "split": "train", "classes": 24, "texture_correlation": 0.5},
    {"set": "renditions", "split": "validation"},
]
NETWORK = {"layers": [1, 1], "channels": [16, 32], "num_groups": 4, "stem_channels": 16}


def _stored(folder: Path, options: dict[str, Any], num_images: int) -> LabelledImages:
    files = folder / "images.npy", folder / "manifest.parquet"
    build_generated(*files, options, num_images, seed=7)
    store = open_store(*files)
    return LabelledImages(store.pixels, store.targets)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("options", SETS, ids=lambda options: options["set"])
def test_images_are_those_of_the_decoded_dataset(
    tmp_path: Path, options: dict[str, Any], num_workers: int
) -> None:
    stored = _stored(tmp_path, options, 90)
    streamed = StreamedImages(options, 90, 7, num_workers)
    order = torch.randperm(90, generator=torch.Generator().manual_seed(1))
    more = [Draw(order[place : place + 7], no_moves(7)) for place in range(0, 70, 7)]
    draws = [Draw(part, no_moves(len(part))) for part in (order[:1], order[1:65], order[60:])]
    draws += more
    state = torch.get_rng_state()
    found = list(streamed.batches(draws))
    assert torch.equal(torch.get_rng_state(), state)
    for batch, expected in zip(found, stored.batches(draws), strict=True):
        assert all(map(torch.equal, batch, expected))
    assert len(found) == len(draws)
    facts = [(data.num_images, data.num_classes, data.side) for data in (stored, streamed)]
    assert facts[0] == facts[1]


@pytest.mark.parametrize("num_images", [5, 12, 13])
def test_classes_are_those_that_occur(tmp_path: Path, num_images: int) -> None:
    options = SETS[0]
    stored = _stored(tmp_path, options, num_images)
    assert StreamedImages(options, num_images, 7).num_classes == stored.num_classes


@pytest.mark.parametrize("num_workers", [0, 1])
def test_the_network_is_that_of_the_decoded_dataset(tmp_path: Path, num_workers: int) -> None:
    upstream, target = SETS[1], SETS[0]
    (tmp_path / "target").mkdir()
    tuning = _stored(tmp_path / "target", target, 60)
    weights = []
    for images in (
        _stored(tmp_path, upstream, 100),
        StreamedImages(upstream, 100, 7, num_workers),
    ):
        classifier, curve = pretrain_and_finetune(
            "resnet",
            NETWORK,
            {"pretraining": Phase(images, 150), "finetuning": Phase(tuning, 60)},
            tuning,
            recipe=replace(RECIPES["resnet"], batch_size=30),
            seed=3,
            model_id="model",
            device=torch.device("cpu"),
        )
        weights.append((classifier.state_dict(), curve, accuracy_on(classifier, tuning)))
    (first, *course), (second, *same) = weights
    assert course == same
    assert all(torch.equal(first[name], second[name]) for name in first)


# Runs the script of `train_model` as Snakemake does: configuration, number of threads, folder.
SCRIPT = """
import json, runpy, sys
from types import SimpleNamespace
from snakemake.iocontainers import Namedlist
from perturb.config import load_config
from perturb.plan import params
raw, threads, folder = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
study = load_config(raw)
job = SimpleNamespace(
    rule="train_model", jobid=1, config=raw, threads=threads, resources=SimpleNamespace(),
    wildcards=Namedlist(fromdict={"model": "b"}), log=[f"{folder}/log"],
    input=Namedlist(fromdict=json.loads(sys.argv[4])),
    output=Namedlist(fromdict={"weights": f"{folder}/weights.safetensors"}),
    params=Namedlist(fromdict={
        "model": params.model_facts(study, "b"), "num_samples": params.training_samples(study, "b"),
        "seed": study.seed, "device": "cpu"}),
)
runpy.run_path("scripts/train_model.py", {"snakemake": job}, "__main__")
"""


def test_the_network_does_not_depend_on_the_cores_of_its_job(
    tmp_path: Path, streamed_study: dict[str, Any]
) -> None:
    """With two, a process renders while the network learns."""
    streamed_study |= {"results": str(tmp_path)}
    streamed_study["datasets"]["stream"]["images"] = 640
    streamed_study["pretraining"]["small"]["samples"] = 640
    streamed_study["architectures"]["resnet"]["arguments"] = NETWORK
    config, paths = load_config(streamed_study), Paths(str(tmp_path))
    files = {}
    for purpose, id in (("finetuning", "fit"), ("validation", "watch")):
        dataset, made_from = config.datasets[id], of_store(config, id)
        images, manifest = Path(paths.images(id)), Path(paths.manifest(id))
        images.parent.mkdir(parents=True)
        options = dataset.generate or {}, dataset.num_images or 0, config.seed
        build_generated(images, manifest, *options, made_from=made_from)
        files |= {f"{purpose}_images": str(images), f"{purpose}_manifest": str(manifest)}
    found = []
    for threads in ("1", "2"):
        folder = tmp_path / threads
        folder.mkdir()
        words = ["-c", SCRIPT, json.dumps(streamed_study), threads, str(folder), json.dumps(files)]
        told_by([sys.executable, *words], ROOT)
        found.append((folder / "weights.safetensors").read_bytes())
    assert found[0] == found[1]


# ------------------------------------------------------------------------------------ planning


@pytest.fixture
def streamed_study(tiny_study: dict[str, Any]) -> dict[str, Any]:
    tiny_study["datasets"]["stream"] = {
        "role": "train",
        "stream": True,
        "generate": SETS[1],
        "images": 2_000_000,
    }
    tiny_study["pretraining"] = {"small": {"dataset": "stream", "samples": 4_000}}
    for model in ("a", "b"):
        tiny_study["models"][model]["pretraining"] = "small"
    return tiny_study


def test_nothing_of_it_is_stored_or_planned(streamed_study: dict[str, Any]) -> None:
    config = load_config(streamed_study)
    assert stores_of_dataset(config, "stream") == ()
    streamed_study["datasets"]["stream"]["stream"] = False
    stored = load_config(streamed_study)
    assert jobs_of(stored)["generate_dataset"] == jobs_of(config)["generate_dataset"] + 1
    machine = Machine("any", flops_per_s=1e9)
    sizes = [disk_of(one, work_of(one, machine).total) for one in (config, stored)]
    assert "stream" not in {id for id, (size, _) in sizes[0].stores.items() if size}
    assert sizes[1].total - sizes[0].total > 6e9


def test_the_checkpoint_is_the_same_however_its_images_come(
    streamed_study: dict[str, Any],
) -> None:
    origin = of_checkpoint(load_config(streamed_study), "a")
    assert origin["images"]["pretraining"]["protocol"]
    streamed_study["datasets"]["stream"]["stream"] = False
    assert of_checkpoint(load_config(streamed_study), "a") == origin
    streamed_study["datasets"]["stream"]["images"] = 2_000
    assert of_checkpoint(load_config(streamed_study), "a") != origin


def test_rendering_is_a_part_of_the_cost(streamed_study: dict[str, Any]) -> None:
    rate = Rate("core", "float32", "rendering", "", "", 32, 0.0, 2_000.0)
    machine = Machine("core", (rate,))
    config = load_config(streamed_study)
    lines = work_of(config, machine).lines
    assert lines["rendering"].seconds == 2 * 4_000 / 2_000
    streamed_study["datasets"]["stream"]["stream"] = False
    assert "rendering" not in work_of(load_config(streamed_study), machine).lines


def test_images_of_a_training_are_found_by_purpose(
    tmp_path: Path, streamed_study: dict[str, Any]
) -> None:
    config = load_config(streamed_study)
    _stored(tmp_path, SETS[0], 24)
    files = {
        "validation_images": str(tmp_path / "images.npy"),
        "validation_manifest": str(tmp_path / "manifest.parquet"),
    }
    datasets = {"pretraining": config.datasets["stream"], "validation": config.datasets["fit"]}
    found = training_images(datasets, files, config.seed, num_workers=3)
    assert found["pretraining"] == StreamedImages(SETS[1], 2_000_000, config.seed, 3)
    assert isinstance(found["validation"], LabelledImages)


def test_the_scaling_study_changes_the_number_of_images_alone() -> None:
    config = load_config(yaml.safe_load((ROOT / "config" / "scaling.yaml").read_text()))
    sets = [config.datasets[entry.dataset or ""] for entry in config.pretraining.values()]
    assert [dataset.num_images for dataset in sets] == [2_000, 20_000, 200_000, 2_000_000]
    assert len({repr(dataset.generate) for dataset in sets}) == 1
    assert [dataset.is_streamed for dataset in sets] == [False, False, False, True]
    samples = [entry.num_samples or 0 for entry in config.pretraining.values()]
    assert samples == sorted(samples)
    assert all(
        number >= (dataset.num_images or 0) for number, dataset in zip(samples, sets, strict=True)
    )
    sizes: dict[str, dict[str, int]] = {}
    for model in config.models.values():
        network = network_of(config, model)
        sizes.setdefault(model.architecture.size, {})[network.family] = network.num_parameters or 0
    assert all(0.88 < size["vit"] / size["resnet"] < 1 / 0.88 for size in sizes.values())
    assert len(config.models) == 4 * 2 * len(sizes) == 24


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (
            {"stream": True, "generate": SETS[0], "images": 24},
            "datasets.more.stream: true; allowed: false with `role: extra`",
        ),
        (
            {"stream": True, "role": "train", "bundled": {"set": "digits", "split": "train"}},
            "datasets.more.stream: true; allowed: false without `generate`",
        ),
        (
            {"filter": {"dataset": "stream", "wrong_by": "reference"}},
            "datasets.more.filter.dataset: 'stream' has `stream: true`; allowed: a stored dataset",
        ),
        ({"stream": 1, "role": "train", "generate": SETS[0], "images": 24}, "datasets.more.stream"),
    ],
)
def test_it_is_refused_where_images_must_be_stored(
    streamed_study: dict[str, Any], dataset: dict[str, Any], message: str
) -> None:
    streamed_study["datasets"]["more"] = dataset
    with pytest.raises(ConfigError) as refused:
        load_config(streamed_study)
    assert message in str(refused.value)
