"""The one table of perturbations: what evaluates each of them."""

from perturb.evaluate.outcome import Evaluator
from perturb.experiments.attacks.evaluate import ensemble_outcomes, fgsm_outcomes, pgd_outcomes
from perturb.experiments.benchmarks.evaluate import (
    corrupted_outcomes,
    subset_outcomes,
    unchanged_outcomes,
)
from perturb.experiments.lesions.evaluate import head_outcomes, lesion_outcomes
from perturb.experiments.names import JPEG_SUFFIX, STORED_CORRUPTIONS
from perturb.experiments.restricted_attention.evaluate import distance_outcomes, patch_cls_outcomes
from perturb.experiments.spatial.evaluate import spatial_outcomes
from perturb.experiments.token_removal.evaluate import token_outcomes

EVALUATORS: dict[str, Evaluator] = {
    "none": unchanged_outcomes,
    "class_subset": subset_outcomes,
    "corruptions": corrupted_outcomes,
    f"corruptions{JPEG_SUFFIX}": corrupted_outcomes,
    # Each condition has a store of its own: `evaluate_parts` hands over one at a time.
    STORED_CORRUPTIONS: unchanged_outcomes,
    "fgsm": fgsm_outcomes,
    "pgd": pgd_outcomes,
    "ensemble": ensemble_outcomes,
    "spatial": spatial_outcomes,
    "lesions": lesion_outcomes,
    "heads": head_outcomes,
    "attention_distance": distance_outcomes,
    "patch_cls": patch_cls_outcomes,
    "tokens": token_outcomes,
}
