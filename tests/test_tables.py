"""Numbers of the tables against brute force and published values."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.experiments.corruptions.names import BENCHMARK_CORRUPTIONS, CORRUPTIONS
from perturb.tables.run import make_table
from tests.hand_made import counted, decided, resnet, written
from tests.interval_oracles import clustered, line_half_width
from tests.study_tables import Z95, rows_where, sql, table_of
from tests.synthetic_study import Study, make_study

DIVIDED = {"has_denominators": 1.0}

ALEXNET = Path(__file__).parent.parent / "resources" / "alexnet_errors.csv"


@pytest.fixture(scope="module")
def predictions(study: Study) -> pd.DataFrame:
    return pa.concat_tables([pq.read_table(path) for path in study.predictions]).to_pandas()


def per_image(predictions: pd.DataFrame, model: str, conditions: Sequence[str]) -> np.ndarray:
    """Return the fraction of wrong predictions, (corruptions, images), images in order."""
    own = predictions[(predictions["model"] == model) & (predictions["dataset"] == "shapes")]
    wrong = own.assign(wrong=~own["is_correct"])
    means = wrong.groupby(["condition", "image_id"], observed=True)["wrong"].mean().unstack()
    return means.loc[list(conditions)].to_numpy()


# The first four: Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 1 - 0.1611, 1.0),
    ],
)
def test_wilson_interval_has_published_values(
    successes: int, trials: int, low: float, high: float
) -> None:
    assert sql(f"wilson_low({successes}, {trials})") == pytest.approx(low, abs=5e-5)
    assert sql(f"wilson_high({successes}, {trials})") == pytest.approx(high, abs=5e-5)


def test_accuracy_of_single_predictions(
    made: Callable[[str], pa.Table], predictions: pd.DataFrame
) -> None:
    table = made("accuracy")
    [row] = rows_where(table, model="vit-b8-large", test_set="renditions")
    own = predictions[
        (predictions["model"] == row["model"]) & (predictions["dataset"] == "renditions")
    ]
    own = own[own["perturbation"] == "none"]
    assert row["num_images"] == row["num_predictions"] == len(own)
    assert row["accuracy"] == own["is_correct"].mean()
    assert row["interval"] == "Wilson"
    assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]


def test_accuracy_under_corruptions_is_clustered_by_image(
    made: Callable[[str], pa.Table], predictions: pd.DataFrame
) -> None:
    [row] = rows_where(made("accuracy"), model="vit-b8-large", test_set="corruptions")
    # Every image under 15 x 5 conditions; the four extra corruptions are not in the mean.
    right = 1 - per_image(predictions, "vit-b8-large", BENCHMARK_CORRUPTIONS).mean(0)
    ends = clustered(75 * right, 75)
    assert row["num_predictions"] == 75 * len(right)
    assert row["accuracy"] == pytest.approx(right.mean(), abs=1e-12)
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(ends, abs=1e-9)
    unclustered = math.sqrt(right.mean() * (1 - right.mean()) / (75 * len(right)))
    assert ends.high - ends.low > 2 * 2 * 1.96 * unclustered


def test_corruption_error_equals_brute_force_and_bootstrap(
    made: Callable[[str], pa.Table], predictions: pd.DataFrame
) -> None:
    reference = made("reference_errors").to_pandas()
    sums = reference.groupby("corruption")["error"].sum()
    [row] = rows_where(made("corruption_error"), model="resnet-s-small")
    wrong = 5 * per_image(predictions, "resnet-s-small", BENCHMARK_CORRUPTIONS)
    clean = per_image(predictions, "resnet-s-small", ["none"])[0]
    denominators = sums[list(BENCHMARK_CORRUPTIONS)].to_numpy()[:, None]
    ce = wrong / denominators  # (15, images)
    relative = (wrong - 5 * clean) / (denominators - 5 * sums["none"])
    assert row["mce"] == pytest.approx(ce.mean(), abs=1e-12)
    assert row["relative_mce"] == pytest.approx(relative.mean(), abs=1e-12)
    assert row["clean_error"] == clean.mean()
    random = np.random.default_rng(1)
    drawn = random.integers(ce.shape[1], size=(2000, ce.shape[1]))
    shares = np.mean(5 / denominators * np.maximum(1, ce.mean(1, keepdims=True)))
    rises = denominators - 5 * sums["none"]
    relative_shares = np.mean(5 / rises * (1 + abs(relative.mean(1, keepdims=True))))
    for name, influence, reach in (
        ("mce", ce.mean(0), shares),
        ("relative_mce", relative.mean(0), relative_shares),
    ):
        half_width = row[f"{name}_high"] - row[name]
        assert half_width == pytest.approx(line_half_width(influence, reach), abs=1e-12)
        # The images that join for the variance widen it.
        deviation = influence[drawn].mean(1).std(ddof=1)
        assert 0.97 < half_width / (1.96 * deviation) < 1.12


def test_errors_of_a_reference_on_the_same_images_are_no_constants(
    study: Study, predictions: pd.DataFrame
) -> None:
    """What the model and the reference have in common cancels; a bootstrap of both agrees."""
    whole = study.with_reference().joined("whole")
    predictions = pd.concat([predictions, *map(pd.read_parquet, study.reference)])
    predictions = predictions[predictions["dataset"] == "shapes"]
    model, reference = (
        per_image(predictions, name, ["none", *BENCHMARK_CORRUPTIONS])
        for name in ("resnet-s-small", "reference")
    )
    [row] = rows_where(table_of(whole, "corruption_error"), model="resnet-s-small")
    ratios = model[1:].mean(1, keepdims=True) / reference[1:].mean(1, keepdims=True)
    means = reference[1:].mean(1, keepdims=True)
    influence = ((model[1:] - ratios * reference[1:]) / means).mean(0)
    reach = (np.maximum(1, ratios) / means).mean()
    half_width = row["mce_high"] - row["mce"]
    assert half_width == pytest.approx(line_half_width(influence, reach), abs=1e-12)
    random = np.random.default_rng(1)
    drawn = random.integers(model.shape[1], size=(2000, model.shape[1]))
    resampled = model[1:, drawn].mean(2) / reference[1:, drawn].mean(2)
    # 3.8 images join the 60 for the variance.
    assert 1 < half_width / (1.96 * resampled.mean(0).std()) < 1.2
    for ce in rows_where(table_of(whole, "corruption_means"), model="resnet-s-small"):
        if ce["is_benchmark"]:
            deviation = resampled[BENCHMARK_CORRUPTIONS.index(ce["corruption"])].std()
            assert 0.9 < (ce["ce_high"] - ce["ce"]) / (1.96 * deviation) < 1.3


@pytest.mark.parametrize("near", [False, True], ids=["far from 0", "near 0"])
def test_relative_errors_over_a_measured_reference_have_fiellers_interval(
    near: bool, tmp_path: Path
) -> None:
    """Every corruption reaches as far as Fieller's interval; near 0 nothing bounds a ratio."""
    random = np.random.default_rng(0)
    names = ["none", *BENCHMARK_CORRUPTIONS]
    levels = {"model": [0.7] + [0.5] * 15, "reference": [0.8] + [0.65] * 15}
    levels["reference"][1] = 0.79 if near else 0.65
    difficulty = random.random(240)
    rows = []
    for model, chances in levels.items():
        for name, chance in zip(names, chances, strict=True):
            for severity in range(1, 6 if name != "none" else 2):
                right = 0.7 * difficulty + 0.3 * random.random(240) < chance
                what = {"perturbation": "corruptions", "severity": float(severity)}
                what = what | {"condition": name} if name != "none" else {}
                rows += decided(model, "".join(map(str, right.astype(int))), **what)
    sources = written(tmp_path, [resnet("model"), resnet("reference", is_reference=True)], rows)
    pq.write_table(make_table("reference_errors", sources), tmp_path / "errors.parquet")
    sources |= {"reference_errors": tmp_path / "errors.parquet"}
    [row] = rows_where(make_table("corruption_error", sources, DIVIDED), model="model")
    frame = pd.DataFrame(rows)
    frame["wrong"] = ~frame["is_correct"]
    counts = frame.groupby(["model", "condition", "image_id"])["wrong"].sum()
    added = {
        model: np.stack([counts[model, name] - 5 * counts[model, "none"] for name in names[1:]])
        for model in levels
    }
    parts = [
        fieller_parts(above, below)
        for above, below in zip(added["model"], added["reference"], strict=True)
    ]
    assert row["relative_mce"] == pytest.approx(np.mean([part[0] for part in parts]), abs=1e-9)
    if near:
        assert row["relative_mce_low"] is row["relative_mce_high"] is None
        return
    ratios = np.array([part[0] for part in parts])
    reach = np.mean(5 / added["reference"].mean(1) * (1 + abs(ratios)))
    for end, sign, place in (("low", -1, 1), ("high", 1, 2)):
        influence = np.mean([part[place] * part[3] for part in parts], axis=0)
        expected = row["relative_mce"] + sign * line_half_width(influence, reach)
        assert row[f"relative_mce_{end}"] == pytest.approx(expected, abs=1e-9)
    assert row["relative_mce_high"] - row["relative_mce"] > (
        row["relative_mce"] - row["relative_mce_low"]
    )


def fieller_parts(above: np.ndarray, below: np.ndarray) -> tuple[float, float, float, np.ndarray]:
    """Return a ratio of means, its distances to Fieller's ends in half-widths, and influences.

    The ends are the roots of (above - ratio * below)^2 = z^2 * its variance.
    """
    (va, cov), (_, vb) = np.cov(above, below) / len(above)
    ratio = above.mean() / below.mean()
    square = below.mean() ** 2 - Z95**2 * vb
    middle = above.mean() * below.mean() - Z95**2 * cov
    last = above.mean() ** 2 - Z95**2 * va
    low, high = sorted(np.roots([square, -2 * middle, last]).real)
    influence = (above - ratio * below) / below.mean()
    half_width = Z95 * influence.std(ddof=1) / math.sqrt(len(above))
    return ratio, (ratio - low) / half_width, (high - ratio) / half_width, influence


def test_mce_is_the_mean_of_the_benchmarks_ce(made: Callable[[str], pa.Table]) -> None:
    means = made("corruption_means").to_pandas()
    own = means[means["is_benchmark"]].groupby("model")["ce"].mean()
    for row in made("corruption_error").to_pylist():
        assert own[row["model"]] == pytest.approx(row["mce"], abs=1e-12)


@pytest.mark.parametrize(
    "part", [{"corruptions": CORRUPTIONS[:14]}, {"severities": (1, 2, 3, 4)}], ids=str
)
def test_a_mean_over_fewer_corruptions_or_severities_is_not_called_mce(
    part: dict[str, Sequence[str]], tmp_path: Path
) -> None:
    for row in table_of(make_study(tmp_path, **part), "corruption_error").to_pylist():
        assert row["mce"] is None
        assert row["mce_low"] is None
        assert row["relative_mce"] is None
        assert 0 < row["mean_accuracy"] < 1


@pytest.mark.parametrize("num_wrong", [(1, 2, 3, 3, 1), (1, 2, 3, 3, 0), (1, 2, 3, 3, 2)], ids=str)
def test_relative_mce_needs_a_reference_that_loses_something(
    num_wrong: tuple[int, ...], tmp_path: Path
) -> None:
    """It gets 2 of 20 clean images wrong: 10 of 100 predictions are no loss, whatever sums say."""
    study = make_study(tmp_path, num_images=4, pretraining=["Small"])
    lines = ["corruption,severity,error", "none,0,0.1"]
    for corruption in BENCHMARK_CORRUPTIONS:
        wrong = num_wrong if corruption == "fog" else (4, 5, 6, 7, 8)
        lines += [f"{corruption},{s},{count / 20}" for s, count in enumerate(wrong, 1)]
    (tmp_path / "errors.csv").write_text("\n".join(lines))
    sources = {
        **study.sources("predictions", "models", "datasets"),
        "reference_errors": tmp_path / "errors.csv",
    }
    for row in make_table("corruption_error", sources, DIVIDED).to_pylist():
        assert row["mce"] > 0
        assert (row["relative_mce"] is None) == (row["relative_mce_low"] is None)
        assert (row["relative_mce"] is not None) == (sum(num_wrong) > 10)


def test_clean_errors_of_the_reference_are_those_on_corrupted_images(tmp_path: Path) -> None:
    """Another corrupted set may have the same image ids: it says nothing of the clean set's."""
    fog = {"perturbation": "corruptions", "condition": "fog", "severity": 1.0}
    rows = [
        *decided("b", "1000"),
        *decided("b", "10", **fog),
        *decided("b", "1111", **fog, dataset="small"),
    ]
    sources = written(tmp_path, [resnet("b", is_reference=True)], rows)
    clean, corrupted = make_table("reference_errors", sources).to_pylist()
    assert (clean["corruption"], clean["num_images"], clean["error"]) == ("none", 2, 0.5)
    assert (corrupted["corruption"], corrupted["num_images"]) == ("fog", 2)


def test_reference_has_mce_one_and_stays_out_of_the_benchmark(
    study: Study, made: Callable[[str], pa.Table]
) -> None:
    whole = study.with_reference().joined("whole")
    [row] = rows_where(table_of(whole, "corruption_error"), model="reference")
    assert row["is_reference"]
    assert row["mce"] == pytest.approx(1, abs=1e-12)
    assert row["relative_mce"] == pytest.approx(1, abs=1e-12)
    # By definition: no sample of images gives another value.
    assert row["mce_low"] is row["mce_high"] is row["relative_mce_high"] is None
    assert "reference" not in table_of(whole, "accuracy")["model"].to_pylist()
    for name in ("accuracy", "scaling", "claims"):
        assert table_of(whole, name) == made(name)
    # Its errors are no constants where its predictions are known.
    ends = ["ce_low", "ce_high"]
    means = table_of(whole, "corruption_means").drop_columns(ends)
    assert means == made("corruption_means").drop_columns(ends)


def test_alexnets_own_errors_have_mce_one(tmp_path: Path) -> None:
    """50,000 images: AlexNet's published error rates are whole numbers of predictions there."""
    num_images = 50_000
    errors = pd.read_csv(ALEXNET).set_index("corruption")["error"]
    ids = pa.array([f"{number:05d}" for number in range(num_images)])
    right = {"none": num_images - round(errors["none"] * num_images)}
    paths = [counted(tmp_path / "0.parquet", "alexnet", "shapes", "none", 0, right, ids)]
    for severity in range(1, 6):
        # Their sum over severities is five times the published mean.
        right = {
            name: num_images - (round(5 * errors[name] * num_images) + severity - 1) // 5
            for name in BENCHMARK_CORRUPTIONS
        }
        path = tmp_path / f"{severity}.parquet"
        paths.append(counted(path, "alexnet", "shapes", "corruptions", severity, right, ids))
    sources = written(tmp_path, [resnet("alexnet")], [])
    sources |= {"predictions": paths, "reference_errors": ALEXNET}
    [row] = make_table("corruption_error", sources, DIVIDED).to_pylist()
    assert row["mce"] == pytest.approx(1, abs=1e-12)
    assert row["relative_mce"] == pytest.approx(1, abs=1e-12)
    assert row["num_corruptions"] == 15


def test_published_constants_serve_only_five_severities(tmp_path: Path) -> None:
    study = make_study(tmp_path, num_images=4, pretraining=["Small"], severities=(1, 3))
    sources = {**study.sources("predictions", "models", "datasets"), "reference_errors": ALEXNET}
    with pytest.raises(ValueError, match=r"gaussian_noise has errors of 5 severities.* ran 2"):
        make_table("corruption_error", sources, DIVIDED)


def test_alexnet_constants_cover_the_benchmark() -> None:
    errors = pd.read_csv(ALEXNET)
    assert errors["corruption"].tolist() == ["none", *BENCHMARK_CORRUPTIONS]
    assert errors["severity"].isna().all()
    # ImageNet-C's authors give AlexNet 78.9 % mean error over the benchmark.
    assert errors["error"][1:].mean() == pytest.approx(0.788, abs=0.005)
