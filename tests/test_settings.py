"""Products that were made with other settings are stale, whatever their dates."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perturb.config import load_config
from perturb.evaluation.digests import digest_of
from perturb.plan.paths import Paths
from perturb.plan.settings import (
    _settings,
    stale_products,
    write_settings,
)
from perturb.plan.stale import Stale
from tests.tiny_study import TINY_STUDY
from tests.workspace import ROOT

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return a study whose products exist and are its own."""
    monkeypatch.chdir(tmp_path)
    made = copy.deepcopy(TINY_STUDY)
    made |= {"results": "results", "data": "data", "seed": 7, "epsilon": "4/255"}
    some = {"datasets": ["test"], "images": 6}
    made["perturbations"] |= {
        "fgsm": {**some, "epsilons": ["1/255", "4/255"]},
        "pgd": {**some, "epsilons": ["1/255", "4/255"], "steps": 1},
        "transfer": {**some, "epsilons": ["4/255"], "steps": 1},
    }
    made["analyses"] = {
        "perturbation_patterns": {"dataset": "test", "images": 4, "steps": 1, "shown": 2}
    }
    config = load_config(made)
    for file in _settings(config):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text("made")
    write_settings(config, _settings(config))
    return made


def _stale(study: dict[str, Any]) -> set[str]:
    root = study["results"]
    return {file.removeprefix(f"{root}/") for file in stale_products(load_config(study))}


def _rename(study: dict[str, Any]) -> None:
    Path("results").rename("moved")
    study["results"] = "moved"


def _label(study: dict[str, Any]) -> None:
    study["architectures"]["vit"]["label"] = "A ViT"


DESCRIBED = {"models.parquet", "datasets.parquet", "report/index.html"}
PICTURE = "measurements/perturbation_patterns.png"


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        (lambda _: None, set()),
        (_rename, set()),
        (lambda study: study.update(data="/another/machine"), set()),
        (_label, {*DESCRIBED, PICTURE}),
        (lambda study: study.update(title="Another"), {"report/index.html"}),
        (
            lambda study: study["datasets"]["test"].update(label="Pictures"),
            {*DESCRIBED, "examples/gallery.json"},
        ),
        (
            lambda study: study["analyses"]["perturbation_patterns"].update(shown=3),
            {PICTURE, "report/index.html"},
        ),
    ],
    ids=["nothing", "moved", "data", "model label", "title", "label", "picture"],
)
def test_products_of_other_settings_are_stale(
    study: dict[str, Any], change: Change, stale: set[str]
) -> None:
    change(study)
    assert _stale(study) == stale


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        (lambda study: study["perturbations"]["corruptions"]["severities"].pop(), {"gallery"}),
        (lambda study: study["perturbations"]["pgd"].update(steps=2), {"gallery"}),
        (lambda study: study["models"].pop("b"), {"disagreements"}),
        (lambda study: study.update(seed=8), {"gallery"}),
        (
            lambda study: study["perturbations"]["none"].update(datasets=["test", "second"]),
            {"gallery", "disagreements"},
        ),
        (lambda study: study["perturbations"].pop("transfer"), set()),
    ],
    ids=["severity", "steps", "model", "seed", "dataset", "nothing shown"],
)
def test_examples_of_other_cells_are_stale(
    study: dict[str, Any], change: Change, stale: set[str]
) -> None:
    change(study)
    found = {file for file in _stale(study) if file.startswith("examples")}
    assert found == {f"examples/{name}.json" for name in stale}


def test_decisions_may_be_moved_with_the_data_but_not_left_out(study: dict[str, Any]) -> None:
    study["datasets"]["test"]["decisions"] = ["people.csv"]
    for folder in ("data", "other"):
        Path(folder).mkdir()
        Path(folder, "people.csv").touch()
    config = load_config(study)
    write_settings(config, _settings(config))
    assert "tables/error_consistency.parquet" in {
        file.removeprefix("results/") for file in _settings(config)
    }
    study["data"] = "other"
    assert _stale(study) == set()
    del study["datasets"]["test"]["decisions"]
    assert {*DESCRIBED, "tables/error_consistency.parquet"} <= _stale(study)


def test_another_epsilon_makes_the_tables_again_that_read_it(study: dict[str, Any]) -> None:
    study["epsilon"] = "1/255"
    found = _stale(study)
    assert {"tables/attacks.parquet", "report/index.html"} <= found
    assert "tables/accuracy.parquet" not in found
    assert not {file for file in found if file.startswith("inventory")}


def test_one_more_epsilon_checks_the_shards_of_attacks_alone(study: dict[str, Any]) -> None:
    study["perturbations"]["fgsm"]["epsilons"].append("2/255")
    found = _stale(study)
    assert {file for file in found if file.startswith("inventory")} == {"inventory/attacks.parquet"}
    assert "tables/attacks.parquet" in found


@pytest.mark.parametrize(
    ("change", "experiments"),
    [
        (lambda study: study["perturbations"]["fgsm"]["epsilons"].pop(0), {"attacks"}),
        (lambda study: study["perturbations"]["corruptions"]["severities"].pop(), {"corruptions"}),
        (
            lambda study: study["models"].pop("b"),
            {"attacks", "benchmarks", "corruptions", "perturbation_patterns", "transfer"},
        ),
    ],
)
def test_a_removed_cell_leaves_the_inventory(
    study: dict[str, Any], change: Change, experiments: set[str]
) -> None:
    change(study)
    found = _stale(study)
    inventories = {file for file in found if file.startswith("inventory")}
    assert inventories == {f"inventory/{name}.parquet" for name in experiments}
    assert "tables/runs.parquet" not in found  # it reads the inventories, which are made again


def test_what_does_not_exist_is_not_stale_and_what_records_nothing_is(
    study: dict[str, Any],
) -> None:
    paths = Paths("results")
    Path(paths.table("runs")).unlink()
    Path(paths.settings(paths.table("runs"))).unlink()
    Path(paths.settings(paths.page)).unlink()
    Path(paths.settings(paths.models)).write_text("[]")
    assert _stale(study) == {"report/index.html", "models.parquet"}


def test_the_mark_is_an_input_of_stale_products(study: dict[str, Any]) -> None:
    config, paths = load_config(study), Paths("results")
    assert Stale(config).mark_of(*map(paths.table, ("runs", "accuracy"))) == []
    Path(paths.settings(paths.table("accuracy"))).unlink()
    found = Stale(config)
    assert found.mark_of(*map(paths.table, ("runs", "accuracy"))) == [paths.mark]
    assert found.mark_of(paths.table("runs")) == []


def test_settings_do_not_depend_on_the_folder_of_a_run(
    study: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the workflow's own folder its files have relative paths, elsewhere absolute ones."""
    config = load_config(study)
    found = []
    for folder in (ROOT, ROOT.parent):
        monkeypatch.chdir(folder)
        found.append({file: digest_of(facts()) for file, facts in _settings(config).items()})
    assert found[0] == found[1]
