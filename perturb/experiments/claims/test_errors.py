"""The errors of images, random draws and training runs, and what verdicts make of them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from perturb.tables.connection import define_functions
from perturb.tables.queries import relation_file
from tests.hand_made import Rows, decided, resnet, vit, written
from tests.interval_oracles import freedom_of
from tests.study_tables import Z95, claims_of, rows_where

WINDOW = {"perturbation": "restricted_attention", "severity": 1.0, "condition": "window"}
PERMUTED = {**WINDOW, "condition": "permuted"}


def contrasts_of(
    right: Mapping[str, np.ndarray], entries: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Return the components of "MLPs removed minus attention removed" with their errors.

    Parameters
    ----------
    right : by removed part, whether each prediction is correct, (models, sets, images).
    entries : the entry of each model, itself if not given.
    """
    num_models, num_sets, num_images = right["mlp"].shape
    names = np.array([f"m{number:04d}" for number in range(num_models)])
    entry = pd.Series([(entries or {}).get(name, name) for name in names])
    num_runs = entry.map(entry.value_counts())
    values, samples, weights = [], [], []
    for part, sign in (("mlp", 1.0), ("attention", -1.0)):
        same = {"condition": part, "severity": 3.0}
        repeated = {"model": np.repeat(names, num_images), **same}
        image = np.tile(np.arange(num_images), num_models)
        values.append({**repeated, "image": image, "value": right[part].mean(1).reshape(-1)})
        of_sets = {"model": np.repeat(names, num_sets), **same, "num_images": num_images}
        sample = np.tile(np.arange(1, num_sets + 1), num_models)
        samples.append({**of_sets, "sample": sample, "k": right[part].sum(2).reshape(-1)})
        weights.append({"model": names, "component": entry, "weight": sign / num_runs, **same})
    fixed = {"test_set": "lesions", "kind": "condition_difference", "name": "mlp - attention"}
    tables = {
        "change_values": _frame(values).assign(test_set="lesions"),
        "model_samples": _frame(samples).assign(perturbation="lesions", is_in_series=True),
        "change_weights": _frame(weights).assign(**fixed),
        "benchmark_models": pd.DataFrame({"model": names, "entry": entry}).assign(family="vit"),
        "possible_sets": _frame(samples)[["model", "condition", "severity"]]
        .drop_duplicates()
        .assign(perturbation="lesions", num_sets=float(math.comb(23, 3))),
        "model_runs": pd.DataFrame({"model": names, "entry": entry, "num_runs": num_runs}),
    }
    with duckdb.connect() as connection:
        define_functions(connection)
        for name, table in tables.items():
            connection.register(name, table)
        connection.execute(relation_file("model_contrasts").read_text())
        return connection.sql("FROM model_contrasts ORDER BY component NULLS LAST").df()


def _frame(parts: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)


def drawn(num_models: int, num_images: int, spread: float) -> dict[str, np.ndarray]:
    """Return predictions of ViTs that lose as much without MLPs as without attention layers.

    spread : standard deviation of what a set of 25 takes, in probits.
    """
    random = np.random.default_rng(7)
    images = random.standard_normal((num_models, 1, num_images), dtype=np.float32)
    found = {}
    for part in ("mlp", "attention"):
        taken = spread * random.standard_normal((num_models, 25, 1), dtype=np.float32)
        own = random.standard_normal((num_models, 25, num_images), dtype=np.float32)
        found[part] = images + taken + own > 0
    return found


def test_random_sets_decide_nothing_where_there_is_no_difference() -> None:
    """Some 5 % of studies of one ViT, 25 sets of a part each, are decided; 77 % by images alone.

    Of 400 studies of 5 % no more than 8 % are decided but once in 300.
    """
    found = contrasts_of(drawn(400, 300, spread=0.6)).dropna(subset="component")
    is_decided = (found["low"] > 0) | (found["high"] < 0)
    assert is_decided.mean() < 0.08
    without = drawn(400, 300, spread=0.6)
    paired = without["mlp"].mean(1) - without["attention"].mean(1)
    errors = paired.std(1, ddof=1) / np.sqrt(paired.shape[1])
    assert (abs(paired.mean(1)) > Z95 * errors).mean() > 0.7


def test_runs_of_a_training_add_their_variance() -> None:
    random = np.random.default_rng(3)
    level = np.array([0.5, 0.6, 0.7])[:, None, None]
    right = {"mlp": random.random((3, 4, 500)) < level, "attention": np.zeros((3, 4, 500), bool)}
    alone = contrasts_of(right)
    runs = contrasts_of(right, dict.fromkeys(["m0000", "m0001", "m0002"], "one"))
    whole = runs[runs["component"].isna()].iloc[0]
    apart = alone[alone["component"].isna()].iloc[0]
    assert (whole["num_models"], apart["num_models"]) == (1, 3)
    assert whole["estimate"] == pytest.approx(apart["estimate"], abs=1e-12)
    added = np.var(right["mlp"].mean((1, 2)), ddof=1) / 3
    assert whole["variance"] - apart["variance"] == pytest.approx(added, abs=1e-12)
    assert whole["degrees_of_freedom"] < 3 < apart["degrees_of_freedom"]


def test_patterns_of_a_vit_have_the_errors_of_its_runs_and_the_resnets() -> None:
    """Two ResNets, of two runs and of one, and a ViT of three runs."""
    random = np.random.default_rng(5)
    entries = {"v1": "v", "v2": "v", "v3": "v", "r1": "r", "r2": "r", "s1": "s"}
    values = pd.DataFrame(random.random((40, 6)), columns=list(entries))
    families = ["vit" if entry == "v" else "resnet" for entry in entries.values()]
    tables = {
        "compared_models": pd.DataFrame(entries.items(), columns=["model", "entry"]).assign(
            family=families
        ),
        "model_values": values.mean()
        .rename_axis("model")
        .reset_index(name="value")
        .assign(test_set="patterns"),
        "image_values": values.rename_axis("image")
        .reset_index()
        .melt("image", var_name="model")
        .assign(test_set="patterns"),
    }
    with duckdb.connect() as connection:
        define_functions(connection)
        for name, table in tables.items():
            connection.register(name, table)
        statements = relation_file("claim_statistics").read_text().split(";")
        [view] = [text for text in statements if "VIEW pattern_components" in text]
        connection.execute(view)
        found = connection.sql("FROM pattern_components").df().set_index("kind")
    means = values.T.groupby(entries).mean().T
    of_vit = values[["v1", "v2", "v3"]].mean().var() / 3
    of_resnets = values[["r1", "r2"]].mean().var() / 2 / 4
    own = means["v"].var() / 40 + of_vit
    against = (means["v"] - (means["r"] + means["s"]) / 2).var() / 40
    variances = found["variance"]
    assert variances["family_mean"] == pytest.approx(own)
    assert variances["family_difference"] == pytest.approx(against + of_vit + of_resnets)
    sources = [(against, 39), (of_vit, 2), (of_resnets, 1)]
    freedom = found["degrees_of_freedom"]["family_difference"]
    assert freedom == pytest.approx(freedom_of(sources), rel=1e-6)


def masked(model: str, outcomes: str, num_masks: int) -> Rows:
    """Return predictions of a ViT that sees well within a window, and not with random masks."""
    rows = [*decided(model, outcomes), *decided(model, outcomes, **WINDOW)]
    for sample in range(1, num_masks + 1):
        rows += decided(model, "0" * len(outcomes), **PERMUTED, sample=sample)
    return rows


@pytest.mark.parametrize(("num_masks", "verdict"), [(1, "not testable"), (2, "supported")])
def test_the_error_of_one_draw_is_unknown(tmp_path: Path, num_masks: int, verdict: str) -> None:
    rows = masked("a", "1" * 60, num_masks)
    table = claims_of(written(tmp_path, [vit("a", 8)], rows))
    [row] = rows_where(table, claim="C16")
    assert row["verdict"] == verdict
    assert row["reason"] == ("one random draw, whose error is unknown" if num_masks == 1 else None)


PAIRS = [
    vit("vit-a", 8),
    resnet("resnet-a"),
    vit("vit-b", 8, size="B", label="ViT-B/8", num_parameters=9000),
    resnet("resnet-b", size="B", label="ResNet-B", num_parameters=9000),
]


def compared(folder: Path, *num_right: int) -> list[dict[str, Any]]:
    """Return the claims on two pairs of models on 400 renditions, of which so many are right."""
    rows: list[dict[str, Any]] = []
    for model, right in zip(PAIRS, num_right, strict=True):
        rows += decided(model["model"], "1" * 4)
        rows += decided(model["model"], "1" * right + "0" * (400 - right), dataset="art")
    return claims_of(written(folder, PAIRS, rows)).to_pylist()


@pytest.mark.parametrize(
    ("num_right", "verdict"),
    [
        # Both 5 points better; one 15 points better and one 5 worse; one no different.
        ((220, 200, 220, 200), "supported"),
        ((260, 200, 200, 220), "mixed"),
        ((240, 200, 200, 200), "supported"),
        # Of the second pair 3 images more are wrong, which could be chance.
        ((260, 200, 200, 203), "supported"),
    ],
)
def test_pairs_that_disagree_make_a_mean_mixed(
    tmp_path: Path, num_right: tuple[int, ...], verdict: str
) -> None:
    [row] = [
        row
        for row in compared(tmp_path, *num_right)
        if (row["claim"], row["test_set"]) == ("C2", "renditions")
    ]
    assert row["verdict"] == verdict
    assert row["estimate"] == pytest.approx(
        (num_right[0] - num_right[1] + num_right[2] - num_right[3]) / 800
    )
    assert (row["disagreeing"] is None) == (verdict != "mixed")
    _check_level(row)


@pytest.mark.parametrize(
    ("num_right", "points", "level"),
    [(220, "5.0", "all claims together"), (213, "3.2", "this row alone")],
)
def test_pairs_that_disagree_are_named(
    tmp_path: Path, num_right: int, points: str, level: str
) -> None:
    """Of 13 images more the p-value is 0.03: too much for two rows. That of the mean is small."""
    found = compared(tmp_path, 260, 200, 200, num_right)
    [row] = [row for row in found if (row["claim"], row["test_set"]) == ("C2", "renditions")]
    assert row["disagreeing"] == (
        "ViT-S/8 against ResNet-S (Small) +15.0; "
        f"ViT-B/8 against ResNet-B (Small) \N{MINUS SIGN}{points}"
    )
    assert (row["claim_verdict"], row["holds_at"]) == ("mixed", level)
    num_rows = sum(row["p_value"] is not None for row in found)
    p_value = _p_value_of_pair(400, num_right - 200, row["threshold"])
    assert row["p_disagreement"] == pytest.approx(p_value, rel=1e-9)
    assert row["p_disagreement_all"] == pytest.approx(min(1, num_rows * p_value), rel=1e-9)
    assert row["p_holm"] < 0.05
    for row in found:
        _check_level(row)


def _p_value_of_pair(num_images: int, num_less: int, threshold: float) -> float:
    """Return that of a pair of which the first model is wrong on so many images more."""
    n = num_images + Z95**2
    centre = -num_less / n
    variance = ((num_less + Z95**2) / n - centre**2) / n
    return float(2 * stats.norm.sf(abs(centre - threshold) / math.sqrt(variance)))


def test_holms_correction_is_over_all_testable_rows(made: Any) -> None:
    rows = made("claims").to_pylist()
    tested = sorted((row for row in rows if row["p_value"] is not None), key=_p_value)
    assert len(tested) > 30
    largest = 0.0
    for place, row in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - place) * row["p_value"]))
        assert row["p_holm"] == pytest.approx(largest, rel=1e-12)
    for row in rows:
        _check_level(row)


def _p_value(row: Mapping[str, Any]) -> float:
    return float(row["p_value"])


def _check_level(row: Mapping[str, Any]) -> None:
    """Check that p-value, interval, verdict and level of a row agree."""
    of_sides = (row["p_disagreement"], row["p_disagreement_all"])
    assert (row["verdict"] == "mixed") or of_sides == (None, None)
    if row["verdict"] == "not testable":
        assert (row["p_value"], row["p_holm"], row["holds_at"]) == (None, None, None)
        return
    low, high = row["estimate_low"], row["estimate_high"]
    assert (row["p_value"] < 0.05) == (not low <= row["threshold"] <= high)
    # Of a mixed row, whatever those of the mean.
    alone, together = of_sides if row["verdict"] == "mixed" else (row["p_value"], row["p_holm"])
    if row["verdict"] in ("supported", "contradicted", "mixed"):
        assert alone <= together
        assert alone < 0.05
        assert row["holds_at"] == ("all claims together" if together < 0.05 else "this row alone")
    elif row["verdict"] == "undecided":
        assert row["holds_at"] is None
