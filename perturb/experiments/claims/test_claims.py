"""Slopes, pairs, correlations and verdicts against independent computations."""

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from benchmarks.coverage_of_rank_correlation import Case, simulated
from perturb.experiments.claims import spearman
from perturb.experiments.claims.statistics import RankCorrelation, rank_correlation
from tests.hand_made import decided, resnet, vit, written
from tests.interval_oracles import contrast
from tests.study_tables import TABLES, claims_of, rows_where, sql, table_of
from tests.synthetic_study import Study, make_study

PAPER_GRID = [
    ("resnet", "50x1", None, 23_000_000, 1.5),
    ("resnet", "152x4", None, 965_000_000, 2.0),
    ("vit", "B", 32, 88_000_000, 1.3),
    ("vit", "B", 16, 86_000_000, 1.5),
    ("vit", "L", 32, 307_000_000, 1.5),
    ("vit", "L", 16, 305_000_000, 1.8),
    ("vit", "H", 14, 632_000_000, 2.0),
]


@pytest.mark.parametrize(
    ("low", "high", "side", "threshold", "expected"),
    [
        (0.6, 0.9, "above", 0.5, "supported"),
        (0.4, 0.9, "above", 0.5, "undecided"),
        (0.1, 0.4, "above", 0.5, "contradicted"),
        (-0.3, -0.1, "below", 0.0, "supported"),
        (-0.3, 0.1, "below", 0.0, "undecided"),
        (0.1, 0.3, "below", 0.0, "contradicted"),
        ("NULL", "NULL", "below", 0.0, "not testable"),
        # An interval end on the threshold is not beyond it.
        (0.5, 0.9, "above", 0.5, "undecided"),
    ],
)
def test_verdict(low: object, high: object, side: str, threshold: float, expected: str) -> None:
    assert sql(f"verdict({low}, {high}, '{side}', {threshold})") == expected


def test_slope_equals_a_line_fit_and_its_interval_a_bootstrap(tmp_path: Path) -> None:
    study = make_study(tmp_path, num_images=300, architectures=PAPER_GRID, pretraining=["JFT"])
    table = table_of(study, "scaling")
    [row] = rows_where(table, test_set="renditions", family_label="ViT")
    # The points of the paper's Figure 4.
    names = ["vit-b16-jft", "vit-h14-jft", "vit-l16-jft"]
    assert row["models"] == ", ".join(names)
    wrong = np.stack([_wrong(study, name, "renditions") for name in names])
    size = np.log10([86e6, 632e6, 305e6])
    slope = np.polyfit(size, np.log10(wrong.mean(1)), 1)[0]
    assert row["slope"] == pytest.approx(slope, abs=1e-9)
    random = np.random.default_rng(2)
    drawn = [wrong[:, random.integers(300, size=300)].mean(1) for _ in range(2000)]
    deviation = np.polyfit(size, np.log10(drawn).T, 1)[0].std()
    assert row["slope_high"] - row["slope"] == pytest.approx(1.96 * deviation, rel=0.06)
    [other] = rows_where(table, test_set="renditions", family_label="ResNet")
    [difference] = rows_where(table, test_set="renditions", is_difference=True)
    assert difference["slope"] == pytest.approx(row["slope"] - other["slope"], abs=1e-9)
    assert difference["num_models"] == 5


def _wrong(study: Study, model: str, dataset: str) -> np.ndarray:
    [path] = [path for path in study.predictions if {model, dataset, "none"} <= set(path.parts)]
    return ~pq.read_table(path)["is_correct"].to_numpy()


def test_fitted_points_lie_on_the_line(made: Callable[[str], pa.Table]) -> None:
    points = made("scaling_models").to_pandas()
    assert set(points["pretraining"]) == {"large"}
    assert set(points.loc[~points["is_fitted"], "architecture_label"]) == {"ViT-S/4"}
    # Through two points a line passes exactly.
    fitted = points[points["is_fitted"]]
    assert np.allclose(fitted["fitted_error"], fitted["error"], atol=1e-12)


def test_matched_pairs_are_paired_by_image(study: Study, made: Callable[[str], pa.Table]) -> None:
    table = made("matched_pairs")
    [row] = rows_where(table, vit="vit-b8-large", test_set="renditions")
    assert row["resnet"] == "resnet-b-large"
    difference = _wrong(study, row["resnet"], "renditions").astype(float)
    difference -= _wrong(study, row["vit"], "renditions")
    assert row["difference"] == pytest.approx(difference.mean(), abs=1e-12)
    found = row["difference_low"], row["difference_high"]
    assert found == pytest.approx(contrast(difference), abs=1e-12)


def test_sizes_without_a_common_name_are_matched_by_parameters(tmp_path: Path) -> None:
    study = make_study(tmp_path, num_images=4, architectures=PAPER_GRID, pretraining=["JFT"])
    pairs = {(row["vit"], row["resnet"]) for row in table_of(study, "matched_pairs").to_pylist()}
    # ViT-B's 86 M are further than a factor of three from both ResNets.
    assert pairs == {("vit-h14-jft", "resnet-152x4-jft")}


def test_claims_agree_with_the_tables_that_they_summarise(made: Callable[[str], pa.Table]) -> None:
    table = made("claims")
    pairs = rows_where(
        made("matched_pairs"),
        pretraining_label="Large",
        test_set="corruptions",
        is_series=True,
    )
    [second] = rows_where(table, claim="C2", test_set="corruptions")
    assert second["estimate"] == pytest.approx(np.mean([pair["difference"] for pair in pairs]))
    [fourth] = rows_where(table, claim="C4", test_set="clean")
    [scaling] = rows_where(made("scaling"), test_set="clean", is_difference=True)
    assert (fourth["estimate"], fourth["estimate_low"]) == (scaling["slope"], scaling["slope_low"])
    accuracy = made("accuracy").to_pandas()
    wide = accuracy.pivot(index="model", columns="test_set", values="accuracy")
    [first] = rows_where(table, claim="C1", test_set="renditions")
    rho = wide["clean"].rank().corr(wide["renditions"].rank())
    assert first["estimate"] == pytest.approx(rho, abs=1e-12)
    assert first["num_models"] == 15


@pytest.mark.parametrize(
    ("claim", "table", "column", "where"),
    [
        ("C5", "matched_pairs", "difference", {"test_set": "fgsm", "pretraining_label": "Large"}),
        ("C6", "matched_pairs", "difference", {"test_set": "pgd", "pretraining_label": "Large"}),
        ("C9", "patch_pairs", "patch_difference", {"test_set": "cue_conflict"}),
    ],
)
def test_claims_on_attacks_are_means_of_pairs(
    made: Callable[[str], pa.Table], claim: str, table: str, column: str, where: dict[str, str]
) -> None:
    rows = rows_where(made(table), **where)
    pairs = [row[column] for row in rows if row.get("is_series", True)]
    found = rows_where(made("claims"), claim=claim, part="a")[0]
    assert found["test_set"] == where["test_set"]
    assert found["estimate"] == pytest.approx(np.mean(pairs), abs=1e-12)


def test_claim_on_the_spatial_attack_is_about_patches(
    study: Study, made: Callable[[str], pa.Table]
) -> None:
    first, second = rows_where(made("claims"), claim="C7")
    right = {}
    for path in study.predictions:
        if "spatial" in path.parts:
            shard = pq.read_table(path).to_pandas()
            shard = shard[shard["condition"].astype(str) == "grid"].sort_values("image_id")
            right[shard["model"].iloc[0]] = shard["is_correct"].to_numpy(float)
    sets = ("small", "medium", "large")
    matched = np.mean([right[f"vit-s4-{name}"] - right[f"resnet-s-{name}"] for name in sets], 0)
    patches = np.mean([right[f"vit-s8-{name}"] - right[f"vit-s4-{name}"] for name in sets], 0)
    for row, images in ((first, matched), (second, patches)):
        assert row["estimate"] == pytest.approx(images.mean(), abs=1e-12)
        found = row["estimate_low"], row["estimate_high"]
        assert found == pytest.approx(contrast(images), abs=1e-12)
        assert row["num_models"] == 6


def test_claims_that_a_study_cannot_test_say_why(tmp_path: Path) -> None:
    study = make_study(
        tmp_path,
        num_images=8,
        architectures=[("vit", "S", 8, 100_000, 1.0)],
        pretraining=["Small"],
        extras=("fgsm", "pgd", "patterns"),
    )
    table = table_of(study, "claims")
    rows = [row for row in table.to_pylist() if (row["claim"], row["part"]) != ("C8", "b")]
    assert len(rows) == 35
    assert {row["verdict"] for row in rows} == {"not testable"}
    assert all(row["reason"] and row["estimate"] is None for row in rows)
    reasons = {(row["claim"], row["part"], row["test_set"]): row["reason"] for row in rows}
    assert reasons["C1", "a", "corruptions"] == "needs 7 models, this study has 1"
    assert reasons["C6", "a", "pgd"] == "no such models in this study"
    assert reasons["C6", "a", "attack_ensemble"] == "not part of this study"
    assert reasons["C7", "b", "spatial"] == "not part of this study"
    assert reasons["C8", "a", "patterns"] == "no such models in this study"
    assert reasons["C9", "a", "cue_conflict"] == "not part of this study"
    assert reasons["C10", "a", "pearson_all"] == "not part of this study"
    assert reasons["C12", "b", "lesions"] == "not part of this study"
    assert table_of(study, "scaling").num_rows == 0


@pytest.mark.parametrize("epsilon", [None, 0.5])
def test_attacks_at_another_epsilon_test_no_claim(study: Study, epsilon: float | None) -> None:
    table = claims_of(study.sources(*TABLES["claims"].sources), epsilon)
    reasons = {row["reason"] for row in table.to_pylist() if row["claim"] in ("C5", "C6")}
    assert reasons == {"not run at the epsilon that models are compared at"}
    assert all(row["verdict"] != "not testable" for row in rows_where(table, claim="C7"))


def test_models_that_no_image_distinguishes_support_little(tmp_path: Path) -> None:
    """If none of four images stays correct under attack, a lost advantage is hardly shown."""
    broken = {"perturbation": "pgd", "severity": 4 / 255}
    models = [vit("a", 8), resnet("b")]
    predictions = [
        row
        for model in ("a", "b")
        for row in (*decided(model, "1110"), *decided(model, "0000", **broken))
    ]
    table = claims_of(written(tmp_path, models, predictions), 4 / 255)
    [row] = rows_where(table, test_set="pgd")
    assert row["estimate"] == 0
    assert row["verdict"] in ("undecided", "not testable")


def test_corrupted_images_may_be_some_of_the_clean_ones(tmp_path: Path) -> None:
    """Relative CE and rank correlation compare the corrupted images only."""
    study = make_study(tmp_path, num_images=80, num_corrupted=60, extras=()).with_reference()
    rows = table_of(study, "accuracy").to_pandas().groupby("test_set")["num_images"].first()
    assert (rows["clean"], rows["corruptions"]) == (80, 60)
    [row] = rows_where(table_of(study, "corruption_error"), model="reference")
    assert row["num_images"] == 60
    assert row["mce"] == pytest.approx(1, abs=1e-12)
    assert row["relative_mce"] == pytest.approx(1, abs=1e-12)
    [first] = rows_where(table_of(study, "claims"), claim="C1", test_set="corruptions")
    assert (first["num_images"], first["num_models"]) == (60, 15)


# Fractions of the variance between models that images alone give: none, as of endless images.
EXACT = {"clean": 0.0, "perturbed": 0.0}


def test_rank_correlation_averages_ties() -> None:
    values = np.array([[1.0, 2.0, 2.0, 3.0], [1.0, 3.0, 2.0, 4.0]])
    found = rank_correlation(values[:1], values[1:])
    ranks = pd.DataFrame(values.T).rank()
    assert found.estimate == pytest.approx(ranks[0].corr(ranks[1]))
    equal = rank_correlation(np.ones((2, 4)), values[1:])
    assert np.isnan(equal.estimate)
    assert not equal.has_interval


def test_one_image_says_nothing_of_others() -> None:
    values = np.arange(7.0)[None]
    assert not rank_correlation(values, np.repeat(values, 2, axis=0)).has_interval
    assert not rank_correlation(np.repeat(values, 2, axis=0), values).has_interval


def test_simulated_rank_correlations_have_their_known_mean() -> None:
    """Kendall and Gibbons give the mean of samples of M from a bivariate normal distribution."""
    for num_models in (7, 30):
        found = spearman._samples(num_models).mean(1)
        pearson = np.tanh(spearman._GRID)
        terms = (num_models - 2) * np.arcsin(pearson / 2) + np.arcsin(pearson)
        assert found == pytest.approx(6 / np.pi * terms / (num_models + 1), abs=0.012)


def test_ends_of_rank_correlations_are_populations_in_which_they_are_rare() -> None:
    ends = RankCorrelation(0.8, 12, **EXACT).interval
    random = np.random.default_rng(3)
    for rho, side in zip(ends, (1, -1), strict=True):
        pearson = 2 * np.sin(np.pi * rho / 6)
        both = random.multivariate_normal([0, 0], [[1, pearson], [pearson, 1]], (20_000, 12))
        first, second = both.argsort(1).argsort(1).transpose(2, 0, 1).astype(float)
        found = 1 - 6 * ((first - second) ** 2).sum(1) / (12**3 - 12)
        rare = np.mean(side * (found - 0.8) >= -1e-9)
        assert rare == pytest.approx(0.025, abs=0.006)


def test_rank_correlations_of_different_models_are_refused() -> None:
    with pytest.raises(ValueError, match="models: 3 clean, 4 perturbed"):
        rank_correlation(np.ones((2, 3)), np.ones((2, 4)))


@pytest.mark.parametrize("num_models", [7, 9, 15, 30])
@pytest.mark.parametrize("rho", [0.5, 0.94, 0.97, 0.99])
def test_exact_rank_correlations_cover(num_models: int, rho: float) -> None:
    """Of values without noise, other samples than those of which the interval is made."""
    random = np.random.default_rng(11)
    pearson = 2 * np.sin(np.pi * rho / 6)
    first, rest = random.standard_normal((2, 4000, num_models))
    second = pearson * first + np.sqrt(1 - pearson**2) * rest
    ranks = [values.argsort(1).argsort(1) for values in (first, second)]
    squares = ((ranks[0] - ranks[1]) ** 2).sum(1)
    values, counts = np.unique(1 - 6 * squares / (num_models**3 - num_models), return_counts=True)
    ends = [RankCorrelation(value, num_models, **EXACT).interval for value in values]
    below, above = (np.array(end) for end in zip(*ends, strict=True))
    assert counts[(below <= rho) & (rho <= above)].sum() / 4000 > 0.94
    for missed in (below > rho, above < rho):
        assert counts[missed].sum() / 4000 < 0.032


def test_noise_of_images_widens_the_upper_end_alone() -> None:
    """A low correlation of noisy accuracies does not contradict a high one of exact ones."""
    ends = [RankCorrelation(0.3, 15, noise, noise).interval for noise in (0.0, 0.1, 0.2, 0.6)]
    assert len({low for low, _ in ends}) == 1
    highs = [high for _, high in ends]
    assert highs == sorted(highs)
    assert highs[-1] == 1.0
    # Models in one order on both sets exclude no perfect correlation.
    assert RankCorrelation(1.0, 30, **EXACT).interval[1] == 1.0


def test_noise_that_both_sets_share_lowers_the_lower_end_alone() -> None:
    apart, together = (RankCorrelation(0.6, 20, 0.1, 0.1, shared) for shared in (0.0, 0.08))
    assert together.interval[0] == pytest.approx(apart.interval[0] - 0.08, abs=1e-12)
    assert together.interval[1] == apart.interval[1]
    # Noise that takes models apart is not added.
    assert RankCorrelation(0.6, 20, 0.1, 0.1, -0.08).interval == apart.interval
    assert RankCorrelation(-0.95, 5, 0.5, 0.5, 0.4).interval[0] == -1
    assert RankCorrelation(-1.0, 5, **EXACT).interval[0] == -1


def test_shared_noise_is_the_covariance_over_the_same_images() -> None:
    random = np.random.default_rng(0)
    clean = (random.random((50, 8)) < np.linspace(0.5, 0.9, 8)).astype(float)
    perturbed = clean * (random.random((50, 8)) < 0.8)
    found = rank_correlation(clean, perturbed, same_images=True).shared
    # Images that every model has in common cancel.
    own = [values - values.mean(1, keepdims=True) for values in (clean, perturbed)]
    covariance = sum(np.cov(own[0][:, m], own[1][:, m])[0, 1] for m in range(8)) / 50 / 7
    deviations = clean.mean(0).std(ddof=1) * perturbed.mean(0).std(ddof=1)
    assert found == pytest.approx(covariance / deviations, rel=1e-9)
    assert found > 0
    assert rank_correlation(clean, perturbed).shared == 0


@pytest.mark.parametrize("estimate", [-0.4, 0.2, 0.62, 0.9, 1.0])
@pytest.mark.parametrize(("noise", "shared"), [(0.0, 0.0), (0.05, 0.0), (0.05, 0.03)])
def test_p_values_of_rank_correlations_agree_with_intervals(
    estimate: float, noise: float, shared: float
) -> None:
    found = RankCorrelation(estimate, 10, noise, noise / 2, shared)
    low, high = found.interval
    for threshold in np.linspace(-0.95, 0.95, 39):
        assert (found.p_value(threshold) < 0.05) == (not low <= threshold <= high)
    assert found.p_value(low) == pytest.approx(0.05, abs=1e-9)
    if high < 1:
        assert found.p_value(high) == pytest.approx(0.05, abs=1e-9)


def test_seven_models_seldom_agree_by_chance() -> None:
    """Of all orders of seven unrelated models, less than 2.5 % support rho above 0.5."""
    clean = np.arange(7.0)
    found = {
        order: RankCorrelation(float(stats.spearmanr(clean, order).statistic), 7, **EXACT)
        for order in list(permutations(range(7)))[::7]
    }
    assert np.mean([each.interval[0] > 0.5 for each in found.values()]) < 0.025


@pytest.mark.parametrize("rho", [0.5, 0.97, 1.0])
def test_rank_correlations_of_noisy_accuracies_cover(rho: float) -> None:
    """One part of the table of coverage; 200 studies of .95 have less than 92 % by 1 in 30."""
    found = simulated(Case(num_models=10, num_images=300, rho=rho, spread=0.3), 200)
    assert found["covers"] >= 0.92
    assert found["contradicts"] <= 0.05


def test_rank_correlations_on_the_same_images_cover() -> None:
    """Without the correction 0.78 of such studies cover, as their sets share the images' errors."""
    found = simulated(Case(num_models=30, num_images=240, rho=0.0, spread=0.02, kept=0.9), 100)
    assert found["covers"] >= 0.9
