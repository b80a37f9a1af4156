"""Models side by side: the numbers of other tables, sums over pairs, ranks, half-lives."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.experiments import registry
from perturb.experiments.comparison.pairs import pair_sums
from perturb.experiments.consistency import check_declarations
from perturb.experiments.declaration import Experiment, Measure
from perturb.tables.run import make_table
from tests.hand_made import decided, resnet, vit, written
from tests.study_tables import TABLES, rows_where, sql, table_of, with_runs
from tests.synthetic_attacks import HEADLINE_EPSILON
from tests.synthetic_study import Study

Made = Callable[[str], pa.Table]
Row = dict[str, Any]


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).integers(0, 76, (9000, 5)).astype(float),
        np.random.default_rng(1).normal(size=(300, 5)),
        np.ones((3, 2)),
    ],
    ids=["counts", "numbers", "equal"],
)
def test_sums_of_pairs_are_those_of_the_differences(values: np.ndarray) -> None:
    found = pair_sums(values)
    d = values[:, :, None] - values[:, None, :]
    for power, sums in ((1, found.d1), (2, found.d2), (4, found.d4)):
        assert sums == pytest.approx((d**power).sum(axis=0), rel=1e-12, abs=1e-10)


def test_sums_of_counts_are_exact() -> None:
    values = np.random.default_rng(2).integers(0, 76, (20_000, 3)).astype(float)
    d = (values[:, 0] - values[:, 2]).astype(np.int64)
    found = pair_sums(values)
    assert [found.d1[0, 2], found.d2[0, 2], found.d4[0, 2]] == [
        d.sum(), (d**2).sum(), (d**4).sum()
    ]  # fmt: skip


# Of the leaderboard: the table that has the same number, its column, and its rows.
SAME: dict[str, tuple[str, str, Row]] = {
    "clean": ("accuracy", "accuracy", {"test_set": "clean"}),
    "corruptions": ("accuracy", "accuracy", {"test_set": "corruptions"}),
    "renditions": ("accuracy", "accuracy", {"test_set": "renditions"}),
    "natural_adversarial": ("accuracy", "accuracy", {"test_set": "natural_adversarial"}),
    "mce": ("corruption_error", "mce", {"is_reference": False}),
    "robust": (
        "adversarial_accuracy",
        "accuracy",
        {"attack": "attack_ensemble", "is_final": True, "is_headline": True},
    ),
    "spatial": ("spatial_accuracy", "worst_of_grid", {}),
    "shape_bias": ("shape_bias", "shape_bias", {}),
    "calibration": (
        "calibration",
        "calibration_error",
        {"test_set": "clean", "corruption_severity": None},
    ),
}


@pytest.mark.parametrize("measure", list(SAME))
def test_a_value_and_its_interval_are_those_of_its_own_table(measure: str, made: Made) -> None:
    name, column, where = SAME[measure]
    own = {row["model"]: row for row in rows_where(made(name), **where)}
    rows = rows_where(made("leaderboard"), measure=measure)
    assert {row["model"] for row in rows} == set(own)
    for row in rows:
        expected = own[row["model"]]
        for end in ("", "_low", "_high"):
            assert row[f"value{end}"] == expected[f"{column}{end}"]
        assert row["num_images"] == expected["num_images"]


def test_every_measure_has_its_place_and_its_label(made: Made) -> None:
    table = made("leaderboard")
    found = list(dict.fromkeys(table["measure"].to_pylist()))
    assert found == list(registry.measures())
    labels = dict(
        zip(table["measure"].to_pylist(), table["measure_label"].to_pylist(), strict=True)
    )
    assert labels["robust"] == "Robust (Attack ensemble, 4/255)"
    assert len(set(labels.values())) == len(labels)
    averaged = {row["measure"] for row in rows_where(table, is_averaged=True)}
    assert averaged == {"corruptions", "renditions", "natural_adversarial", "robust", "spatial"}
    for row in rows_where(table, is_better_high=None):
        assert (row["rank"], row["rank_low"], row["rank_high"]) == (None, None, None)
        # Of facts, shape bias alone is measured on images.
        assert (row["value_low"] is None) == (row["measure"] != "shape_bias")
        assert (row["value"] is None) == (row["reason"] is not None)


def test_the_mean_under_perturbation_weighs_its_parts_alike(made: Made) -> None:
    table = made("leaderboard")
    parts = rows_where(table, is_averaged=True)
    for row in rows_where(table, measure="perturbed"):
        own = [part for part in parts if part["model"] == row["model"]]
        assert row["value"] == pytest.approx(np.mean([part["value"] for part in own]), abs=1e-12)
        # Test sets that depend on each other in any way do no worse than the mean of their errors.
        widest = np.mean([part["value_high"] - part["value_low"] for part in own])
        assert 0 < row["value_high"] - row["value_low"] < widest


@pytest.mark.parametrize("is_shared", [False, True])
def test_parts_of_the_mean_vary_together_on_the_same_images_alone(
    is_shared: bool, tmp_path: Path
) -> None:
    """Two test sets of 400 images: of others, the variances add; of the same, the deviations."""
    outcomes = {"a": "1" * 200 + "0" * 200, "b": "0" * 400}
    models = [resnet(model, label=model) for model in outcomes]
    rows = [row for model in outcomes for row in decided(model, "10" * 200)]
    for model, right in outcomes.items():
        rows += decided(model, right, perturbation="spatial", condition="grid")
        if is_shared:
            rows += decided(model, right, perturbation="corruptions", condition="fog", severity=1.0)
        else:
            rows += decided(model, right, dataset="art")
    row, other = _leaderboard(tmp_path, models, rows, "perturbed")
    assert (row["value"], other["value"]) == (0.5, 0)
    deviation = np.sqrt(0.25 / 400) * (1 if is_shared else np.sqrt(1 / 2))
    assert row["value_high"] - 0.5 == pytest.approx(1.96 * deviation, rel=0.01)
    assert row["num_images"] == (400 if is_shared else 800)
    assert (row["rank"], other["rank"], other["rank_low"]) == (1, 2, 2)
    # Nothing varies: what 400 or 800 images may hide.
    assert other["value_high"] == pytest.approx(1.96**2 / row["num_images"], rel=0.02)


def test_datasets_without_a_role_and_one_test_set_make_no_mean(tmp_path: Path) -> None:
    rows = [*decided("a", "1101"), *decided("a", "0001", dataset="small")]
    rows += decided("a", "1111", dataset="art")
    found = list(_leaderboard(tmp_path, [resnet("a")], rows, "perturbed"))
    assert found == []


def _both_ways(pairs: pa.Table) -> dict[tuple[str, str, str], tuple[float, float, float]]:
    """Return the difference of any two models by a measure, and its interval."""
    found = {}
    for row in pairs.to_pylist():
        ends = row["difference"], row["difference_low"], row["difference_high"]
        found[row["measure"], row["model_a"], row["model_b"]] = ends
        d, low, high = ends
        found[row["measure"], row["model_b"], row["model_a"]] = (-d, -high, -low)
    return found


@pytest.mark.parametrize(
    ("name", "first", "second", "difference"),
    [
        ("matched_pairs", "vit", "resnet", "difference"),
        ("patch_pairs", "large", "small", "patch_difference"),
    ],
)
def test_a_difference_is_that_of_the_comparisons(
    name: str, first: str, second: str, difference: str, made: Made
) -> None:
    measures = {"cue_conflict": "shape_bias", "attack_ensemble": "robust"}
    pairs = _both_ways(made("model_pairs"))
    known = {measure for measure, *_ in pairs}
    num_compared = 0
    for row in made(name).to_pylist():
        measure = measures.get(row["test_set"], row["test_set"])
        if measure in known:
            num_compared += 1
            expected = [row[f"{difference}{end}"] for end in ("", "_low", "_high")]
            found = pairs[measure, row[first], row[second]]
            assert found == pytest.approx(expected, abs=1e-12), measure
    assert num_compared >= 6 * 3


def test_a_difference_under_a_corruption_is_paired_by_image(study: Study, made: Made) -> None:
    models = "resnet-s-small", "vit-b8-large"
    right = np.array([_right_under(study, model, "fog") for model in models]).astype(float)
    d = (right[0] - right[1]) / 5
    sums = ", ".join(f"{(d**power).sum():.17g}::DOUBLE" for power in (1, 2, 4))
    low, high = (sql(f"contrast_{end}({sums}, {len(d)}, 1)") for end in ("low", "high"))
    found = _both_ways(made("model_pairs"))["corruption_fog", *models]
    assert found == pytest.approx((d.mean(), low, high), abs=1e-12)


def _right_under(study: Study, model: str, corruption: str) -> np.ndarray:
    """Return the number of severities at which a model is right on each image."""
    files = [path for path in study.predictions if {model, "corruptions"} <= set(path.parts)]
    tables = [pq.read_table(path, partitioning=None).to_pandas() for path in files]
    rows = [table[table["condition"] == corruption] for table in tables]
    return sum(table.set_index("image_id")["is_correct"].astype(int) for table in rows).to_numpy()


def test_a_difference_of_mce_is_drawn_at_its_estimate(made: Made) -> None:
    values = {row["model"]: row for row in rows_where(made("leaderboard"), measure="mce")}
    for row in rows_where(made("model_pairs"), measure="mce"):
        a, b = values[row["model_a"]], values[row["model_b"]]
        assert row["difference"] == pytest.approx(a["value"] - b["value"], abs=1e-12)
        middle = (row["difference_low"] + row["difference_high"]) / 2
        assert middle == pytest.approx(row["difference"], abs=1e-12)
        # What both have in common cancels: never wider than two independent values.
        unpaired = np.hypot(*(one["value_high"] - one["value"] for one in (a, b)))
        assert row["difference_high"] - row["difference"] < 1.25 * unpaired


def test_other_measures_have_the_interval_of_two_values(made: Made) -> None:
    values = {row["model"]: row for row in rows_where(made("leaderboard"), measure="calibration")}
    for row in rows_where(made("model_pairs"), measure="calibration"):
        a, b = values[row["model_a"]], values[row["model_b"]]
        low = np.hypot(a["value"] - a["value_low"], b["value_high"] - b["value"])
        high = np.hypot(a["value_high"] - a["value"], b["value"] - b["value_low"])
        d = a["value"] - b["value"]
        found = row["difference"], row["difference_low"], row["difference_high"]
        assert found == pytest.approx((d, d - low, d + high), abs=1e-12)
        assert not row["is_paired"]


def test_ranks_count_the_models_that_are_surely_better_and_surely_worse(made: Made) -> None:
    pairs = _both_ways(made("model_pairs"))
    for row in made("leaderboard").to_pylist():
        if row["rank"] is None or row["measure"] == "lesion_half_life":
            continue
        sign = 1 if row["is_better_high"] else -1
        own = [
            sorted(sign * end for end in ends[1:])
            for (measure, one, _), ends in pairs.items()
            if (measure, one) == (row["measure"], row["model"])
        ]
        assert row["rank_low"] == 1 + sum(high < 0 for _, high in own)
        assert row["rank_high"] == 1 + len(own) - sum(low > 0 for low, _ in own)
        assert row["rank_low"] <= row["rank"] <= row["rank_high"]


def test_equal_models_share_a_rank(tmp_path: Path) -> None:
    outcomes = {"a": "1" * 90 + "0" * 10, "b": "0" * 10 + "1" * 90, "c": "1" * 20 + "0" * 80}
    rows = [row for model, right in outcomes.items() for row in decided(model, right)]
    models = [resnet(model, label=model) for model in outcomes]
    found = {row["model"]: row for row in _leaderboard(tmp_path, models, rows)}
    ranks = {
        model: (row["rank"], row["rank_low"], row["rank_high"]) for model, row in found.items()
    }
    assert ranks == {"a": (1, 1, 2), "b": (1, 1, 2), "c": (3, 3, 3)}


def _leaderboard(
    folder: Path, models: list[Row], rows: list[Row], measure: str = "clean"
) -> Iterator[Row]:
    """Yield the rows of a measure of a study written down by hand."""
    for row in rows:
        row.update(confidence=0.5, loss=0.7)
    inventory = {"path": ["x"], "model": ["nobody"], "perturbation": ["none"]}
    pq.write_table(
        pa.table(inventory | {"num_rows": [1], "seconds": [1.0]}), folder / "inventory.pq"
    )
    facts = written(folder, models, rows, stimuli=[], reference_errors=[])
    sources = {**facts, "inventory": folder / "inventory.pq"}
    parameters = {"headline_epsilon": HEADLINE_EPSILON, "has_denominators": 0.0}
    needed = {name: sources[name] for name in TABLES["leaderboard"].sources}
    table = make_table("leaderboard", needed, parameters)
    yield from rows_where(table, measure=measure)


def test_one_model_is_the_first_of_one(tmp_path: Path) -> None:
    [row] = _leaderboard(tmp_path, [resnet("a")], decided("a", "1101"))
    assert (row["rank"], row["rank_low"], row["rank_high"]) == (1, 1, 1)


def test_a_dataset_without_a_role_is_a_measure_with_a_label_of_its_own(tmp_path: Path) -> None:
    rows = [*decided("a", "1101"), *decided("a", "0001", dataset="small")]
    [row] = _leaderboard(tmp_path, [resnet("a")], rows, "dataset:small")
    assert (row["measure_label"], row["value"], row["is_better_high"]) == ("Small", 0.25, True)


def test_runs_of_a_training_are_one_model_of_the_pairs(study: Study, tmp_path: Path) -> None:
    runs = with_runs(study.joined(), tmp_path)
    pairs, board = (table_of(runs, name) for name in ("model_pairs", "leaderboard"))
    names = {*pairs["model_a"].to_pylist(), *pairs["model_b"].to_pylist()}
    assert "vit-s8-small" in names
    assert "vit-s4-small" not in names  # its second run
    clean = {row["model"]: row for row in rows_where(board, measure="clean")}
    both = [clean[model] for model in ("vit-s8-small", "vit-s4-small")]
    found = _both_ways(pairs)["clean", "vit-s8-small", "resnet-s-small"]
    mean = np.mean([row["value"] for row in both])
    assert found[0] == pytest.approx(mean - clean["resnet-s-small"]["value"], abs=1e-12)
    assert both[0]["rank"] == both[1]["rank"]
    assert [row["entry"] for row in both] == ["vit-s8-small"] * 2
    assert both[0]["entry_value"] == both[1]["entry_value"] == pytest.approx(mean)
    spreads = {row["test_set"]: row for row in rows_where(table_of(runs, "training_runs"),
        entry="vit-s8-small")}  # fmt: skip
    for row in rows_where(board, model="vit-s8-small"):
        spread = spreads.get(row["measure"])
        if spread:
            for end in ("", "_low", "_high"):
                expected = pytest.approx(spread[f"accuracy{end}"], abs=1e-12)
                assert row[f"entry_value{end}"] == expected, row["measure"]
    assert len(spreads) > 5
    right = [_right_on_clean(study, model) for model in ("vit-s8-small", "vit-s4-small")]
    d = (right[0] + right[1]) / 2 - _right_on_clean(study, "resnet-s-small")
    sums = ", ".join(f"{(d**power).sum():.17g}::DOUBLE" for power in (1, 2, 4))
    between = np.var([row.mean() for row in right], ddof=1) / 2
    variance = f"contrast_variance({sums}, 60, 1) + {between:.17g}"
    centre = f"contrast_centre({sums.split(',')[0]}, 60)"
    freedom = f"total_freedom({variance}, {between:.17g}, freedom_part({between:.17g}, 1))"
    ends = [sql(f"interval_{end}({centre}, {variance}, {freedom})") for end in ("low", "high")]
    assert found[1:] == pytest.approx(ends, abs=1e-12)


def _right_on_clean(study: Study, model: str) -> np.ndarray:
    """Return 1 for each clean image that a model predicts correctly, else 0."""
    [file] = [path for path in study.predictions if path.parts[-4:-1] == (model, "shapes", "none")]
    return pq.read_table(file, partitioning=None).to_pandas()["is_correct"].to_numpy(float)


def test_a_model_that_lacks_images_is_refused(tmp_path: Path) -> None:
    rows = [*decided("a", "1101"), *decided("b", "110")]
    models = [resnet(model, label=model) for model in "ab"]
    with pytest.raises(ValueError, match="measure clean: a model lacks images that others have"):
        list(_leaderboard(tmp_path, models, rows))


def _lesions(model: str, right: dict[int, str]) -> list[Row]:
    """Return the predictions of a model without so many blocks, one set of each number."""
    return [
        row
        for removed, outcomes in right.items()
        for row in decided(
            model,
            outcomes,
            perturbation="lesions",
            condition="block",
            severity=float(removed),
            sample=1,
            removed=str(list(range(1, removed + 1)))[1:-1].replace(", ", "+"),
        )
    ]


@pytest.mark.parametrize(
    ("clean", "removed", "share"),
    [
        # Half of 0.8 lies midway between 0.6 and 0.2, of one and two of four blocks.
        ("1" * 8 + "0" * 2, {1: "1" * 6 + "0" * 4, 2: "1" * 2 + "0" * 8}, 1.5 / 4),
        # From 0.8 to 0.4 itself.
        ("1" * 8 + "0" * 2, {1: "1" * 4 + "0" * 6}, 1 / 4),
        # From the unchanged network: 0.8 to 0 passes 0.4 midway.
        ("1" * 8 + "0" * 2, {1: "0" * 10}, 0.5 / 4),
    ],
)
def test_the_half_life_is_where_half_of_the_accuracy_is_left(
    clean: str, removed: dict[int, str], share: float, tmp_path: Path
) -> None:
    [row] = _leaderboard(
        tmp_path,
        [vit("a", 8, num_blocks=4)],
        [*decided("a", clean * 20), *_lesions("a", {k: v * 20 for k, v in removed.items()})],
        "lesion_half_life",
    )
    assert row["value"] == pytest.approx(share, abs=1e-12)
    assert 0 <= row["value_low"] < share < row["value_high"] <= 1
    assert row["reason"] is None


@pytest.mark.parametrize(
    ("clean", "removed", "low", "reason"),
    [
        (
            "1" * 40,
            "1" * 36 + "0" * 4,
            1 / 4,
            "more than half of the accuracy is left without 1 of 4",
        ),
        ("0" * 40, "0" * 40, None, "no unchanged image is predicted correctly"),
    ],
)
def test_a_model_without_a_half_life_says_why(
    clean: str, removed: str, low: float | None, reason: str, tmp_path: Path
) -> None:
    rows = [*decided("a", clean), *_lesions("a", {1: removed})]
    [row] = _leaderboard(tmp_path, [vit("a", 8, num_blocks=4)], rows, "lesion_half_life")
    assert row["value"] is None
    assert row["rank"] is None
    assert row["value_low"] == low
    assert re.match(reason, row["reason"])


def test_a_half_life_that_is_only_a_lower_end_leaves_no_rank(tmp_path: Path) -> None:
    removed = {"a": "1" * 36 + "0" * 4, "b": "1" * 10 + "0" * 30, "c": "1" * 5 + "0" * 35}
    models = [vit(model, 8, num_blocks=4, label=model) for model in removed]
    rows = [row for model in removed for row in decided(model, "1" * 40)]
    rows += [row for model, right in removed.items() for row in _lesions(model, {1: right})]
    found = list(_leaderboard(tmp_path, models, rows, "lesion_half_life"))
    assert [row["value"] is None for row in found] == [True, False, False]
    assert [row["rank"] for row in found] == [None] * 3
    assert all(row["rank_low"] <= row["rank_high"] for row in found)
    assert [row["entry_value"] for row in found] == [row["value"] for row in found]
    assert found[0]["entry_value_low"] == pytest.approx(found[0]["value_low"])


# Of the accuracies under each condition: the table that has the same, its columns and its rows.
CONDITIONS: list[tuple[str, str, str, Row, Row]] = [
    ("corruption_accuracy", "accuracy", "severity", {"corruption": "fog"}, {"condition": "fog"}),
    (
        "adversarial_accuracy",
        "accuracy",
        "epsilon",
        {"attack": "attack_ensemble", "condition": "square"},
        {"perturbation": "attack_ensemble", "condition": "square"},
    ),
    (
        "lesions",
        "accuracy",
        "num_removed",
        {"part": "mlp"},
        {"perturbation": "lesions", "condition": "mlp"},
    ),
    ("weight_noise", "accuracy", "noise_scale", {}, {"perturbation": "weight_noise"}),
]


@pytest.mark.parametrize(("name", "column", "severity", "where", "same"), CONDITIONS)
def test_an_accuracy_under_a_condition_is_that_of_its_own_table(
    name: str, column: str, severity: str, where: Row, same: Row, made: Made
) -> None:
    own = {(row["model"], row[severity]): row for row in rows_where(made(name), **where)}
    rows = rows_where(made("model_conditions"), **same)
    assert len(rows) > 5
    for row in rows:
        expected = own[row["model"], row["severity"]]
        for end in ("", "_low", "_high"):
            assert row[f"accuracy{end}"] == pytest.approx(expected[f"{column}{end}"], abs=1e-12)
        assert row["num_images"] == expected["num_images"]


def test_samples_of_an_image_are_one_observation(made: Made) -> None:
    own = {row["model"]: row for row in made("spatial_accuracy").to_pylist()}
    rows = rows_where(made("model_conditions"), perturbation="spatial", condition="random")
    for row in rows:
        expected = own[row["model"]]
        for end in ("", "_low", "_high"):
            assert row[f"accuracy{end}"] == pytest.approx(expected[f"grid_mean{end}"], abs=1e-12)
        assert row["clean_accuracy"] == expected["clean_accuracy"]
        assert row["num_images"] == expected["num_images"]


def test_a_condition_has_its_labels_and_the_same_images_unchanged(made: Made) -> None:
    table = made("model_conditions")
    for perturbation, condition, severity, label, severity_label in (
        ("none", "none", 0, "Unchanged", None),
        ("lesions", "mlp", 1, "MLP", "1 removed"),
        ("corruptions", "jpeg_compression", 3, "JPEG compression", "severity 3"),
        ("corruptions", "gaussian_noise", 5, "Gaussian noise", "severity 5"),
        ("pgd", "pgd", HEADLINE_EPSILON, "PGD", "4/255"),
        ("transfer", "vit-s8-large", HEADLINE_EPSILON, "ViT-S/8 (Large)", "4/255"),
    ):
        rows = rows_where(table, perturbation=perturbation, condition=condition, severity=severity)
        assert {row["condition_label"] for row in rows} == {label}, condition
        assert {row["severity_label"] for row in rows} == {severity_label}, condition
    clean = {
        row["model"]: row["accuracy"] for row in rows_where(made("accuracy"), test_set="clean")
    }
    for row in table.to_pylist():
        if (row["dataset"], row["perturbation"]) in (("shapes", "none"), ("shapes", "corruptions")):
            assert row["clean_accuracy"] == clean[row["model"]]
        if row["dataset"] != "shapes":
            assert row["clean_accuracy"] is None
    keys = ("model", "dataset", "perturbation", "condition", "severity")
    assert len({tuple(row[key] for key in keys) for row in table.to_pylist()}) == table.num_rows


def test_a_unit_that_no_page_knows_is_refused() -> None:
    found = {"a": Experiment("A", measures=(Measure("one", "One", 1, unit="percent"),))}
    with pytest.raises(ValueError, match="unit of measure 'one' is 'percent'; allowed: fraction,"):
        check_declarations(found)


def test_measures_have_places_of_their_own() -> None:
    places = [measure.position for measure in registry.measures().values()]
    assert len({*places, 6}) == len(places) + 1  # 6: datasets without a role
