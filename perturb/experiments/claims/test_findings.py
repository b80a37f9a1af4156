"""Sentences of the page about the claims."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from perturb.experiments.claims.sentences import claims, sentence, summary
from tests.study_tables import rows_where

SENTENCE = {"test_set": "spatial", "test_set_label": "Adversarial spatial", "num_images": 144}


BELOW = {"estimate": -0.0632, "estimate_low": -0.067, "estimate_high": -0.06, "num_images": 1000}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"kind": "mean_pair", "level": "smallest"},
            "Adversarial spatial: ViTs are 2.0 percentage points more accurate than ResNets of "
            "matched size at the smallest pre-training set (",
        ),
        (
            {"kind": "small_patch_pair"},
            "Adversarial spatial: ViTs with small patches are 2.0 percentage points more accurate "
            "than ResNets of matched size (",
        ),
        (
            {"kind": "mean_patch_pair"},
            "Adversarial spatial: ViTs with large patches are 2.0 percentage points more accurate "
            "than ViTs of the same size and pre-training set with small ones (",
        ),
        (
            {"kind": "mean_patch_pair", "test_set": "cue_conflict", "test_set_label": "Shape bias"},
            "Shape bias: the shape bias of ViTs with large patches is 2.0 percentage points higher "
            "than that of ViTs of the same size and pre-training set with small ones (",
        ),
        (
            {"kind": "family_mean", "unit": "number", "estimate": 1.35},
            "Adversarial spatial: perturbations of ViTs change, in energy, 1.35 times as much "
            "across the borders of the model's own patches as inside them (",
        ),
        (
            {"kind": "layer_rise", "unit": "number", "estimate": -0.25},
            "Adversarial spatial: the correlation of two layers of a ViT is 0.250 smaller on "
            "average among the last third of its layers than among the first third (",
        ),
        (
            {"kind": "worst_lesion", "num_models": 9},
            "Adversarial spatial: of the blocks of 9 ViTs, the first apart, none costs more than "
            "2.0 percentage points of accuracy when it alone is removed (",
        ),
        (
            {"kind": "lesion_pair", "name": "small - large, equal fraction"},
            "Adversarial spatial: the smallest ViT loses 2.0 percentage points more than the "
            "largest when the same fraction of the blocks is removed (",
        ),
        (
            {"kind": "condition_difference", "name": "mlp - attention", "estimate": -0.02},
            "Adversarial spatial: ViTs are 2.0 percentage points less accurate without some MLPs "
            "than without as many attention layers (",
        ),
        (
            {"kind": "family_difference", "unit": "number", "estimate": -0.25},
            "Adversarial spatial: the ratio of energy on patch borders to that inside patches is "
            "0.25 smaller for ViTs than for ResNets, measured on the same grids (",
        ),
        (
            {"kind": "mean_pair", **BELOW},
            "Adversarial spatial: ViTs are 6.3 percentage points less accurate than ResNets of "
            "matched size (95 % interval \N{MINUS SIGN}6.7 to \N{MINUS SIGN}6.0; 1,000 images).",
        ),
        (
            {"kind": "slope_difference", "unit": "number", **BELOW},
            "Adversarial spatial: the ViTs' slope of log error over log size is 0.063 steeper than "
            "the ResNets' (95 % interval \N{MINUS SIGN}0.067 to \N{MINUS SIGN}0.060; "
            "1,000 images).",
        ),
        (
            {"verdict": "not testable", "reason": "needs 5 models, this study has 1"},
            "Adversarial spatial: not testable; needs 5 models, this study has 1.",
        ),
    ],
)
def test_sentences_of_claims(changes: dict[str, Any], expected: str) -> None:
    row = {"verdict": "supported", "level": "all", "unit": "points", "estimate": 0.02}
    interval = {"estimate_low": 0.01, "estimate_high": 0.03}
    assert sentence({**SENTENCE, **row, **interval, **changes}).startswith(expected)


PAIR = {"kind": "mean_pair", "level": "all", "unit": "points", "verdict": "supported", **BELOW}
SURE = {"p_value": 0.0001, "p_holm": 0.0021, "holds_at": "all claims together"}
UNSURE = {"p_value": 0.0312, "p_holm": 0.41, "holds_at": "this row alone"}
MIXED = {"verdict": "mixed", "disagreeing": "A +1.8; B -3.9"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"holds_at": None, "verdict": "undecided"}, "images)."),
        (SURE, "images). With all claims counted together it holds, too (p = 0.002)."),
        (
            UNSURE,
            "images). This holds for the row alone (p = 0.031), not with all claims counted "
            "together (p = 0.410).",
        ),
        (
            {**SURE, **MIXED, "p_disagreement": 0.0002, "p_disagreement_all": 0.0042},
            "The mean hides differences that disagree (percentage points): A +1.8; B -3.9. "
            "With all claims counted together they do so, too (p = 0.004).",
        ),
        (
            {**UNSURE, **MIXED, "p_disagreement": 0.027, "p_disagreement_all": 0.567},
            "A +1.8; B -3.9. They do so for the row alone (p = 0.027), not with all claims counted "
            "together (p = 0.567).",
        ),
        (
            {**SURE, "p_holm": 0.0002, "test_set": "natural_adversarial"},
            "(p < 0.001). Natural adversarial images are chosen by the mistakes of ResNet-S: "
            "models like these are at a disadvantage.",
        ),
        # Within one family the choice favours none.
        (
            {**SURE, "test_set": "natural_adversarial", "kind": "accuracy_slope", "num_models": 3},
            "With all claims counted together it holds, too (p = 0.002).",
        ),
        (
            {"holds_at": None, "test_set": "patch_attention", "kind": "condition_difference"}
            | {"name": "last - first"},
            "images). One block does not count: a class token, where there is one, reads nothing "
            "of what patches exchange in the last one, so that n last blocks restrict one block "
            "less than n first ones.",
        ),
    ],
)
def test_sentences_say_how_sure_a_row_is(changes: dict[str, Any], expected: str) -> None:
    assert sentence({**SENTENCE, **PAIR, **changes}, "ResNet-S").endswith(expected)


def test_a_summary_counts_what_holds_for_all_claims_together() -> None:
    rows = [
        {**SENTENCE, **PAIR, "claim": id, "claim_verdict": verdict, "claim_holds_at": level}
        | {"statement": "", "statistic": "", "paper": "", "verdict": "not testable", "reason": ""}
        for id, verdict, level in (
            ("C1", "supported", "all claims together"),
            ("C2", "mixed", "this row alone"),
            ("C3", "undecided", None),
        )
    ]
    assert summary(claims(rows)) == (
        "Of 3 claims of the paper: 1 supported, 1 mixed, 1 undecided. With all claims counted "
        "together (Holm), 1 of the 2 decided verdicts hold."
    )
    assert summary(claims(rows[2:])) == "Of 1 claims of the paper: 1 undecided."


@pytest.mark.parametrize("kind", ["lesion_pair", "condition_difference"])
def test_every_claim_of_changed_models_has_a_sentence(
    made: Callable[[str], pa.Table], kind: str
) -> None:
    rows = rows_where(made("claims"), kind=kind)
    sentences = {sentence(row).split(" (95 %")[0] for row in rows}
    assert len(sentences) == len(rows) > 1
    assert all("{" not in text for text in sentences)
