"""Tables of attacks, against values computed by hand and against pandas."""

import re
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.page.frame import environment
from perturb.tables.run import make_table
from tests.hand_made import Rows, decided, resnet, vit, written
from tests.interval_oracles import clustered, contrast
from tests.study_tables import rows_where, sql, table_of
from tests.synthetic_attacks import HEADLINE_EPSILON
from tests.synthetic_study import Study

HEADLINE = {"headline_epsilon": 4 / 255}


@pytest.fixture(scope="module")
def predictions(fog_study: Study) -> pd.DataFrame:
    frame = pa.concat_tables([pq.read_table(path) for path in fog_study.predictions]).to_pandas()
    names = ("model", "dataset", "perturbation", "condition")
    return frame.assign(**{name: frame[name].astype(str) for name in names})


def attacked(model: str, *, clean: str = "1110") -> Rows:
    """Return a model's predictions: clean, FGSM at two epsilons, the ensemble's three attacks."""
    stages = {"apgd_ce": "1100", "apgd_dlr": "1000", "square": "0000"}
    weak = {"perturbation": "fgsm", "severity": 2 / 255}
    strong = {"perturbation": "fgsm", "severity": 4 / 255}
    return [
        *decided(model, clean),
        *decided(model, "1110", **weak),
        # Incorrect images are not attacked; at the first image the loss has no gradient.
        *(
            {**row, "gradient_norm": norm}
            for row, norm in zip(
                decided(model, "1010", **strong), [0.0, 0.5, 0.5, None], strict=True
            )
        ),
        *decided(model, "1010", perturbation="pgd", severity=4 / 255),
        *(
            row
            for stage, outcomes in stages.items()
            for row in decided(
                model, outcomes, perturbation="attack_ensemble", severity=4 / 255, condition=stage
            )
        ),
        *decided(model, "0100", perturbation="spatial", severity=1.0, condition="grid"),
    ]


def test_attacks_by_hand(tmp_path: Path) -> None:
    more_clean = decided("a", "11110")[4:]  # an image without attack
    sources = written(tmp_path, [vit("a", 8)], [*attacked("a"), *more_clean])
    rows = make_table("attacks", sources, HEADLINE).to_pylist()
    found = {row["test_set"]: row for row in rows}
    assert list(found) == ["clean", "fgsm", "pgd", "attack_ensemble", "spatial"]
    assert [row["accuracy"] for row in rows] == [0.75, 0.5, 0.5, 0.0, 0.25]
    assert {row["num_images"] for row in rows} == {4}
    assert [row["epsilon_gray"] for row in rows] == [None, 4, 4, 4, None]
    assert found["fgsm"]["epsilon"] == 4 / 255
    assert found["fgsm"]["accuracy_low"] == pytest.approx(sql("wilson_low(2, 4)"))
    assert found["attack_ensemble"]["accuracy_high"] == pytest.approx(sql("wilson_high(0, 4)"))
    assert found["attack_ensemble"]["test_set_label"] == "Attack ensemble"


def test_attacks_on_another_set_stand_beside_those_on_the_clean_one(tmp_path: Path) -> None:
    """They are no test set: clean images alone compare the models."""
    art = [
        *decided("a", "1110", dataset="art"),
        *decided("a", "1000", dataset="art", perturbation="fgsm", severity=4 / 255),
    ]
    folders = [tmp_path / name for name in ("alone", "both")]
    for folder in folders:
        folder.mkdir()
    alone = written(folders[0], [vit("a", 8)], attacked("a"))
    both = written(folders[1], [vit("a", 8)], [*attacked("a"), *art])
    assert make_table("attacks", alone, HEADLINE) == make_table("attacks", both, HEADLINE)
    table = make_table("adversarial_accuracy", both, HEADLINE).to_pylist()
    [row] = [row for row in table if row["attack_label"] == "FGSM, Art"]
    assert (row["clean_accuracy"], row["accuracy"], row["num_images"]) == (0.75, 0.25, 4)
    table.remove(row)
    assert table == make_table("adversarial_accuracy", alone, HEADLINE).to_pylist()


def test_accuracy_over_epsilon_by_hand(tmp_path: Path) -> None:
    sources = written(tmp_path, [vit("a", 8)], attacked("a"))
    table = make_table("adversarial_accuracy", sources, HEADLINE)
    [weak] = rows_where(table, attack="fgsm", is_headline=False)
    assert (weak["epsilon_gray"], weak["epsilon_label"], weak["accuracy"]) == (2, "2/255", 0.75)
    [strong] = rows_where(table, attack="fgsm", is_headline=True)
    assert (strong["clean_accuracy"], strong["accuracy"]) == (0.75, 0.5)
    assert (strong["num_attacked"], strong["num_zero_gradient"]) == (3, 1)
    stages = rows_where(table, attack="attack_ensemble")
    assert [row["condition"] for row in stages] == ["apgd_ce", "apgd_dlr", "square"]
    assert [row["accuracy"] for row in stages] == [0.5, 0.25, 0.0]
    assert [row["is_final"] for row in stages] == [False, False, True]


def in_l2(stage: str, outcomes: str, epsilon: float) -> Rows:
    """Return a model's predictions after one attack in the L2 ball."""
    changes = {"perturbation": "attack_ensemble_l2", "severity": epsilon, "condition": stage}
    return decided("a", outcomes, **changes)


def test_accuracy_in_the_l2_ball_by_hand(tmp_path: Path) -> None:
    """Lengths are compared with no epsilon of single pixels, even where the numbers are equal."""
    rows = [
        *in_l2("apgd_ce", "1110", 4 / 255),
        *(row for epsilon in (0.5, 4 / 255) for row in in_l2("fab", "1010", epsilon)),
        *in_l2("square", "1000", 0.5),
    ]
    folders = [tmp_path / name for name in ("alone", "both")]
    for folder in folders:
        folder.mkdir()
    alone = written(folders[0], [vit("a", 8)], attacked("a"))
    both = written(folders[1], [vit("a", 8)], [*attacked("a"), *rows])
    for name in ("attacks", "adversarial_accuracy"):
        assert make_table(name, alone, HEADLINE) == make_table(name, both, HEADLINE)
    found = make_table("adversarial_accuracy_l2", both, HEADLINE).to_pylist()
    assert [
        (row["condition_label"], row["l2_epsilon_label"], row["accuracy"], row["is_final"])
        for row in found
    ] == [
        ("APGD-CE", "0.0156863", 0.75, False),
        ("FAB", "0.0156863", 0.5, False),
        ("FAB", "0.5", 0.5, False),
        ("Square", "0.5", 0.25, True),
    ]
    assert {(row["attack_label"], row["clean_accuracy"]) for row in found} == {
        ("Attack ensemble, L2", 0.75)
    }


def test_the_standard_set_has_fab_before_square(tmp_path: Path) -> None:
    fab = decided("a", "1000", perturbation="attack_ensemble", severity=4 / 255, condition="fab")
    sources = written(tmp_path, [vit("a", 8)], [*attacked("a"), *fab])
    stages = rows_where(
        make_table("adversarial_accuracy", sources, HEADLINE), attack="attack_ensemble"
    )
    assert [row["condition_label"] for row in stages] == ["APGD-CE", "APGD-T", "FAB", "Square"]
    assert [row["is_final"] for row in stages] == [False, False, False, True]


def test_a_model_that_ignores_its_input_is_reported(tmp_path: Path) -> None:
    rows = decided("a", "1100", perturbation="pgd", severity=4 / 255, gradient_norm=0.0)
    sources = written(tmp_path, [vit("a", 8)], [*decided("a", "1100"), *rows])
    [row] = make_table("adversarial_accuracy", sources, HEADLINE).to_pylist()
    assert row["accuracy"] == row["clean_accuracy"] == 0.5
    assert row["num_zero_gradient"] == 4


def test_attacks_equal_pandas(joined_fog: Study, predictions: pd.DataFrame) -> None:
    table = table_of(joined_fog, "attacks")
    ids = set(predictions[predictions["perturbation"] == "pgd"]["image_id"])
    for row in table.to_pylist():
        perturbation = {"clean": "none"}.get(row["test_set"], row["test_set"])
        own = predictions[
            (predictions["model"] == row["model"])
            & (predictions["perturbation"] == perturbation)
            & predictions["image_id"].isin(ids)
        ]
        if perturbation in ("fgsm", "pgd", "attack_ensemble"):
            own = own[own["severity"] == HEADLINE_EPSILON]
        own = own[own["condition"].isin([perturbation, "square", "grid"])]
        assert row["num_images"] == len(own) == 30
        assert row["accuracy"] == own["is_correct"].mean()


def test_no_attack_raises_accuracy(joined_fog: Study) -> None:
    table = table_of(joined_fog, "adversarial_accuracy").to_pandas()
    assert (table["accuracy"] <= table["clean_accuracy"]).all()
    final = table[table["is_final"]].set_index(["model", "attack", "epsilon"])["accuracy"]
    wide = final.unstack("attack")
    assert (wide["attack_ensemble"] <= wide["pgd"]).all()
    falling = wide.groupby("model").diff().dropna()
    assert (falling <= 0).all(axis=None)


def test_transfer_and_its_means_equal_pandas(joined_fog: Study, predictions: pd.DataFrame) -> None:
    rows = predictions[predictions["perturbation"] == "transfer"]
    clean = predictions[
        (predictions["perturbation"] == "none") & (predictions["dataset"] == "shapes")
    ]
    clean = clean.set_index(["model", "image_id"])["is_correct"]
    rows = rows.join(clean.rename("was_correct"), on=["model", "image_id"])
    table = table_of(joined_fog, "transfer")
    [row] = rows_where(table, source="resnet-b-large", target="vit-s4-small")
    own = rows[(rows["condition"] == row["source"]) & (rows["model"] == row["target"])]
    assert row["accuracy"] == own["is_correct"].mean()
    assert row["clean_accuracy"] == own["was_correct"].mean()
    assert row["source_label"] == "ResNet-B · Large"
    assert (row["epsilon_gray"], row["is_itself"]) == (4, False)
    rows = rows.assign(
        lost=rows["was_correct"].astype(float) - rows["is_correct"],
        source_family=rows["condition"].str.split("-").str[0],
        target_family=rows["model"].str.split("-").str[0],
    )
    for mean in table_of(joined_fog, "transfer_means").to_pylist():
        families = (rows["source_family"] == mean["source_family"]) & (
            rows["target_family"] == mean["target_family"]
        )
        is_itself = rows["condition"] == rows["model"]
        own = rows[families & (is_itself if mean["relation"] == "itself" else ~is_itself)]
        assert mean["num_pairs"] == len(own[["condition", "model"]].drop_duplicates())
        means = own.groupby("image_id")[["is_correct", "lost"]].mean()
        ends = {
            "accuracy": clustered(means["is_correct"] * mean["num_pairs"], mean["num_pairs"]),
            "accuracy_lost": contrast(means["lost"]),
        }
        for value, column in (("accuracy", "is_correct"), ("accuracy_lost", "lost")):
            assert mean[value] == pytest.approx(means[column].mean(), abs=1e-12)
            found = mean[f"{value}_low"], mean[f"{value}_high"]
            assert found == pytest.approx(ends[value], abs=1e-9)


def test_attacks_on_fewer_images_keep_their_own_number(tmp_path: Path) -> None:
    spatial = decided("a", "01", perturbation="spatial", severity=1.0, condition="grid")
    pgd = decided("a", "100", perturbation="pgd", severity=4 / 255)
    sources = written(tmp_path, [vit("a", 8)], [*decided("a", "1101"), *pgd, *spatial])
    rows = make_table("attacks", sources, HEADLINE).to_pylist()
    assert [(row["test_set"], row["num_images"]) for row in rows] == [
        ("clean", 3),
        ("pgd", 3),
        ("spatial", 2),
    ]


PGD = {"perturbation": "pgd", "severity": 4 / 255}


def test_transfer_is_held_against_clean_predictions_on_its_own_set(tmp_path: Path) -> None:
    """Predictions of another set with the same image ids do not count."""
    transfer = {"perturbation": "transfer", "severity": 4 / 255, "dataset": "small"}
    rows = [
        *(row for model in "ab" for row in decided(model, "1111")),
        *(
            row
            for source in "ab"
            for target in "ab"
            for row in decided(target, "1000", **transfer, condition=source)
        ),
    ]
    of_set = [row for model in "ab" for row in decided(model, "1100", dataset="small")]
    sources = written(tmp_path, [vit("a", 8), resnet("b")], [*rows, *of_set])
    table = make_table("transfer", sources).to_pylist()
    assert [(row["num_images"], row["clean_accuracy"]) for row in table] == [(4, 0.5)] * 4


@pytest.mark.parametrize(
    ("attacks", "of_l2", "said", "terms"),
    [
        (("fgsm",), (), ": at most epsilon per pixel.", ["Epsilon", "FGSM"]),
        (
            ("attack_ensemble",),
            ("square",),
            ": at most epsilon per pixel.",
            ["Epsilon", "Attack ensemble", "L2"],
        ),
        (
            (),
            ("square",),
            ": of a Euclidean length of at most epsilon.",
            ["Attack ensemble", "L2"],
        ),
        (("spatial",), (), "small.", ["Adversarial spatial"]),
    ],
)
def test_the_page_explains_epsilon_as_the_attacks_measure_it(
    attacks: tuple[str, ...], of_l2: tuple[str, ...], said: str, terms: list[str]
) -> None:
    values = {("attacks", "test_set"): attacks, ("adversarial_accuracy_l2", "condition"): of_l2}
    html = (
        environment()
        .get_template("attacks/page.html")
        .render(
            values=lambda table, column: set(values.get((table, column), ())),
            section=SimpleNamespace(warnings=["A"]),
        )
    )
    text = " ".join(html.split())
    assert f"The changes are small{said.removeprefix('small')} An image" in text
    assert re.findall("<dt>(.*?)</dt>", text) == terms
    assert ("The largest change of a pixel" in text) == ("Epsilon" in terms)
    assert ("the last attack of the ensemble" in text) == ("Attack ensemble" in terms)
