"""The claims on changed models against NumPy, and the requirements for testing them."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from tests.hand_made import Rows, decided, vit, written
from tests.interval_oracles import contrast_moments, freedom_of, quantile_of
from tests.study_tables import Z95, claims_of, rows_where, table_of
from tests.synthetic_study import Study

SETS = ("small", "medium", "large")
VITS = tuple(f"vit-{name}-{data}" for name in ("s8", "s4", "b8") for data in SETS)
DEPTHS = {"s8": 4, "s4": 4, "b8": 6}
GRIDS = {"s8": 4, "s4": 8, "b8": 4}
Images = np.ndarray


@pytest.fixture(scope="module")
def claims(made: Callable[[str], pa.Table]) -> pa.Table:
    return made("claims")


@pytest.fixture(scope="module")
def changed(study: Study) -> pd.DataFrame:
    """Return predictions of changed models, those without the first block apart."""
    frames = []
    for path in study.predictions:
        perturbation = path.parts[-2]
        if perturbation in ("lesions", "restricted_attention", "patch_attention"):
            frame = pq.read_table(path).to_pandas()
            if perturbation == "lesions":
                frame = frame[(frame["severity"] > 1) | (frame["sample"] > 0)]
            frames.append(frame)
    return pd.concat(
        frame.astype({"model": str, "condition": str, "is_correct": float}) for frame in frames
    )


@pytest.fixture(scope="module")
def accuracies(study: Study, changed: pd.DataFrame) -> dict[tuple[str, str, float], Images]:
    """Return accuracy of each image by model, condition and severity; severity 0: unchanged."""
    keys = ["model", "condition", "severity"]
    means = changed.groupby([*keys, "image_id"])["is_correct"].mean()
    found = {key: images.to_numpy() for key, images in means.groupby(level=keys)}
    for model in VITS:
        [path] = [
            path for path in study.predictions if {model, "shapes", "none"} <= set(path.parts)
        ]
        whole = pq.read_table(path).to_pandas().sort_values("image_id")["is_correct"]
        found[model, "none", 0.0] = whole.to_numpy(float)[:30]
    return found


def loss(accuracies: Mapping, model: str, n: float) -> Images:
    """Return the accuracy lost without n blocks, for each image."""
    return accuracies[model, "none", 0.0] - accuracies[model, "block", n]


def loss_at_share(accuracies: Mapping, model: str, share: float) -> Images:
    depth = DEPTHS[model.split("-")[1]]
    losses = [loss(accuracies, model, n) for n in range(1, depth)]
    losses.insert(0, np.zeros_like(losses[0]))
    shares = np.arange(depth) / depth
    return np.array([np.interp(share, shares, image) for image in np.stack(losses, axis=1)])


def mean(images: Iterable[Images]) -> Images:
    return np.mean(list(images), axis=0)


def between(
    accuracies: Mapping, plus: str, minus: str, severities: Mapping[str, Iterable[float]]
) -> Images:
    """Return the mean over ViTs of the mean over severities of a difference of conditions."""
    return mean(
        mean(accuracies[model, plus, n] - accuracies[model, minus, n] for n in each)
        for model in VITS
        if (each := severities[model.split("-")[1]])
    )


def expected(accuracies: Mapping, claim: str, part: str) -> Images:
    """Return the images' values of a claim's statistic, computed without SQL."""
    numbers = {name: range(1, depth) for name, depth in DEPTHS.items()}
    masking = {name: [d for d in (1, 2, 4) if d < side - 1] for name, side in GRIDS.items()}
    conditions = {
        ("C14", "a"): ("mlp", "attention", numbers),
        ("C15", "a"): ("mlp", "block", numbers),
        ("C15", "b"): ("attention", "block", numbers),
        ("C16", "a"): ("window", "permuted", masking),
        # One block, the last of which no class token reads, does not count.
        ("C17", "a"): ("last", "first", dict.fromkeys(DEPTHS, range(2, 4))),
    }
    if (claim, part) in conditions:
        return between(accuracies, *conditions[claim, part])
    if (claim, part) == ("C12", "b"):
        return mean(
            mean(
                loss(accuracies, f"vit-{name}-large", n) - loss(accuracies, f"vit-{name}-small", n)
                for n in range(1, depth)
            )
            for name, depth in DEPTHS.items()
        )
    # ViT-S/8 and ViT-B/8, of 4 and 6 blocks, are a series.
    return mean(
        loss(accuracies, f"vit-s8-{data}", n)
        - (
            loss(accuracies, f"vit-b8-{data}", n)
            if claim == "C13"
            else loss_at_share(accuracies, f"vit-b8-{data}", n / 4)
        )
        for data in SETS
        for n in (1, 2, 3)
    )


def of_draws(changed: pd.DataFrame, claim: str, part: str) -> list[tuple[float, int]]:
    """Return variance and degrees of freedom of random draws, one for all that share a draw.

    A statistic is linear: with one draw of one stream and 0 elsewhere it is this stream's part.
    """
    drawn = changed[
        (changed["perturbation"] == "lesions") & (changed["severity"] > 1)
        | (changed["condition"] == "permuted")
    ]
    drawn = drawn[drawn["model"].isin(VITS)]
    each = drawn.groupby(["model", "condition", "severity", "sample"])["is_correct"].mean()
    counts = each.groupby(level=[0, 1, 2]).size()
    streams = defaultdict(list)
    for key, num in counts.items():
        # Masks of one number are the same at all distances.
        stream = (key[1], 0.0 if key[1] == "permuted" else key[2], num)
        streams[stream].append(key)
    found = []
    for (condition, n, num), keys in streams.items():
        values = []
        for sample in range(1, num + 1):
            alone = defaultdict(lambda: np.zeros(1))
            alone |= {key: each.loc[[(*key, sample)]].to_numpy() for key in keys}
            values.append(expected(alone, claim, part)[0])
        depths = [DEPTHS[key[0].split("-")[1]] for key in keys]
        missing = max(1 - num / math.comb(depth - 1, int(n)) for depth in depths)
        missing = 1.0 if condition == "permuted" else missing
        if missing > 0 and np.var(values) > 0:
            found.append((missing * np.var(values, ddof=1) / num, num - 1))
    return found


@pytest.mark.parametrize(
    ("claim", "part", "num_models"),
    [
        ("C12", "a", 6),
        ("C12", "b", 6),
        ("C13", "a", 6),
        ("C14", "a", 9),
        ("C15", "a", 9),
        ("C15", "b", 9),
        ("C16", "a", 9),
        ("C17", "a", 9),
    ],
)
def test_claims_on_changed_models_have_errors_of_images_and_draws(
    claims: pa.Table,
    accuracies: Mapping,
    changed: pd.DataFrame,
    claim: str,
    part: str,
    num_models: int,
) -> None:
    images = expected(accuracies, claim, part)
    # A difference of two losses reaches twice as far.
    centre, variance = contrast_moments(images, 2 if claim in ("C12", "C13") else 1)
    draws = of_draws(changed, claim, part)
    assert bool(draws) == (claim != "C17")
    total = variance + sum(each for each, _ in draws)
    sources = [(variance, math.inf), *draws]
    [row] = rows_where(claims, claim=claim, part=part)
    assert row["estimate"] == pytest.approx(images.mean(), abs=1e-12)
    half_width = quantile_of(sources) * math.sqrt(total)
    assert row["estimate_low"] == pytest.approx(centre - half_width, abs=1e-12)
    assert row["estimate_high"] == pytest.approx(centre + half_width, abs=1e-12)
    tail = 2 * stats.t.sf(abs(centre - row["threshold"]) / math.sqrt(total), freedom_of(sources))
    assert row["p_value"] == pytest.approx(tail, rel=1e-6)
    assert (row["num_models"], row["num_images"]) == (num_models, 30)


def test_the_worst_block_has_the_interval_of_a_maximum(
    made: Callable[[str], pa.Table], accuracies: Mapping, changed: pd.DataFrame, claims: pa.Table
) -> None:
    rows = rows_where(made("lesions_single"), family="vit", part="block")
    later = [row for row in rows if row["block"] > 0]
    assert len(later) == 3 * (3 + 3 + 5)
    single = changed[(changed["severity"] == 1) & (changed["condition"] == "block")]
    single = single[single["model"].isin(VITS)]
    ends = []
    for (model, _), block in single.groupby(["model", "sample"]):
        right = block.sort_values("image_id")["is_correct"].to_numpy()
        centre, variance = contrast_moments(accuracies[model, "none", 0.0] - right, 1)
        ends.append((centre, math.sqrt(variance)))
    centres, errors = np.transpose(ends)
    widening = stats.norm.isf(0.025 / len(later))
    [row] = rows_where(claims, claim="C11")
    assert row["estimate"] == max(row["drop"] for row in later)
    assert row["estimate_high"] == pytest.approx((centres + Z95 * errors).max(), abs=1e-12)
    assert row["estimate_low"] == pytest.approx((centres - widening * errors).max(), abs=1e-12)
    assert (row["num_models"], row["num_images"]) == (9, 30)


@pytest.mark.parametrize(("part", "measure"), [("a", "pearson_all"), ("b", "pearson_cls")])
def test_layers_grow_alike(study: Study, claims: pa.Table, part: str, measure: str) -> None:
    given = pd.concat([pd.read_parquet(path) for path in study.representations])
    pairs = given[(given["measure"] == measure) & (given["layer_a"] < given["layer_b"])]
    rises = []
    for model in VITS:
        own = pairs[pairs["model"] == model]
        # A third of 6 blocks is 2, and of 4 blocks two are taken.
        last = DEPTHS[model.split("-")[1]] - 2
        values = own.set_index(["layer_a", "layer_b"])["value"]
        rises.append(values[last, last + 1] - values[0, 1])
    images = given[given["measure"] == f"{measure}_rise"].groupby("image_id")["value"].mean()
    [row] = rows_where(claims, claim="C10", part=part)
    assert row["estimate"] == pytest.approx(np.mean(rises), abs=1e-12)
    half_width = stats.t.ppf(0.975, 29) * images.std() / math.sqrt(30)
    assert row["estimate_high"] - row["estimate"] == pytest.approx(half_width, abs=1e-12)
    assert (row["num_models"], row["verdict"]) == (9, "supported")


def test_claims_are_in_the_order_of_their_numbers(claims: pa.Table) -> None:
    numbers = [int(claim[1:]) for claim in claims["claim"].to_pylist()]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, 18))


def test_older_claims_do_not_see_changed_models(study: Study, claims: pa.Table) -> None:
    without = ("lesions", "heads", "restricted_attention", "patch_attention", "token_removal")
    older = [path for path in study.predictions if not set(path.parts) & set(without)]
    fewer = table_of(replace(study, predictions=older, representations=[]), "claims").to_pylist()
    for row, other in zip(claims.to_pylist(), fewer, strict=True):
        if int(row["claim"][1:]) < 10:
            # The correction is for all rows that a study can test.
            of_all = ("p_holm", "p_disagreement_all", "holds_at", "claim_holds_at")
            assert {**row, **dict.fromkeys(of_all)} == {**other, **dict.fromkeys(of_all)}
            assert other["p_holm"] is None or other["p_holm"] <= row["p_holm"]
        else:
            assert (other["verdict"], other["reason"]) == ("not testable", "not part of this study")


LESION = {"perturbation": "lesions", "condition": "block", "severity": 1.0}


def judged(folder: Path, predictions: Rows, **facts: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the claims on a study of one ViT, by number and part."""
    table = claims_of(written(folder, [vit("a", 8, **facts)], predictions))
    return {(row["claim"], row["part"]): row for row in table.to_pylist()}


def test_one_model_tests_what_needs_one(tmp_path: Path) -> None:
    first = decided("a", "0000", **LESION, sample=0)
    rows = [*decided("a", "1110"), *first, *decided("a", "1100", **LESION, sample=1)]
    mask = {"perturbation": "restricted_attention", "severity": 3.0}  # of 4 patches a side
    rows += decided("a", "1100", **mask, condition="window")
    rows += decided("a", "1000", **mask, condition="permuted", sample=1)
    # Of three blocks, the first three are the last three.
    apart = {"perturbation": "patch_attention", "severity": 3.0}
    rows += decided("a", "1100", **apart, condition="first")
    rows += decided("a", "1000", **apart, condition="last")
    found = judged(tmp_path, rows)
    # The first block, whose loss is larger, is excluded.
    assert (found["C11", "a"]["estimate"], found["C11", "a"]["verdict"]) == (0.25, "undecided")
    for claim, part in (("C12", "a"), ("C13", "a"), ("C14", "a"), ("C16", "a"), ("C17", "a")):
        row = found[claim, part]
        assert row["reason"] == "nothing in this study that could be compared"
    assert found["C10", "a"]["reason"] == "not part of this study"


@pytest.mark.parametrize("num_blocks", [2, 3])
def test_fewer_than_four_layers_have_no_thirds(study: Study, num_blocks: int) -> None:
    """Rises of networks with fewer than four layers do not count."""
    models = pq.read_table(study.models).to_pandas()
    models.loc[models["size"] == "S", "num_blocks"] = num_blocks
    models.to_parquet(study.models.with_name("shallow.parquet"))
    kept = []
    for path in study.representations:
        table = pq.read_table(path).to_pandas()
        is_inside = table[["layer_a", "layer_b"]].max(axis=1).fillna(0) < num_blocks
        kept.append(study.models.with_name(f"{num_blocks}-{path.name}"))
        table[is_inside | ~table["model"].str.contains("-s")].to_parquet(kept[-1])
    shallow = replace(study, models=study.models.with_name("shallow.parquet"), representations=kept)
    [row] = rows_where(table_of(shallow, "claims"), claim="C10", part="a")
    assert row["num_models"] == 3
    fewer = shallow
    for name in ("b8-small", "b8-medium", "b8-large"):
        fewer = replace(
            fewer.without(f"vit-{name}"),
            representations=[path for path in fewer.representations if name not in path.name],
        )
    [row] = rows_where(table_of(fewer, "claims"), claim="C10", part="a")
    assert row["reason"] == "nothing in this study that could be compared"


def test_lesions_that_change_no_prediction_of_few_images_prove_little(tmp_path: Path) -> None:
    """No difference on n images says as much as no error of n: Wilson's interval of 0 of n."""
    for num, verdict in ((4, "undecided"), (100, "supported")):
        rows = [*decided("a", "1" * num), *decided("a", "1" * num, **LESION, sample=1)]
        row = judged(tmp_path, rows)["C11", "a"]
        assert (row["estimate"], row["verdict"]) == (0, verdict)
        assert row["estimate_high"] == pytest.approx(Z95**2 / (num + Z95**2), abs=1e-12)


def test_runs_of_one_training_are_one_model_of_the_worst_block(tmp_path: Path) -> None:
    models = [vit(f"a{run}", 8, entry="a", run=run) for run in (1, 2)]
    rows = []
    for model in ("a1", "a2"):
        rows += [*decided(model, "1111"), *decided(model, "1110", **LESION, sample=1)]
    [row] = rows_where(claims_of(written(tmp_path, models, rows)), claim="C11")
    assert row["num_models"] == 1


@pytest.mark.parametrize(("num_changed", "verdict"), [(1, "supported"), (60, "contradicted")])
def test_a_worst_block_is_judged_by_ten_points(
    tmp_path: Path, num_changed: int, verdict: str
) -> None:
    outcomes = "0" * num_changed + "1" * (100 - num_changed)
    rows = [*decided("a", "1" * 100), *decided("a", outcomes, **LESION, sample=1)]
    rows += decided("a", "1" * 100, **LESION, sample=2)
    assert judged(tmp_path, rows)["C11", "a"]["verdict"] == verdict


def test_the_lower_end_of_a_maximum_is_bonferronis(tmp_path: Path) -> None:
    rows = [*decided("a", "1" * 100)]
    for block, num_lost in ((1, 20), (2, 30)):
        rows += decided("a", "0" * num_lost + "1" * (100 - num_lost), **LESION, sample=block)
    row = judged(tmp_path, rows)["C11", "a"]
    centre, variance = contrast_moments(np.repeat([0.0, 1.0], [70, 30]), 1)
    error = math.sqrt(variance)
    assert row["estimate"] == 0.3
    assert row["estimate_high"] == pytest.approx(centre + Z95 * error, abs=1e-12)
    # Of two blocks each has half of the 2.5 %.
    assert row["estimate_low"] == pytest.approx(centre - stats.norm.isf(0.0125) * error, abs=1e-12)
    # The p-value is that of the interval whose lower end is the threshold of ten points.
    p_value = 2 * 2 * stats.norm.sf((centre - 0.1) / error)
    assert row["p_value"] == pytest.approx(p_value, rel=1e-9)
