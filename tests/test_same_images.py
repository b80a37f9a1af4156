"""What stands beside a change is the clean accuracy on the same images, not on all of them."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from perturb.experiments.drawing import draw
from perturb.tables.display import Grid, grid
from perturb.tables.run import make_table
from tests.hand_made import decided, resnet, vit, written
from tests.study_tables import TABLES, rows_where

# On all eight images: 6 and 5 right. On the first four: 2 and 3 right.
CLEAN = {"v": "11001111", "r": "11100011"}
NUM_CHANGED = 4
LABEL = "Clean, same 4 images"
ATTACKS = ["Clean", "FGSM", "PGD", "Clean, same 2 images", "Adversarial spatial"]
HEADLINE = 4 / 255
RESNET = resnet("r", pretraining_images=10)


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Any]:
    """Return a study whose corruptions, attacks and lesions are of the first four images."""
    rows = []
    for model, clean in CLEAN.items():
        rows += decided(model, clean)
        # Another set that has images of the same ids.
        rows += decided(model, "10100000", dataset="art")
        for severity, outcomes in ((1.0, "1100"), (2.0, "1000")):
            changed = {"perturbation": "corruptions", "severity": severity}
            rows += decided(model, outcomes, **changed, condition="fog")
            rows += decided(model, outcomes, **changed, condition="contrast")
        for attack, outcomes in (("fgsm", "1100"), ("pgd", "1000")):
            rows += decided(model, outcomes, perturbation=attack, severity=HEADLINE)
        grid_only = {"perturbation": "spatial", "condition": "grid", "severity": 1.0}
        rows += decided(model, "10", **grid_only)
    models = [vit("v", 8, pretraining_images=10), RESNET]
    return written(tmp_path, models, rows)


def table(sources: dict[str, Any], name: str) -> Any:
    """Return a table of the study."""
    values = {"headline_epsilon": HEADLINE, "has_denominators": 1.0}
    parameters = {key: values[key] for key in TABLES[name].parameters}
    return make_table(name, {key: sources[key] for key in TABLES[name].sources}, parameters)


def frames_of(sources: dict[str, Any], *names: str) -> dict[str, pd.DataFrame]:
    """Return tables of the study for a chart."""
    return {name: table(sources, name).to_pandas() for name in names}


def columns_of(shown: Grid) -> dict[str, list[str]]:
    """Return the texts of each column that readers see."""
    return {
        header.label: [row[place].text for row in shown.rows]
        for place, header in enumerate(shown.headers)
    }


def test_accuracy_on_corruptions_stands_beside_the_same_images(sources: dict[str, Any]) -> None:
    accuracy = table(sources, "accuracy")
    [whole] = rows_where(accuracy, model="v", test_set="clean")
    [part] = rows_where(accuracy, model="v", test_set="corruptions")
    [other] = rows_where(accuracy, model="v", test_set="renditions")
    assert (whole["accuracy"], whole["clean_accuracy"], whole["num_images"]) == (0.75, 0.75, 8)
    assert (part["accuracy"], part["clean_accuracy"], part["num_images"]) == (0.375, 0.5, 4)
    assert part["clean_accuracy_low"] < 0.5 < part["clean_accuracy_high"]
    assert other["clean_accuracy"] is None
    shown = columns_of(grid(accuracy, "accuracy"))
    labels = list(shown)
    assert labels.index(LABEL) == labels.index("Corruptions") - 1
    assert shown["Clean"] == ["62.5", "75.0"]
    assert shown[LABEL] == ["75.0", "50.0"]


def test_one_column_serves_where_all_clean_images_are_changed(tmp_path: Path) -> None:
    fog = {"perturbation": "corruptions", "condition": "fog", "severity": 1.0}
    rows = [*decided("r", "1110"), *decided("r", "1000", **fog)]
    sources = written(tmp_path, [RESNET], rows)
    labels = list(columns_of(grid(table(sources, "accuracy"), "accuracy")))
    assert labels[-2:] == ["Clean", "Corruptions"]


def test_a_change_that_costs_nothing_stands_beside_the_same_images(tmp_path: Path) -> None:
    """Right on the four that are changed and stays right: 75 beside 100 would be 25 points."""
    rows = decided("v", "11110011")
    rows += decided("v", "1111", perturbation="corruptions", severity=1.0, condition="fog")
    sources = written(tmp_path, [vit("v", 8, pretraining_images=10)], rows)
    shown = columns_of(grid(table(sources, "accuracy"), "accuracy"))
    assert shown["Clean"][0].startswith("75.0")
    assert shown[LABEL][0].startswith("100.0")
    assert shown["Corruptions"][0].startswith("100.0")


def test_each_attack_stands_beside_the_images_that_it_was_tried_on(
    sources: dict[str, Any],
) -> None:
    attacks = table(sources, "attacks")
    found = {
        row["test_set"]: (row["num_images"], row["clean_accuracy"], row["accuracy"])
        for row in rows_where(attacks, model="v")
    }
    assert found == {
        "clean": (4, 0.5, 0.5),
        "fgsm": (4, 0.5, 0.5),
        "pgd": (4, 0.5, 0.25),
        "spatial": (2, 1.0, 0.5),
    }
    labels = list(columns_of(grid(attacks, "attacks")))
    assert labels[-5:] == ATTACKS


def test_differences_of_models_are_of_the_same_images(sources: dict[str, Any]) -> None:
    pairs = {row["test_set"]: row for row in table(sources, "matched_pairs").to_pylist()}
    assert pairs["clean"]["difference"] == pairs["clean"]["clean_difference"] == 0.125
    assert pairs["corruptions"]["clean_difference"] == -0.25
    assert pairs["corruptions"]["clean_difference_low"] < -0.25
    assert pairs["spatial"]["clean_difference"] == 0.0
    assert pairs["renditions"]["clean_difference"] is None


def test_every_corruption_stands_beside_the_same_images(sources: dict[str, Any]) -> None:
    errors = ["corruption,severity,error"]
    errors += [f"{name},{severity},0.5" for name in ("fog", "contrast") for severity in (1, 2)]
    path = sources["models"].with_name("errors.csv")
    path.write_text("\n".join([*errors, "none,0,0.1"]))
    sources["reference_errors"] = path
    means = table(sources, "corruption_means")
    for model, expected in (("v", 0.5), ("r", 0.75)):
        for row in rows_where(means, model=model):
            assert (row["clean_accuracy"], row["num_images"]) == (expected, NUM_CHANGED)
    frames = frames_of(sources, "corruption_means", "accuracy", "models")
    spec = draw("corruption_heatmap", frames).to_dict()
    [cells] = spec["datasets"].values()
    clean = {row["architecture_label"]: row for row in cells if row["row"] == "clean images"}
    assert clean["ViT-S/8"]["accuracy"] == 0.5
    assert clean["ResNet-S"]["num_images"] == NUM_CHANGED


def test_errors_over_size_stand_beside_the_same_images(sources: dict[str, Any]) -> None:
    [part] = rows_where(table(sources, "scaling_models"), model="v", test_set="corruptions")
    assert (part["error"], part["clean_error"]) == (0.625, 0.5)
    spec = draw("model_size", frames_of(sources, "scaling_models", "models")).to_dict()
    [rows] = spec["datasets"].values()
    added = pd.DataFrame(rows).query("test_set == 'clean_part'")
    assert set(added["test_set_label"]) == {LABEL}
    assert sorted(added["error"]) == [0.25, 0.5]


@pytest.mark.parametrize(
    ("chart", "name", "panels"),
    [
        ("robustness_benchmarks", "accuracy", ["Clean", LABEL, "Corruptions", "Renditions"]),
        ("adversarial", "attacks", ATTACKS),
    ],
)
def test_charts_have_a_panel_of_the_same_images(
    sources: dict[str, Any], chart: str, name: str, panels: list[str]
) -> None:
    frames = frames_of(sources, name, "models")
    spec = draw(chart, frames).to_dict()
    assert spec["facet"]["column"]["sort"] == panels
    [rows] = spec["datasets"].values()
    shown = pd.DataFrame(rows).query("test_set_label.str.startswith('Clean, same')")
    own = frames[name].set_index(["test_set", "model"])
    assert len(shown) == 2
    for row in shown.to_dict("records"):
        assert row["accuracy"] == own.loc[(row["test_set"], row["model"]), "clean_accuracy"]


@pytest.mark.parametrize("condition", ["fog", "saturate"])
def test_stored_corruptions_stand_beside_the_images_they_are_copies_of(
    condition: str, tmp_path: Path
) -> None:
    """Also where they are extra ones alone, which are in no mean."""
    stored = {"perturbation": "stored_corruptions", "dataset": "c", "severity": 1.0}
    rows = [*decided("r", "1100"), *decided("r", "10", **stored, condition=condition)]
    sources = written(tmp_path, [RESNET], rows)
    sets = [("shapes", "Shapes", "clean"), ("c", "Shapes-C", "corrupted")]
    names = ("dataset", "label", "role")
    pd.DataFrame(sets, columns=names).to_parquet(sources["datasets"])
    errors = tmp_path / "errors.csv"
    errors.write_text(f"corruption,severity,error\nnone,0,0.1\n{condition},1,0.5\n")
    sources["reference_errors"] = errors
    [row] = table(sources, "corruption_means").to_pylist()
    assert (row["clean_accuracy"], row["accuracy"], row["num_images"]) == (1.0, 0.5, 2)
    means = rows_where(table(sources, "accuracy"), test_set="corruptions")
    assert [mean["clean_accuracy"] for mean in means] == ([1.0] if condition == "fog" else [])
    frames = frames_of(sources, "corruption_means", "accuracy", "models")
    spec = draw("corruption_heatmap", frames).to_dict()
    [cells] = spec["datasets"].values()
    drawn = {cell["row"] for cell in cells}
    mean = {"mean of the benchmark"} if condition == "fog" else set()
    assert drawn == {"clean images", condition} | mean
