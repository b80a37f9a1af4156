"""Tables of changed models, against values worked out by hand and against pandas."""

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.tables.display import grid
from perturb.tables.run import make_table
from tests.hand_made import Rows, decided, vit, written
from tests.interval_oracles import clustered, contrast, drawn
from tests.study_tables import TABLES, rows_where, sql, table_of
from tests.synthetic_model_perturbations import MODEL_PERTURBATIONS
from tests.synthetic_study import Study

# The tables of changed models, and of their layers.
NEW = {
    *(name for name, table in TABLES.items() if set(table.reads) & set(MODEL_PERTURBATIONS)),
    *("layer_correlations", "correlation_profile"),
}


@pytest.fixture(scope="module")
def predictions(fog_study: Study) -> pd.DataFrame:
    """Return the predictions of changed models with those of the whole model beside them."""
    frame = pa.concat_tables([pq.read_table(path) for path in fog_study.predictions]).to_pandas()
    names = ("model", "dataset", "perturbation", "condition")
    frame = frame.assign(**{name: frame[name].astype(str) for name in names})
    clean = frame[(frame["perturbation"] == "none") & (frame["dataset"] == "shapes")]
    clean = clean.set_index(["model", "image_id"])["is_correct"].rename("was_correct")
    changed = frame[frame["perturbation"].isin(MODEL_PERTURBATIONS)]
    return changed.join(clean, on=["model", "image_id"])


def lesioned(model: str, *, part: str = "block") -> Rows:
    """Return a model's predictions: whole, without each of three blocks, without the last two."""
    lesion = {"perturbation": "lesions", "condition": part}
    return [
        *decided(model, "1110"),
        *decided(model, "0000", **lesion, severity=1.0, sample=0, removed="0"),
        *decided(model, "1100", **lesion, severity=1.0, sample=1, removed="1"),
        *decided(model, "1110", **lesion, severity=1.0, sample=2, removed="2"),
        *decided(model, "1000", **lesion, severity=2.0, sample=1, removed="1,2"),
    ]


def test_single_lesions_by_hand(tmp_path: Path) -> None:
    more_clean = decided("a", "11110")[4:]  # an image that no changed model decided on
    sources = written(tmp_path, [vit("a", 8)], [*lesioned("a"), *more_clean])
    rows = make_table("lesions_single", sources).to_pylist()
    assert [row["block"] for row in rows] == [0, 1, 2]
    assert {row["num_images"] for row in rows} == {4}
    assert {row["baseline_accuracy"] for row in rows} == {0.75}
    assert [row["accuracy"] for row in rows] == [0, 0.5, 0.75]
    assert [row["drop"] for row in rows] == [0.75, 0.25, 0]
    assert (rows[1]["drop_low"], rows[1]["drop_high"]) == pytest.approx(contrast([0, 0, 1, 0]))
    # Not one prediction differs: that is no proof that none ever would.
    reach = sql("wilson_high(0, 4)")
    assert (rows[2]["drop_low"], rows[2]["drop_high"]) == pytest.approx((-reach, reach))
    assert (rows[0]["part"], rows[0]["part_label"]) == ("block", "Block")


def test_series_of_lesions_by_hand(tmp_path: Path) -> None:
    sources = written(tmp_path, [vit("a", 8)], lesioned("a", part="mlp"))
    whole, one, two = make_table("lesions", sources).to_pylist()
    assert [row["num_removed"] for row in (whole, one, two)] == [0, 1, 2]
    assert [row["removed_share"] for row in (whole, one, two)] == [0, 1 / 3, 2 / 3]
    # The first block is in no mean.
    assert [row["num_samples"] for row in (whole, one, two)] == [1, 2, 1]
    assert [row["accuracy"] for row in (whole, one, two)] == [0.75, 0.625, 0.25]
    assert one["accuracy_se"] == pytest.approx(0.125)
    assert (one["accuracy_min"], one["accuracy_max"]) == (0.5, 0.75)
    # Each of the two single layers is removed: nothing is drawn.
    assert (one["accuracy_low"], one["accuracy_high"]) == pytest.approx(clustered([2, 2, 1, 0], 2))
    assert (two["accuracy_se"], two["accuracy_min"], two["accuracy_max"]) == (None, 0.25, 0.25)
    assert two["accuracy_high"] == pytest.approx(sql("wilson_high(1, 4)"))
    assert (whole["accuracy_min"], whole["baseline_accuracy"]) == (0.75, 0.75)


def test_sets_are_drawn_of_all_blocks_that_can_be_removed(tmp_path: Path) -> None:
    """Two sets hold three of eleven blocks: there are 55 sets, not the 3 of these blocks."""
    lesion = {"perturbation": "lesions", "condition": "block", "severity": 2.0}
    rows = [
        *decided("a", "1" * 40),
        *decided("a", "1" * 30 + "0" * 10, **lesion, sample=1, removed="1,2"),
        *decided("a", "1" * 10 + "0" * 30, **lesion, sample=2, removed="1,3"),
    ]
    model = vit("a", 8, num_blocks=12, num_removable=11)
    [_, row] = make_table("lesions", written(tmp_path, [model], rows)).to_pylist()
    ends = drawn(clustered([2] * 10 + [1] * 20 + [0] * 10, 2), 0.5, [0.75, 0.25], 55)
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(ends)


def test_heads_by_hand(tmp_path: Path) -> None:
    head = {"perturbation": "heads", "condition": "head", "severity": 1.0}
    rows = [
        *decided("a", "1100"),
        *decided("a", "1101", **head, sample=3, removed="1.0"),
        *decided("a", "0000", **head, sample=10, removed="3.1"),
    ]
    first, second = make_table("heads", written(tmp_path, [vit("a", 8)], rows)).to_pylist()
    assert (first["block"], first["head"], first["drop"]) == (1, 0, -0.25)
    assert (second["block"], second["head"], second["drop"]) == (3, 1, 0.5)


def test_restricted_attention_by_hand(tmp_path: Path) -> None:
    mask = {"perturbation": "restricted_attention", "severity": 2.0}
    rows = [
        *decided("a", "1111"),
        *decided("a", "1110", **mask, condition="window"),
        *decided("a", "1000", **mask, condition="permuted", sample=1),
        *decided("a", "1100", **mask, condition="permuted", sample=2),
        *decided("a", "1111", **mask | {"severity": 9.0}, condition="window"),
    ]
    table = make_table("restricted_attention", written(tmp_path, [vit("a", 8)], rows))
    near, far, permuted = table.to_pylist()
    # Four patches a side: three apart at most.
    assert [row["distance"] for row in (near, far, permuted)] == [2, 9, 2]
    assert [row["distance_fraction"] for row in (near, far, permuted)] == [2 / 3, 1, 2 / 3]
    assert [row["num_seeds"] for row in (near, far, permuted)] == [1, 1, 2]
    assert (near["accuracy"], permuted["accuracy"]) == (0.75, 0.375)
    assert permuted["accuracy_se"] == pytest.approx(0.125)
    ends = drawn(clustered([2, 1, 0, 0], 2), 0.375, [0.25, 0.5])
    assert (permuted["accuracy_low"], permuted["accuracy_high"]) == pytest.approx(ends)
    assert (permuted["accuracy_min"], permuted["accuracy_max"]) == (0.25, 0.5)


def test_patches_apart_and_tokens_by_hand(tmp_path: Path) -> None:
    tokens = {"perturbation": "token_removal", "severity": 0.25, "flops_kept": 0.875}
    rows = [
        *decided("a", "1110"),
        *decided("a", "0110", perturbation="patch_attention", severity=2.0, condition="first"),
        *decided("a", "1110", perturbation="patch_attention", severity=2.0, condition="last"),
        *decided("a", "1010", **tokens, condition="low_attention"),
        *decided("a", "1000", **tokens, condition="random", sample=1),
    ]
    sources = written(tmp_path, [vit("a", 8)], rows)
    found = make_table("patch_attention", sources).to_pylist()
    assert [(row["place"], row["num_blocks_restricted"], row["accuracy"]) for row in found] == [
        ("first", 0, 0.75),
        ("first", 2, 0.5),
        ("last", 0, 0.75),
        ("last", 2, 0.75),
    ]
    found = make_table("token_removal", sources).to_pylist()
    names = ("method", "drop_rate_label", "flops_kept", "accuracy")
    assert [tuple(row[name] for name in names) for row in found] == [
        ("random", "0 %", 1, 0.75),
        ("random", "25 %", 0.875, 0.25),
        ("low_attention", "0 %", 1, 0.75),
        ("low_attention", "25 %", 0.875, 0.5),
    ]


def test_a_change_of_severity_0_is_the_whole_model(tmp_path: Path) -> None:
    nothing = decided("a", "1110", perturbation="lesions", severity=0.0, condition="block")
    both = []
    for extra in ([], nothing):
        sources = written(tmp_path, [vit("a", 8)], [*lesioned("a"), *extra])
        both.append(make_table("lesions", sources).to_pylist())
    assert both[0] == both[1]


SERIES = {
    "lesions": ("lesions", "part", "num_removed", "num_samples"),
    "restricted_attention": ("restricted_attention", "control", "distance", "num_seeds"),
    "patch_attention": ("patch_attention", "place", "num_blocks_restricted", None),
    "token_removal": ("token_removal", "method", "drop_rate", "num_seeds"),
}


@pytest.mark.parametrize("name", list(SERIES))
def test_series_equal_pandas(joined_fog: Study, predictions: pd.DataFrame, name: str) -> None:
    perturbation, condition, severity, samples = SERIES[name]
    own = predictions[predictions["perturbation"] == perturbation]
    is_first = (own["perturbation"] == "lesions") & (own["severity"] == 1) & (own["sample"] == 0)
    cells = own[~is_first].groupby(["model", "condition", "severity"])
    rows = table_of(joined_fog, name).to_pylist()
    changed = [row for row in rows if row[severity] > 0]
    assert len(changed) == cells.ngroups > 0
    for row in changed:
        cell = cells.get_group((row["model"], row[condition], row[severity]))
        each = cell.groupby("sample")["is_correct"].mean()
        images = cell.groupby("image_id")["is_correct"].mean()
        assert row["num_images"] == len(images) == 30
        assert row["accuracy"] == pytest.approx(images.mean(), abs=1e-12)
        assert row["baseline_accuracy"] == pytest.approx(cell["was_correct"].mean(), abs=1e-12)
        if samples is not None:
            assert row[samples] == len(each)
        if len(each) > 1:
            ends = clustered(images * len(each), len(each))
            possible = _num_sets(own, row) if perturbation == "lesions" else math.inf
            ends = drawn(ends, row["accuracy"], each.to_numpy(), possible)
            found = row["accuracy_low"], row["accuracy_high"]
            assert found == pytest.approx(ends, abs=1e-9)
        if "accuracy_se" in row and len(each) > 1:
            error = each.std() / math.sqrt(len(each))
            assert row["accuracy_se"] == pytest.approx(error, abs=1e-12)
            assert (row["accuracy_min"], row["accuracy_max"]) == (each.min(), each.max())


def _num_sets(lesions: pd.DataFrame, row: dict) -> int:
    """Return the number of sets of so many parts, the first block left out."""
    of_model = (lesions["model"] == row["model"]) & (lesions["condition"] == row["part"])
    removed = lesions.loc[of_model, "removed"].astype(str)
    blocks = {block for blocks in removed for block in blocks.split(",")} - {"0", ""}
    return math.comb(len(blocks), row["num_removed"])


@pytest.mark.parametrize(("name", "perturbation"), [("lesions_single", "lesions"), ("heads",) * 2])
def test_single_parts_equal_pandas(
    joined_fog: Study, predictions: pd.DataFrame, name: str, perturbation: str
) -> None:
    own = predictions[
        (predictions["perturbation"] == perturbation) & (predictions["severity"] == 1)
    ]
    cells = own.assign(removed=own["removed"].astype(str)).groupby(
        ["model", "condition", "removed"]
    )
    rows = table_of(joined_fog, name).to_pylist()
    assert len(rows) == cells.ngroups > 0
    for row in rows:
        place = f"{row['block']}.{row['head']}" if name == "heads" else str(row["block"])
        cell = cells.get_group((row["model"], row.get("part", "head"), place))
        drop = cell["was_correct"].astype(float) - cell["is_correct"]
        assert row["drop"] == pytest.approx(drop.mean(), abs=1e-12)
        assert (row["drop_low"], row["drop_high"]) == pytest.approx(contrast(drop), abs=1e-12)


def test_resnets_lose_blocks_and_nothing_else(joined_fog: Study) -> None:
    parts = {row["part"] for row in rows_where(table_of(joined_fog, "lesions"), family="resnet")}
    assert parts == {"block"}
    for name in ("heads", "restricted_attention", "patch_attention", "token_removal"):
        assert not rows_where(table_of(joined_fog, name), family="resnet")


# What is made from the changed models, beside the tables of their own.
MADE_FROM_THEM = {"claims", "runs", "paper_comparison"} | {
    "leaderboard",
    "model_pairs",
    "model_conditions",
}


@pytest.mark.parametrize("name", sorted(set(TABLES) - NEW - MADE_FROM_THEM))
def test_other_tables_do_not_see_changed_models(joined_fog: Study, older: Study, name: str) -> None:
    assert table_of(joined_fog, name) == table_of(older, name)


@pytest.fixture(scope="module")
def older(fog_study: Study) -> Study:
    """Return the study without changed models."""
    kept = [
        path for path in fog_study.predictions if not set(path.parts) & set(MODEL_PERTURBATIONS)
    ]
    assert len(kept) < len(fog_study.predictions)
    return replace(fog_study, predictions=kept).joined("older")


def test_columns_of_a_shown_table_are_in_order(joined_fog: Study) -> None:
    shown = grid(table_of(joined_fog, "lesions"), "lesions")
    labels = [header.label for header in shown.headers[3:]]
    assert labels == [f"Without {number}" for number in range(6)]
