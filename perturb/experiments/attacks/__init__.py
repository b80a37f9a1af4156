"""Adversarial attacks: FGSM, PGD and an ensemble of stronger ones."""

from perturb.experiments.attacks import passes
from perturb.experiments.attacks.checks import check_attacks, with_possible_attacks
from perturb.experiments.declaration import Experiment, Perturbation

EXPERIMENT = Experiment(
    title="Adversarial attacks",
    figure="3",
    perturbations=(
        Perturbation(
            id="fgsm",
            protocol=1,
            evaluator="perturb.experiments.attacks.evaluate:fgsm_outcomes",
            passes=passes.fgsm,
            severities="epsilons",
            conditions=("fgsm",),
            is_on_clean_set=True,
        ),
        Perturbation(
            id="pgd",
            protocol=1,
            evaluator="perturb.experiments.attacks.evaluate:pgd_outcomes",
            passes=passes.pgd,
            severities="epsilons",
            conditions=("pgd",),
            is_on_clean_set=True,
        ),
        Perturbation(
            id="ensemble",
            protocol=1,
            evaluator="perturb.experiments.attacks.evaluate:ensemble_outcomes",
            passes=passes.ensemble,
            severities="epsilons",
            conditions=("apgd_ce", "apgd_dlr", "square"),
            is_on_clean_set=True,
        ),
    ),
    checks=check_attacks,
    adapted=with_possible_attacks,
)
