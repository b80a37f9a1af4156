"""The one table of perturbations: what evaluates each of them."""

from perturb.perturbations.adversarial import ensemble_outcomes, fgsm_outcomes, pgd_outcomes
from perturb.perturbations.inputs import corrupted_outcomes, unchanged_outcomes
from perturb.perturbations.names import JPEG_SUFFIX
from perturb.perturbations.outcome import Evaluator
from perturb.perturbations.spatial import spatial_outcomes

EVALUATORS: dict[str, Evaluator] = {
    "none": unchanged_outcomes,
    "corruptions": corrupted_outcomes,
    f"corruptions{JPEG_SUFFIX}": corrupted_outcomes,
    "fgsm": fgsm_outcomes,
    "pgd": pgd_outcomes,
    "ensemble": ensemble_outcomes,
    "spatial": spatial_outcomes,
}
