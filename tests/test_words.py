"""The answer of the page, its first rows and the summary of a few models, from chosen numbers."""

import json

import pandas as pd
import pytest

from perturb.experiments.comparison.charts import overview, overview_points
from perturb.experiments.comparison.means import (
    averaged_measures,
    differences,
    mean_measure,
    of_entries,
)
from perturb.experiments.sentences import Interval
from perturb.page.answer import answer
from perturb.page.pairing import paired_summary
from perturb.page.standings import Standings
from perturb.page.words import first_rows
from tests.hand_made_standings import Values, made_pairs, made_rows, made_standings

GOOD = {"clean": 0.97, "corruptions": 0.75, "renditions": 0.6, "robust": 0.1}
ALL = "corruptions, renditions and attacks"


def _worse(by: float) -> dict[str, float]:
    return {measure: max(0.0, value - by) for measure, value in GOOD.items()}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"vit-b-large": GOOD, "resnet-b-large": _worse(0.2)},
            [
                "ViT-B (Large) is the more robust of two models, 48.3 % [",
                f"on average over {ALL}; ResNet-B (Large) is behind by 16.7 points [",
                "ViT-B (Large) is weakest on attacks, 10.0 % [",
                "it is also the most accurate on unchanged images, 97.0 % [",
            ],
        ),
        (
            {"vit-b": GOOD, "resnet-b": _worse(0.01)},
            [
                "ViT-B has the higher accuracy under perturbation of two models, 48.3 % [",
                "it cannot be distinguished from ResNet-B (+1.0 points [",
            ],
        ),
        (
            {"vit-b": GOOD, "vit-s": _worse(0.01), "vit-l": _worse(0.02), "resnet-b": _worse(0.2)},
            ["it cannot be distinguished from ViT-S and ViT-L."],
        ),
        (
            {"vit-b": GOOD, "vit-s": _worse(0.01), "vit-l": _worse(0.02)},
            ["; but no other model can be distinguished from it."],
        ),
        (
            {"vit-b": GOOD, "resnet-b": {**_worse(0.2), "clean": 1.0}},
            [
                "on unchanged images ResNet-B is more accurate, 100.0 % [",
                "and less robust, by 16.7",
            ],
        ),
        (
            {"vit-b": GOOD, "resnet-b": {**_worse(0.01), "clean": 1.0}},
            ["is more accurate", "; under perturbation the two cannot be distinguished."],
        ),
        (
            {"vit-b": GOOD, "resnet-b": {**_worse(0.2), "clean": GOOD["clean"]}},
            ["no other model is more accurate on unchanged images, 97.0 % ["],
        ),
        (
            {"vit-b": GOOD, "resnet-b": {**_worse(0.2), "clean": 0.975}},
            ["97.5 % [", ", but the two cannot be distinguished there."],
        ),
        (
            {"mine": GOOD},
            [
                "The accuracy of mine is 48.3 % [43.4, 53.2] on average over corruptions, ",
                ", against 97.0 % [",
                "mine is weakest on attacks, 10.0 % [",
            ],
        ),
        (
            {"mine": {"clean": 0.9, "corruptions": 0.8}},
            ["The accuracy of mine is 80.0 % [", "over corruptions, against 90.0 % ["],
        ),
        (
            {"mine": {"clean": 0.9}, "other": {"clean": 0.8}},
            [
                "mine has the higher accuracy of two models on unchanged images, 90.0 % [",
                "other is behind by 10.0 points [",
                "No test set of this study has perturbed images",
            ],
        ),
        (
            {"mine": {"clean": 0.9, "lesion_half_life": 0.5}},
            ["mine is correct on 90.0 % [", "it does not say how robust the model is"],
        ),
    ],
)
def test_the_answer_says_what_the_numbers_say(values: Values, said: list[str]) -> None:
    written = " ".join(answer(made_standings(values))).replace("\N{NO-BREAK SPACE}", " ")
    assert [text for text in said if text not in written] == []
    assert len(answer(made_standings(values))) <= 2


def test_datasets_without_a_role_are_no_perturbed_images() -> None:
    found = made_standings({"mine": {"clean": 0.9, "corruptions": 0.8}})
    rows = [
        {**row, "measure": "dataset:real", "measure_label": "ReaL labels", "is_averaged": False}
        if row["measure"] == "corruptions"
        else row
        for row in found.rows
    ]
    assert answer(Standings(rows))[1] == (
        "What is changed in the images of ReaL labels is not declared: this study does not say how "
        "robust the model is to changes of the images."
    )


def test_models_that_never_err_are_not_ranked() -> None:
    """Two models and twelve images: what could be hidden is said, no model is best."""
    perfect = {"clean": 1.0, "corruptions": 1.0}
    found = made_standings({"mine": perfect, "other": perfect}, num_images=12)
    first, second = answer(found)
    assert first == "Both models classify every image correctly, unchanged and perturbed."
    assert second.startswith("With 12 images a test set, the true accuracy under perturbation may")
    assert second.endswith(", and the models cannot be distinguished.")
    one, _ = answer(made_standings({"mine": perfect}, num_images=12))
    assert one == "mine classifies every image correctly, unchanged and perturbed."
    side = paired_summary(found)
    assert side is not None
    assert side.sentences[0].startswith("The two models cannot be distinguished on any test set")
    assert all(
        line.decision.startswith("cannot be distinguished: 0.0 points") for line in side.lines
    )


def test_models_at_chance_are_not_compared() -> None:
    values = {"mine": {"clean": 0.1, "corruptions": 0.1}, "other": {"clean": 0.1}}
    found = made_standings(values)
    assert answer(found, ["mine", "other"]) == [
        "Both models are no better than chance on unchanged images: before this is mended, no "
        "number below says anything about robustness."
    ]
    assert "no better than chance" not in " ".join(answer(found, ["mine"]))


def test_a_study_without_predictions_has_no_answer() -> None:
    assert answer(made_standings({})) == []
    assert first_rows(made_standings({})) is None
    assert paired_summary(made_standings({})) is None


def test_of_one_test_set_the_mean_is_its_value() -> None:
    one = {"a": {"clean": 0.9, "corruptions": 0.5, "shape_bias": 0.9}}
    assert (averaged_measures(made_rows(one)), mean_measure(made_rows(one))) == (
        ["corruptions"],
        "corruptions",
    )
    rows = made_rows({"a": GOOD})
    assert averaged_measures(rows) == ["corruptions", "renditions", "robust"]
    assert mean_measure(rows) == "perturbed"
    assert mean_measure(made_rows({"a": {"clean": 0.9}})) is None


def test_differences_have_both_orders() -> None:
    pairs = made_pairs({"a": GOOD, "b": _worse(0.2), "c": {"clean": 0.5}})
    found = differences(pairs, "renditions")
    assert set(found) == {("a", "b"), ("b", "a")}
    assert found["a", "b"].value == pytest.approx(0.2)
    assert found["b", "a"].low == pytest.approx(-found["a", "b"].high)
    assert (found["a", "b"].sign, found["b", "a"].sign) == (1, -1)
    assert Interval(0.1, 0.0, 0.2).sign == 0
    without = [{**row, "difference_low": None, "difference_high": None} for row in pairs]
    assert differences(without, "corruptions") == {}


def test_the_runs_of_a_training_are_one_model() -> None:
    rows = made_rows({"a-2": {"clean": 0.9}, "a": {"clean": 0.8}, "b": {"clean": 0.5}})
    mean = {"entry_value": 0.85, "entry_value_low": 0.7, "entry_value_high": 0.95}
    runs = [
        {**row, "entry": "a", "run": 1 + ("2" in row["model"]), **mean} if "a" in row["model"]
        else row
        for row in rows
    ]  # fmt: skip
    first, second = of_entries(runs)
    assert (first["model"], first["value"]) == ("a", 0.85)
    assert (first["value_low"], first["value_high"]) == (0.7, 0.95)
    assert (second["model"], second["value"]) == ("b", 0.5)
    clean = overview_points(pd.DataFrame([*runs, *({**row, "measure": "corruptions",
        "is_averaged": True} for row in runs)]))  # fmt: skip
    assert list(clean["model"]) == ["a", "b"]
    assert clean["perturbed_low"].tolist()[0] == 0.7


def test_the_summary_decides_measure_by_measure() -> None:
    values = {
        "vit-b": {"clean": 0.9, "corruptions": 0.8, "mce": 0.5, "robust": 0.30, "parameters": 9.0},
        "resnet-b": {"clean": 0.98, "corruptions": 0.5, "mce": 0.9, "robust": 0.31},
    }
    side = paired_summary(made_standings(values))
    assert side is not None
    assert side.sentences == [
        "ViT-B is better on the mean under perturbation, corruptions and mCE.",
        "ResNet-B is better on unchanged images.",
        "On attacks no model can be distinguished as the best.",
    ]
    decided = {line.label: line.decision for line in side.lines}
    # Less is better.
    assert decided["mCE (%, less is better)"].startswith("ViT-B, \N{MINUS SIGN}40.0 points [")
    assert decided["Robust (%)"].startswith("cannot be distinguished: \N{MINUS SIGN}1.0 points [")
    assert decided["Parameters"] == ""


def test_a_model_that_is_behind_two_equal_ones_is_named() -> None:
    values = {
        "vit-b": {"clean": 0.9, "corruptions": 0.80, "calibration": 0.10},
        "vit-s": {"clean": 0.9, "corruptions": 0.81, "calibration": 0.11},
        "resnet-b": {"clean": 0.9, "corruptions": 0.3, "calibration": 0.12},
    }
    side = paired_summary(made_standings(values))
    assert side is not None
    assert side.sentences == [
        "On unchanged images and calibration error no model can be distinguished as the best.",
        "On corruptions no model can be distinguished as the best, but ResNet-B is behind.",
    ]
    assert [line.decision for line in side.lines[:2]] == [
        "cannot be distinguished: all models",
        "none; behind: ResNet-B",
    ]
    assert side.lines[2].label == "Calibration error (%, less is better) *"
    assert side.has_unpaired


def test_what_may_be_hidden_is_that_of_accuracies() -> None:
    same = {"clean": 0.9, "calibration": 0.1}
    found = made_standings({"vit-b": same, "vit-s": same})
    pairs = [
        {**row, "difference_low": -0.9, "difference_high": 0.9}
        if row["measure"] == "calibration"
        else row
        for row in found.pairs
    ]
    side = paired_summary(Standings(found.rows, pairs))
    assert side is not None
    assert "differences of up to 4.2 percentage points" in side.sentences[0]


def test_a_model_is_best_only_if_it_is_better_than_every_other() -> None:
    """Without a difference, as of a half-life that is only a lower end, no model leads."""
    values = {
        model: {"corruptions": value} for model, value in zip("abc", (0.9, 0.5, 0.95), strict=True)
    }
    found = made_standings(values)
    bound = [row for row in found.pairs if "c" not in (row["model_a"], row["model_b"])]
    side = paired_summary(Standings(found.rows, bound))
    assert side is not None
    assert side.sentences == [
        "On corruptions no model can be distinguished as the best, but b is behind."
    ]
    # a is better than b, b than c, a and c are not distinguished: none is better than all others.
    intransitive = [
        {**row, "difference_low": low, "difference_high": 0.4}
        for row, low in zip(found.pairs, (0.1, -0.1, 0.1), strict=True)
    ]
    side = paired_summary(Standings(found.rows, intransitive))
    assert side is not None
    assert side.sentences == [
        "On corruptions no model can be distinguished as the best, but b and c are behind."
    ]


def test_a_large_study_has_no_summary_but_first_rows() -> None:
    values = {f"vit-{place}": _worse(place / 100) for place in range(9)}
    found = made_standings(values)
    assert paired_summary(found) is None
    rows = first_rows(found)
    assert rows is not None
    assert (rows.num_models, len(rows.rows)) == (9, 5)
    assert rows.heads == [
        "Mean under perturbation",
        "Clean",
        "Corruptions",
        "Renditions",
        "Robust",
    ]
    assert rows.rows[0][0] == "ViT-0"
    assert [cells[0][0] for _, cells in rows.rows] == ["48.3", "47.3", "46.3", "45.3", "44.3"]


def test_the_label_of_a_dataset_is_as_it_was_typed() -> None:
    rows = made_rows({"a": {"clean": 0.9, "renditions": 0.5}})
    typed = {**rows[1], "measure": "dataset:mine", "measure_label": "Night drives"}
    found = Standings([*rows, typed])
    assert [found.phrase(row["measure"]) for row in found.rows] == [
        "unchanged images",
        "renditions",
        "Night drives",
    ]


def test_models_of_one_name_have_their_ids_beside_it() -> None:
    found = made_standings({"vit-b": GOOD, "vit-b-": GOOD})
    assert list(found.names.values()) == ["ViT-B, vit-b", "ViT-B, vit-b-"]


def test_the_overview_names_the_models_that_none_surpasses() -> None:
    values = {
        "vit-b": {"clean": 0.9, "corruptions": 0.8, "robust": 0.2},
        "vit-s": {"clean": 0.8, "corruptions": 0.7, "robust": 0.2},
        "resnet-b": {"clean": 0.98, "corruptions": 0.5, "robust": 0.2},
        "resnet-s": {"corruptions": 0.9, "robust": 0.2},
    }
    points = overview_points(pd.DataFrame(made_rows(values)))
    assert list(points["model"]) == ["vit-b", "vit-s", "resnet-b"]
    assert list(points["names"]) == [points["name"][0], "", points["name"][2]]
    assert points["perturbed"].tolist() == pytest.approx([0.5, 0.45, 0.35])
    assert set(points["measures"]) == {"Corruptions, Robust"}
    assert overview_points(pd.DataFrame(made_rows({"a": {"clean": 0.9}}))).empty


def test_models_at_one_place_of_the_overview_share_a_label() -> None:
    values = {"vit-b": GOOD, "vit-s": GOOD, "vit-l": GOOD, "resnet-b": _worse(0.2)}
    points = overview_points(pd.DataFrame(made_rows(values)))
    assert list(points["names"]) == ["ViT-B, ViT-S and 1 other", "", "", ""]


def test_an_overview_of_clean_images_alone_is_a_sentence() -> None:
    models = pd.DataFrame([{"architecture_label": "a"}])
    drawn = overview(pd.DataFrame(made_rows({"a": {"clean": 0.9}})), models).to_dict()
    assert "No model of this study has an accuracy" in json.dumps(drawn)
