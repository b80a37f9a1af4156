"""Configurations of real models and images: what they resolve to, and every mistake named."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perturb.config import Config, ConfigError, load_config
from perturb.files import as_inputs, beside_inputs
from perturb.models.resizing import AS_IS, Resizing
from perturb.plan import params, sources
from perturb.plan.asked import correlated_models
from perturb.plan.cells import cells
from perturb.plan.jobs import asked_of, jobs, stores_of_job
from perturb.plan.origins import of_checkpoint
from perturb.plan.stores import any_store, part_of, store_of, stores_of_dataset, view_of


@pytest.fixture
def config(imagenet: dict[str, Any]) -> Config:
    return load_config(imagenet)


def test_every_model_of_the_paper_is_there_or_named_as_absent(config: Config) -> None:
    named = {
        (model.architecture.label, model.pretraining.paper)
        for model in (*config.models.values(), *config.absent.values())
        if model.pretraining is not None and model.pretraining.paper
    }
    vits = [f"ViT-{size}" for size in ("B/32", "B/16", "L/32", "L/16", "H/14")]
    resnets = [f"ResNet-{size}" for size in ("50x1", "101x1", "50x3", "101x3", "152x4")]
    sets = ("ILSVRC-2012", "ImageNet-21k", "JFT-300M")
    paper = {(label, name) for label in vits + resnets for name in sets}
    assert paper - named == {("ViT-H/14", "ILSVRC-2012")}  # the paper has none either
    assert all(model.timm_tag for model in config.models.values())
    assert not config.models.keys() & config.absent.keys()
    assert all(m.pretraining.paper != "JFT-300M" for m in config.models.values() if m.pretraining)


def test_models_see_what_their_tags_say_or_what_the_configuration_says(config: Config) -> None:
    squashed = config.models["vit-b16-21k"].own_preprocessing
    assert squashed is not None
    assert squashed.view == Resizing(384, "squash", 1.0, "bilinear")
    assert squashed.mean == (0.5, 0.5, 0.5)
    own = config.models["resnext-32x8d-ig"].own_preprocessing
    assert own is not None
    assert own.view == Resizing(224, "crop", 0.875, "bilinear")
    assert own.mean == (0.485, 0.456, 0.406)


def test_a_data_set_is_stored_once_a_view_and_once_where_all_see_it_alike(config: Config) -> None:
    views = {
        model.own_preprocessing.view.id
        for model in config.models.values()
        if model.own_preprocessing
    }
    assert set(stores_of_dataset(config, "imagenet")) == {f"imagenet/{view}" for view in views}
    assert stores_of_dataset(config, "cue-conflict") == ("cue-conflict",)
    assert len(stores_of_dataset(config, "imagenet-c")) == 75
    assert store_of(config, "imagenet", "vit-b16-21k") == "imagenet/384-squash-bilinear"
    assert view_of(config, "imagenet/384-squash-bilinear") == Resizing(
        384, "squash", 1.0, "bilinear"
    )
    assert view_of(config, "imagenet-c/fog-3") == AS_IS
    assert part_of(config, "imagenet-c/fog-3") == "fog-3"
    assert part_of(config, any_store(config, "imagenet")) is None
    decoded = sources.decoded(config, "imagenet-c/fog-3")
    assert decoded["source"]["path"] == "data/imagenet-c"
    assert decoded["num_images"] == 50000


def test_each_cell_reads_its_models_stores(config: Config) -> None:
    num_cells, stores = 0, set[str]()
    for job in jobs(config).values():
        asked = [what for _, what in asked_of(config, job)]
        listed = stores_of_job(config, job)
        assert {store for what in asked for store in what["stores"]} == set(listed)
        num_cells += len(job.cells)
        stores |= set(listed)
    assert num_cells == len(cells(config))
    existing = {s for dataset in config.datasets for s in stores_of_dataset(config, dataset)}
    assert stores == existing


def test_class_subsets_are_those_of_the_sets_and_judged_on_the_clean_set_too(
    config: Config,
) -> None:
    subset = config.perturbations["class_subset"]
    assert subset.datasets == ("imagenet", "imagenet-r", "imagenet-a")
    assert subset.conditions == ("imagenet-r", "imagenet-a")
    classes = {id: set(values) for id, values in subset.options["classes"].items()}
    assert [len(values) for values in classes.values()] == [200, 200]
    assert len(classes["imagenet-r"] & classes["imagenet-a"]) == 86


def test_files_that_snakemake_cannot_name_are_followed_by_their_content(
    tmp_path: Path,
) -> None:
    """It takes braces for wildcards: an edited list of labels must repeat its job all the same."""
    for name in ("plain.json", "br{ace}s.json"):
        (tmp_path / name).write_text('{"one": 0}')
    plain, braces = (str(tmp_path / name) for name in ("plain.json", "br{ace}s.json"))
    paths = [plain, braces, str(tmp_path / "missing.json")]
    assert as_inputs(paths) == [plain]
    before = beside_inputs(paths)
    assert list(before) == [braces]
    Path(braces).write_text('{"two": 0}')
    assert beside_inputs(paths) != before


def test_missing_files_are_all_named_before_anything_starts(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = sources.missing_files(config)
    assert "datasets.imagenet.source.path: data/imagenet/val does not exist" in missing
    assert len(missing) == 11
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/imagenet/val").mkdir(parents=True)
    assert not any("data/imagenet/val " in line for line in sources.missing_files(config))


MINE = {
    "architecture": "vit-b16",
    "pretraining": "web",
    "weights": {"file": "x", "sha256": "0" * 64},
}


def test_a_checkpoint_of_ones_own_is_five_lines(imagenet: dict[str, Any]) -> None:
    imagenet["models"]["mine"] = MINE | {"preprocessing": {"side": 384}}
    model = load_config(imagenet).models["mine"]
    assert model.own_preprocessing is not None
    assert model.own_preprocessing.view == Resizing(384, "crop", 1.0, "bicubic")
    assert model.architecture.arguments["depth"] == 12
    facts = params.given_facts(load_config(imagenet), "mine")
    assert facts["timm"] == "vit_base_patch16_384"
    assert facts["weights"] == {"file": "data/x", "sha256": "0" * 64}
    assert facts["num_classes"] == 1000


def test_a_name_without_published_weights_has_random_ones_or_a_files(
    imagenet: dict[str, Any],
) -> None:
    imagenet["architectures"]["clip"] = {
        **{"family": "vit", "size": "XS", "patch_size": 16},
        "timm": "vit_xsmall_patch16_clip_224",
    }
    whole = {
        **{"side": 224, "mode": "crop", "crop": 1.0, "interpolation": "bicubic"},
        **{"mean": [0.5] * 3, "std": [0.5] * 3},
    }
    new = {"architecture": "clip", "pretraining": "imagenet-21k", "weights": "random"}
    imagenet["models"]["mine"] = new | {"preprocessing": whole}
    config = load_config(imagenet)
    facts = params.given_facts(config, "mine")
    assert facts["weights"] == {"random": config.seed}
    assert (facts["num_classes"], facts["timm"]) == (1000, "vit_xsmall_patch16_clip_224")
    assert of_checkpoint(config, "mine")["weights"] == {"random": config.seed}
    imagenet["models"]["mine"] = new
    with pytest.raises(ConfigError, match=r"models\.mine\.preprocessing: "):
        load_config(imagenet)


def test_only_networks_of_blocks_are_correlated(imagenet: dict[str, Any]) -> None:
    imagenet["architectures"]["dense"] = {
        "family": "other",
        "size": "S",
        "timm": "densenet121",
    }
    new = {"architecture": "dense", "pretraining": "imagenet-21k", "weights": "random"}
    imagenet["models"]["dense"] = new | {"preprocessing": {"side": 224}}
    config = load_config(imagenet)
    assert set(config.benchmark_models) - set(correlated_models(config)) == {"dense"}


def test_what_is_decoded_needs_its_originals_no_more(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = len(sources.missing_files(config))
    manifest = Path("results/imagenet/decoded/cue-conflict/manifest.parquet")
    manifest.parent.mkdir(parents=True)
    manifest.touch()
    assert len(sources.missing_files(config)) < before


def test_class_folders_without_an_index_are_those_of_the_clean_set(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, names in {"one": "abc", "two": "abc", "few": "ab", "other": "abz"}.items():
        for name in names:
            (tmp_path / "data" / folder / name).mkdir(parents=True)
            (tmp_path / "data" / folder / name / "1.JPEG").touch()
        for name in ("@eaDir", "__MACOSX", "_cache", ".git"):
            (tmp_path / "data" / folder / name).mkdir()
    (tmp_path / "data" / "two" / "__MACOSX" / "1.png").touch()
    clean = config.clean_dataset.id
    sets = {clean: "one", "imagenet-v2": "two", "imagenet-r": "few", "imagenet-a": "other"}
    source = {"layout": "class_folders"}
    datasets = {
        **config.datasets,
        **{
            id: replace(config.datasets[id], source=source | {"path": folder})
            for id, folder in sets.items()
        },
    }
    first, second = sources.unlike_classes(replace(config, datasets=datasets))
    assert first.startswith("datasets.imagenet-r.source: its class folders are not those of")
    assert "(c only there)" in first
    assert "datasets.imagenet-a" in second
    assert "(z only here; c only there)" in second
    indexed = replace(config.datasets[clean], source=datasets[clean].source | {"class_index": "x"})
    assert not sources.unlike_classes(replace(config, datasets=datasets | {clean: indexed}))
