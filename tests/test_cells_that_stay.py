"""A change of the study evaluates the cells and conditions that it changes, and no other."""

import copy
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from perturb.config import load_config
from perturb.datasets.store import open_store, write_store
from perturb.evaluation.identity import dataset_facts, model_facts
from perturb.evaluation.outcome import Evaluator
from perturb.evaluation.shards import read_metadata
from perturb.experiments import registry
from perturb.files import sha256_of
from perturb.plan.check_shards import check_shards
from perturb.plan.paths import Paths
from tests import kept_study
from tests.tiny_study import TINY_STUDY

MODELS = ("a", "b", "reference")
Change = Callable[[dict[str, Any]], Any]


def _study() -> dict[str, Any]:
    """Return the tiny study with attacks, transfer, lesions, token removal and measurements."""
    study = copy.deepcopy(TINY_STUDY) | {"epsilon": "4/255"}
    for image_set in study["datasets"].values():
        image_set["images"] = min(image_set["images"], 12)
    study["architectures"]["vit"]["arguments"]["depth"] = 4
    some = {"datasets": ["test"], "images": 6}
    study["perturbations"] |= {
        "corruptions": {**study["perturbations"]["corruptions"], "severities": [1, 3]},
        "fgsm": {**some, "epsilons": ["1/255", "4/255"]},
        "pgd": {**some, "epsilons": ["4/255"], "steps": 1},
        "transfer": {**some, "epsilons": ["4/255"], "steps": 1},
        "lesions": {**some, "removed": [1, 2], "samples": 2},
        "token_removal": {**some, "drop_rates": [0.5], "seeds": 1},
    }
    study["analyses"] = {
        "perturbation_patterns": {"dataset": "test", "images": 4, "steps": 1, "shown": 2},
        "layer_correlations": {"dataset": "test", "images": 6},
    }
    return study


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """Return a folder in which the study was run to its end, and all that was evaluated."""
    folder = tmp_path_factory.mktemp("base")
    before = Path.cwd()
    os.chdir(folder)
    _forget_files()
    try:
        evaluated = kept_study.run(load_config(_study()))
    finally:
        os.chdir(before)
    return folder, evaluated


@pytest.fixture
def study(
    base: tuple[Path, set[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Return the study, and a copy of its results in the working directory."""
    shutil.copytree(base[0] / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    _forget_files()
    return _study()


def _forget_files() -> None:
    """The next run is another process."""
    dataset_facts.cache_clear()
    model_facts.cache_clear()


def _run(study: dict[str, Any]) -> set[str]:
    _forget_files()
    return kept_study.run(load_config(study))


def _of(*parts: str, models: tuple[str, ...] = MODELS) -> set[str]:
    return {" / ".join([model, *parts]) for model in models}


def test_a_finished_study_evaluates_nothing(
    base: tuple[Path, set[str]], study: dict[str, Any]
) -> None:
    assert len(base[1]) == 26
    assert kept_study.planned(load_config(study)) == set()
    assert _run(study) == set()


def _add_model(study: dict[str, Any]) -> None:
    study["models"]["c"] = {**study["models"]["a"]}


def _add_dataset(study: dict[str, Any]) -> None:
    new = {"generate": {"set": "hard", "split": "test"}, "images": 12}
    study["datasets"] = {"third": new} | study["datasets"]
    study["perturbations"]["none"]["datasets"].insert(0, "third")


NEW: dict[str, tuple[Change, set[str]]] = {
    "an epsilon": (
        lambda study: study["perturbations"]["fgsm"]["epsilons"].insert(1, "2/255"),
        _of("test", "fgsm", "2_255", models=("a", "b")),
    ),
    "a severity in the middle": (
        lambda study: study["perturbations"]["corruptions"]["severities"].insert(1, 2),
        _of("test", "corruptions", "2"),
    ),
    "a corruption": (
        lambda study: study["perturbations"]["corruptions"]["corruptions"].append("fog"),
        _of("test", "corruptions", "1") | _of("test", "corruptions", "3"),
    ),
    "a dataset": (_add_dataset, _of("third", "none", "0", models=("a", "b"))),
    "more samples": (
        lambda study: study["perturbations"]["lesions"].update(samples=3),
        {"a / test / lesions / 2"},
    ),
    "more seeds": (
        lambda study: study["perturbations"]["token_removal"].update(seeds=2),
        {"a / test / token_removal / 0.5"},
    ),
    "a model": (
        _add_model,
        {
            "c / test / none / 0",
            "c / test / corruptions / 1",
            "c / test / corruptions / 3",
            "c / test / fgsm / 1_255",
            "c / test / fgsm / 4_255",
            "c / test / pgd / 4_255",
            "c / test / lesions / 1",
            "c / test / lesions / 2",
            "c / test / token_removal / 0.5",
            "c / perturbation_patterns",
            "c / layer_correlations",
            # Its row and its column.
            "a / test / transfer / 4_255 / c",
            "b / test / transfer / 4_255 / c",
            "c / test / transfer / 4_255 / c",
            "c / test / transfer / 4_255 / a",
            "c / test / transfer / 4_255 / b",
        },
    ),
}


@pytest.mark.parametrize(("change", "evaluated"), NEW.values(), ids=NEW)
def test_what_is_new_is_evaluated_and_nothing_else(
    change: Change, evaluated: set[str], study: dict[str, Any]
) -> None:
    shards = {path: path.read_bytes() for path in Path("results/shards").rglob("*.parquet")}
    change(study)
    assert _run(study) == evaluated
    assert _run(study) == set()
    changed = {path for path, content in shards.items() if path.read_bytes() != content}
    assert len(changed) <= len(evaluated)


# A perturbation, a severity and conditions -> how many batches its evaluator was called with. Each
# model sees its images as one batch.
Calls = Counter[tuple[str, float, tuple[str, ...]]]


def _calls(study: dict[str, Any]) -> Calls:
    """Run a study; return what evaluators were called with."""
    calls: Calls = Counter()

    def watched(id: str) -> Evaluator:
        def evaluate(*arguments: Any) -> Any:
            calls[id, arguments[2].severity, arguments[2].conditions] += 1
            return registry.evaluator(id)(*arguments)

        return evaluate

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kept_study, "evaluator_of", watched)
        _run(study)
    return calls


def _rows(experiment: str, study: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of an experiment's shards, which are all what the study needs."""
    config = load_config(study)
    paths = Paths(config.results)
    weights = {model: sha256_of(Path(paths.weights(model))) for model in config.models}
    shards = check_shards(config, experiment, weights)["path"].to_pylist()
    return {path: pq.read_table(path, partitioning=None).to_pylist() for path in shards}


def _assert_as_from_scratch(experiment: str, study: dict[str, Any]) -> None:
    found = _rows(experiment, study)
    for folder in ("shards", "receipts"):
        shutil.rmtree(Path("results") / folder)
    _run(study)
    assert found == _rows(experiment, study)


def _corruptions(*conditions: str) -> Calls:
    return Counter({("corruptions", severity, conditions): 3 for severity in (1.0, 3.0)})


def test_a_new_corruption_is_evaluated_alone(study: dict[str, Any]) -> None:
    study["perturbations"]["corruptions"]["corruptions"] += ["saturate", "fog"]
    assert _calls(study) == _corruptions("fog", "saturate")
    metadata = read_metadata(Path("results/shards/b/test/corruptions/3.parquet"))
    assert list(metadata["samples"]) == ["fog", "brightness", "contrast", "saturate"]
    assert [part["conditions"] for part in metadata["earlier"]] == [["brightness", "contrast"]]
    assert _calls(study) == Counter()
    _assert_as_from_scratch("corruptions", study)


def test_a_removed_corruption_leaves_the_shards_and_nothing_is_evaluated(
    study: dict[str, Any],
) -> None:
    of_all = study["perturbations"]["corruptions"]
    study["perturbations"]["corruptions"] = {**of_all, "corruptions": ["contrast"]}
    assert _calls(study) == Counter()
    study["perturbations"]["corruptions"] = of_all
    assert _calls(study) == Counter()
    study["perturbations"]["corruptions"] = {**of_all, "corruptions": ["brightness"]}
    assert _calls(study) == Counter()
    metadata = read_metadata(Path("results/shards/b/test/corruptions/3.parquet"))
    assert (metadata["samples"], metadata["earlier"]) == ({"brightness": [0]}, [])
    _assert_as_from_scratch("corruptions", study)


def test_an_exchanged_corruption_is_evaluated_alone(study: dict[str, Any]) -> None:
    study["perturbations"]["corruptions"]["corruptions"] = ["contrast", "pixelate"]
    assert _calls(study) == _corruptions("pixelate")
    _assert_as_from_scratch("corruptions", study)


def test_more_seeds_leave_the_conditions_without_samples(study: dict[str, Any]) -> None:
    study["perturbations"]["token_removal"].update(seeds=2)
    assert _calls(study) == Counter({("token_removal", 0.5, ("random",)): 1})
    _assert_as_from_scratch("token_removal", study)


def _reorder(study: dict[str, Any]) -> None:
    for key in ("datasets", "models", "architectures", "perturbations"):
        study[key] = dict(reversed(study[key].items()))
    study["perturbations"]["corruptions"]["corruptions"].reverse()
    study["perturbations"]["fgsm"]["epsilons"].reverse()


def _label(study: dict[str, Any]) -> None:
    study["title"] = "Another"
    study["datasets"]["test"]["label"] = "Pictures"
    study["pretraining"]["small"]["label"] = "Little"
    study["architectures"]["vit"]["label"] = "A ViT"


SAME: dict[str, Change] = {
    "labels and the title": _label,
    "two models a job": lambda study: study.update(models_per_job=2),
    "another order": _reorder,
    "one job a cell": lambda study: study.update(jobs_by="cell"),
    "one job a model": lambda study: study.update(jobs_by="model"),
    "another batch size": lambda study: (
        study["analyses"].pop("layer_correlations") and study.update(batch_size=5)
    ),
    "one model less": lambda study: study["models"].pop("b"),
    "one epsilon less": lambda study: study["perturbations"]["fgsm"]["epsilons"].pop(0),
    "one severity less": lambda study: study["perturbations"]["corruptions"]["severities"].pop(),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_what_changes_no_number_evaluates_nothing(change: Change, study: dict[str, Any]) -> None:
    change(study)
    assert _run(study) == set()


@pytest.mark.parametrize("name", ["one job a cell", "one job a model"])
def test_other_groups_of_the_same_results_start_no_job(name: str, study: dict[str, Any]) -> None:
    SAME[name](study)
    assert kept_study.planned(load_config(study)) == set()


@pytest.mark.parametrize("name", ["one model less", "one epsilon less", "one severity less"])
def test_removing_plans_no_job_and_adding_back_evaluates_nothing(
    name: str, study: dict[str, Any]
) -> None:
    whole = copy.deepcopy(study)
    SAME[name](study)
    assert kept_study.planned(load_config(study)) == set()
    assert _run(study) == set()
    # Another change meanwhile: the receipts are written anew.
    study["perturbations"]["fgsm"]["epsilons"].append("3/255")
    _run(study)
    whole["perturbations"]["fgsm"]["epsilons"].append("3/255")
    back = _run(whole)
    assert back == ({"b / test / fgsm / 3_255"} if name == "one model less" else set())


def test_a_moved_results_folder_evaluates_nothing(study: dict[str, Any]) -> None:
    Path("results").rename("elsewhere")
    study["results"] = "elsewhere"
    assert kept_study.planned(load_config(study)) == set()
    assert _run(study) == set()


def test_a_copy_that_keeps_no_times_evaluates_nothing(study: dict[str, Any]) -> None:
    for path in sorted(Path("results").rglob("*"), reverse=True):
        path.touch()
    assert _run(study) == set()


def test_a_dry_run_with_another_configuration_leaves_nothing_to_do(study: dict[str, Any]) -> None:
    times = {path: path.stat().st_mtime_ns for path in Path("results/receipts").rglob("*.json")}
    other = study | {"seed": 8}
    assert kept_study.planned(load_config(other)) != set()
    assert kept_study.planned(load_config(study)) == set()
    found = {path: path.stat().st_mtime_ns for path in Path("results/receipts").rglob("*.json")}
    assert found == times


def test_other_weights_change_the_cells_of_their_model(study: dict[str, Any]) -> None:
    kept_study.save_model(load_config(study), "b")
    evaluated = _run(study)
    assert {"b / test / none / 0", "b / layer_correlations"} <= evaluated
    assert all("b" in cell.split(" / ") for cell in evaluated)
    assert "a / test / transfer / 4_255 / b" in evaluated
    assert "b / test / transfer / 4_255 / a" in evaluated


def test_fewer_images_change_the_cells_that_see_them(study: dict[str, Any]) -> None:
    study["perturbations"]["fgsm"]["images"] = 4
    assert _run(study) == _of("test", "fgsm", "1_255", models=("a", "b")) | _of(
        "test", "fgsm", "4_255", models=("a", "b")
    )


def test_another_seed_changes_every_cell(
    base: tuple[Path, set[str]], study: dict[str, Any]
) -> None:
    assert _run(study | {"seed": 8}) == base[1]


def _raise_protocol(id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raised = replace(registry.perturbation(id), protocol=99)
    known = {**registry.perturbations(), id: raised}
    monkeypatch.setattr(registry, "perturbations", lambda: known)


def test_a_raised_protocol_changes_the_cells_of_its_perturbation(
    study: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _raise_protocol("lesions", monkeypatch)
    assert _run(study) == {"a / test / lesions / 1", "a / test / lesions / 2"}


def test_a_raised_protocol_of_pgd_changes_what_uses_its_examples(
    study: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _raise_protocol("pgd", monkeypatch)
    assert _run(study) == {
        *_of("test", "pgd", "4_255", models=("a", "b")),
        *(f"{one} / test / transfer / 4_255 / {other}" for one in "ab" for other in "ab"),
        *_of("perturbation_patterns", models=("a", "b")),
    }


SETTINGS: dict[str, tuple[Change, set[str]]] = {
    "other images in the picture": (
        lambda study: study["analyses"]["perturbation_patterns"].update(shown=3, models=["b"]),
        set(),
    ),
    "another seed of the draws": (
        # Images and weights stay: their seeds are in their own origins.
        lambda study: study.update(seed=8),
        {
            *_of("test", "corruptions", "1"),
            *_of("test", "corruptions", "3"),
            *(f"a / test / lesions / {count}" for count in (1, 2)),
            *_of("test", "fgsm", "1_255", models=("a", "b")),
            *_of("test", "fgsm", "4_255", models=("a", "b")),
            *_of("test", "pgd", "4_255", models=("a", "b")),
            *(f"{one} / test / transfer / 4_255 / {other}" for one in "ab" for other in "ab"),
            *_of("perturbation_patterns", models=("a", "b")),
            *_of("layer_correlations", models=("a", "b")),
            "a / test / token_removal / 0.5",
        },
    ),
}


@pytest.mark.parametrize(("change", "evaluated"), SETTINGS.values(), ids=SETTINGS)
def test_what_a_setting_does_not_decide_is_kept(
    change: Change,
    evaluated: set[str],
    study: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change(study)
    monkeypatch.setattr(kept_study, "foreign_artefacts", lambda _: {})
    assert _run(study) == evaluated


def test_a_model_of_unusual_patches_changes_no_measurement_of_a_vit(study: dict[str, Any]) -> None:
    arguments = study["architectures"]["vit"]["arguments"]
    study["architectures"]["small"] = {**study["architectures"]["vit"], "arguments": arguments}
    study["architectures"]["small"]["patch_size"] = 2
    study["models"]["c"] = {**study["models"]["a"], "architecture": "small"}
    evaluated = _run(study)
    assert "a / perturbation_patterns" not in evaluated
    assert {"b / perturbation_patterns", "c / perturbation_patterns"} <= evaluated


def _checked(study: dict[str, Any], experiment: str) -> None:
    """Check the shards of an experiment, as a job that is another process."""
    _forget_files()
    _rows(experiment, study)


def _other_pixels(study: dict[str, Any]) -> None:
    config = load_config(study)
    images, manifest = (
        Path(path("test"))
        for path in (Paths(config.results).images, Paths(config.results).manifest)
    )
    time = manifest.stat().st_mtime_ns
    store = open_store(images, manifest)
    columns = {name: store.manifest[name] for name in store.manifest.column_names}
    chunk = (255 - torch.from_numpy(np.array(store.pixels)), columns)
    write_store(images, manifest, num_images=len(store), chunks=[chunk])
    for path in (images, manifest):
        os.utime(path, ns=(time, time))


def _other_preprocessing(study: dict[str, Any]) -> None:
    path = Path(Paths(load_config(study).results).card("a"))
    card = json.loads(path.read_text())
    card["preprocessing"]["mean"] = [0.4, 0.4, 0.4]
    path.write_text(json.dumps(card))


FOREIGN: dict[str, Change] = {
    "other pixels": _other_pixels,
    "another preprocessing": _other_preprocessing,
    "another precision": lambda study: study.update(precision="bfloat16"),
}


@pytest.mark.parametrize("experiment", ["corruptions", "perturbation_patterns"])
@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_results_of_other_inputs_are_all_named_before_any_table(
    change: Change, experiment: str, study: dict[str, Any]
) -> None:
    _checked(study, experiment)
    change(study)
    with pytest.raises(ValueError, match="was made of other images, weights or settings") as told:
        _checked(study, experiment)
    of_model = "results/shards/a/" if experiment == "corruptions" else "results/measurements/a/"
    num_faulty = str(told.value).count(of_model)
    assert num_faulty == (2 if experiment == "corruptions" else 1)


def test_a_changed_class_map_is_noticed_by_its_content(study: dict[str, Any]) -> None:
    config = load_config(study)
    config = replace(
        config,
        datasets={
            **config.datasets,
            "test": replace(config.datasets["test"], class_map="map.json"),
        },
    )
    Path("map.json").write_text(json.dumps({str(at): [at] for at in range(12)}))
    _forget_files()
    kept_study.run(config)
    weights = {
        model: sha256_of(Path(Paths(config.results).weights(model))) for model in config.models
    }
    assert check_shards(config, "benchmarks", weights).num_rows == 3
    assert kept_study.planned(config) == set()
    Path("map.json").write_text(json.dumps({str(at): [11 - at] for at in range(12)}))
    os.utime("map.json", (0, 0))
    assert {job for _, job in kept_study.planned(config)} == {
        "benchmarks",
        "corruptions",
        "attacks",
        "lesions",
        "token_removal",
        "transfer",
    }
    with pytest.raises(ValueError, match=r"(?s)3 results are .* \(condition none\)"):
        check_shards(config, "benchmarks", weights)


@pytest.mark.parametrize("damage", ["deleted", "cut short", "edited", "of another cell"])
def test_a_shard_that_is_not_whole_is_evaluated_again(damage: str, study: dict[str, Any]) -> None:
    shard = Path("results/shards/a/test/fgsm/1_255.parquet")
    content = shard.read_bytes()
    if damage == "deleted":
        shard.unlink()
    elif damage == "cut short":
        shard.write_bytes(content[:-9])
    elif damage == "edited":
        shard.write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
    else:
        shutil.copyfile(shard.with_name("4_255.parquet"), shard)
    assert _run(study) == {"a / test / fgsm / 1_255"}


def test_a_cell_that_fails_loses_no_other(
    study: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise ValueError("no clouds")

    study["perturbations"]["fgsm"]["epsilons"] = ["2/255", "3/255", "4/255"]
    study["perturbations"]["pgd"]["epsilons"] = ["3/255", "4/255"]
    with monkeypatch.context() as patched:
        known = registry.evaluator
        patched.setattr(kept_study, "evaluator_of", lambda id: fail if id == "fgsm" else known(id))
        with pytest.raises(ValueError, match="no clouds"):
            _run(study)
    assert Path("results/shards/a/test/pgd/3_255.parquet").exists()
    evaluated = _run(study)
    assert {"a / test / fgsm / 2_255", "a / test / fgsm / 3_255"} <= evaluated
    assert not {cell for cell in evaluated if cell.startswith("a / test / pgd")}
