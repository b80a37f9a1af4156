"""Captions say what would mislead beside their numbers: single draws, blocks, chosen images."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from perturb.experiments import registry
from perturb.experiments.captions import chart_caption, table_caption
from perturb.tables.run import make_table
from tests.hand_made import decided, vit, written
from tests.study_tables import CHARTS, TABLES, sql

ROOT = Path(__file__).parent.parent
LAST_BLOCK = (
    "n last blocks restrict one block less than n first ones, and the last one alone changes "
    "nothing, by construction."
)
CHOSEN = (
    "On natural adversarial images models like those whose mistakes chose them are at a "
    "disadvantage: ResNets on ImageNet-A."
)
# These say the same in other words.
IN_OTHER_WORDS = {"accuracy", "claims"}
# One value beside its own reference, one model's confidence, or differences within one family.
COMPARES_NO_FAMILIES = {
    *("class_subsets", "paper_comparison", "patch_pairs"),
    *("calibration", "reliability", "risk_coverage"),
    *("error_consistency", "error_consistency_means"),
}
# Their note names the networks by whose errors images are chosen; means over many sets or
# corruptions; as the tables above.
CHARTS_WITHOUT = {"robustness_benchmarks", "corruption_heatmap", "overview", "paper_comparison"} | {
    *("calibration_by_severity", "reliability_diagram", "risk_coverage_curves"),
    "error_consistency",
}


def _text(file: Path) -> str:
    return " ".join(file.read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("lesions", {"perturbation": "lesions", "condition": "block", "severity": 2.0}),
        (
            "restricted_attention",
            {"perturbation": "restricted_attention", "condition": "permuted", "severity": 3.0},
        ),
        ("token_removal", {"perturbation": "token_removal", "condition": "random"}),
        ("weight_noise", {"perturbation": "weight_noise", "condition": "gaussian"}),
    ],
)
def test_a_single_draw_leaves_the_interval_of_images_and_readers_are_told(
    tmp_path: Path, table: str, change: dict[str, object]
) -> None:
    change = {"severity": 0.5, "removed": "1-2" if table == "lesions" else None} | change
    rows = [*decided("a", "1111111100"), *decided("a", "1111110000", **change, sample=1)]
    model = vit("a", 8, num_blocks=5, num_removable=4)
    made = make_table(table, written(tmp_path, [model], rows)).to_pylist()
    [row] = [row for row in made if row["accuracy"] == 0.6]
    assert row["accuracy_low"] == pytest.approx(sql("wilson_low(6, 10)"))
    assert row["accuracy_high"] == pytest.approx(sql("wilson_high(6, 10)"))
    experiment, _ = registry.tables()[table]
    for text in (table_caption(table), _text(registry.FOLDER / experiment / "sure.html")):
        assert "it covers the images alone" in text


def test_intervals_of_the_page_and_the_documents_except_a_single_draw() -> None:
    assert "the interval of its accuracy covers the images alone" in _text(
        ROOT / "docs" / "intervals.md"
    )
    page = _text(ROOT / "perturb" / "page" / "templates" / "how_sure.html")
    assert page.count("with a single draw of several possible ones, the images alone.") == 2


def test_the_last_block_is_explained_where_its_numbers_stand() -> None:
    page = _text(registry.FOLDER / "restricted_attention" / "page.html")
    for text in (table_caption("patch_attention"), chart_caption("patch_attention"), page):
        assert LAST_BLOCK in text


def test_the_claim_whose_interval_covers_no_runs_is_named() -> None:
    assert "except for C11" in table_caption("claims")
    assert "(C11)" in _text(registry.FOLDER / "claims" / "sure.html")


def test_families_beside_each_other_on_chosen_images_stand_beside_a_warning(
    made: Callable[[str], pa.Table],
) -> None:
    chosen = {name for name in TABLES if _has_chosen_images(made(name))}
    assert {"matched_pairs", "leaderboard", "claims"} < chosen
    without = {name for name in chosen if CHOSEN not in table_caption(name)}
    assert without == IN_OTHER_WORDS | COMPARES_NO_FAMILIES
    charts = {name for name, chart in CHARTS.items() if chosen & set(chart.tables)}
    assert {name for name in charts if CHOSEN not in chart_caption(name)} == CHARTS_WITHOUT


def _has_chosen_images(table: pa.Table) -> bool:
    columns = {"test_set", "dataset_label", "measure", "quantity"} & set(table.column_names)
    return any(
        "natural" in str(value).lower() and "adversarial" in str(value).lower()
        for column in columns
        for value in table[column].unique().to_pylist()
    )
