"""Adversarial attacks: FGSM, PGD and an ensemble of stronger ones, in the L2 ball too."""

from perturb.experiments.attacks import passes
from perturb.experiments.attacks.budgets import with_budget
from perturb.experiments.attacks.checks import check_attacks, with_possible_attacks
from perturb.experiments.declaration import (
    Chart,
    Experiment,
    Measure,
    Perturbation,
    Pivot,
    Table,
    TestSet,
)

# With `standard` and without, the DLR loss is the targeted one: AutoAttack's name for it is APGD-T.
# Its APGD-DLR is another attack, without targets, which is not run here.
_ENSEMBLE = {"apgd_ce": "APGD-CE", "apgd_dlr": "APGD-T", "fab": "FAB", "square": "Square"}
_ENSEMBLE_REFERENCES = {"fab": "croce2020minimally", "square": "andriushchenko2020square"}
_EPSILON = "%g/255"

EXPERIMENT = Experiment(
    title="Adversarial attacks",
    figure="3",
    perturbations=(
        Perturbation(
            id="fgsm",
            references=("goodfellow2015explaining",),
            protocol=1,
            evaluator="perturb.experiments.attacks.evaluate:fgsm_outcomes",
            passes=passes.fgsm,
            severities="epsilons",
            conditions=("fgsm",),
            condition_labels={"fgsm": "FGSM"},
            severity_label=_EPSILON,
            severity_scale=255.0,
            is_random=False,
            gallery="perturb.experiments.attacks.gallery:fgsm_pictures",
        ),
        Perturbation(
            id="pgd",
            references=("madry2018towards",),
            protocol=1,
            evaluator="perturb.experiments.attacks.evaluate:pgd_outcomes",
            passes=passes.pgd,
            severities="epsilons",
            conditions=("pgd",),
            gallery="perturb.experiments.attacks.gallery:pgd_pictures",
            condition_labels={"pgd": "PGD"},
            severity_label=_EPSILON,
            severity_scale=255.0,
        ),
        Perturbation(
            id="attack_ensemble",
            references=("croce2020reliable",),
            condition_references=_ENSEMBLE_REFERENCES,
            protocol=1,
            evaluator="perturb.experiments.attacks.evaluate:attack_ensemble_outcomes",
            passes=passes.attack_ensemble,
            severities="epsilons",
            conditions=("apgd_ce", "apgd_dlr", "fab", "square"),
            condition_labels=_ENSEMBLE,
            severity_label=_EPSILON,
            severity_scale=255.0,
            configured=with_budget,
            are_conditions_independent=False,  # each attacks the images still correct
        ),
        Perturbation(
            id="attack_ensemble_l2",
            references=("croce2020reliable",),
            condition_references=_ENSEMBLE_REFERENCES,
            protocol=1,
            evaluator="perturb.experiments.attacks.evaluate:attack_ensemble_l2_outcomes",
            passes=passes.attack_ensemble,
            severities="epsilons",
            conditions=("apgd_ce", "apgd_dlr", "fab", "square"),
            condition_labels=_ENSEMBLE,
            severity_label="L2 %g",
            configured=with_budget,
            are_conditions_independent=False,
        ),
    ),
    checks=check_attacks,
    adapted=with_possible_attacks,
    test_sets=(
        TestSet("fgsm", "FGSM", 6),
        TestSet("pgd", "PGD", 7),
        TestSet("attack_ensemble", "Attack ensemble", 8),
    ),
    measures=(
        Measure(
            "robust",
            "Robust",
            7,
            test_sets=("attack_ensemble", "pgd", "fgsm"),
            at_epsilon=True,
            phrase="attacks",
        ),
    ),
    tables=(
        Table(
            "attacks",
            title="Accuracy under attack",
            relations=("attack_outcomes", "spatial_outcomes"),
            shown=("architecture_label", "pretraining_label", "num_parameters"),
            pivot=Pivot("test_set_label", "accuracy", ("model",), beside="clean_accuracy"),
            reads=("none", "fgsm", "pgd", "attack_ensemble", "spatial"),
            parameters=("headline_epsilon",),
            needs=("attacks",),
        ),
        Table(
            "adversarial_accuracy",
            title="Accuracy over epsilon",
            relations=("attack_outcomes",),
            shown=(
                "architecture_label",
                "pretraining_label",
                "attack_label",
                "condition_label",
                "num_images",
                "clean_accuracy",
            ),
            pivot=Pivot("epsilon_label", "accuracy", ("model",)),
            reads=("none", "fgsm", "pgd", "attack_ensemble"),
            parameters=("headline_epsilon",),
            needs=("attacks",),
        ),
        Table(
            "adversarial_accuracy_l2",
            title="Accuracy over epsilon, L2",
            relations=("attack_outcomes",),
            shown=(
                "architecture_label",
                "pretraining_label",
                "attack_label",
                "condition_label",
                "num_images",
                "clean_accuracy",
            ),
            pivot=Pivot("l2_epsilon_label", "accuracy", ("model",)),
            reads=("none", "attack_ensemble_l2"),
            parameters=("headline_epsilon",),
            needs=("attack_ensemble_l2",),
        ),
    ),
    charts=(
        Chart(
            "adversarial",
            title="Accuracy under attack",
            tables=("attacks", "models"),
            empty="No model was attacked at the epsilon at which models are compared.",
            note="perturb.charts.notes:epsilon_and_images",
        ),
        Chart(
            "robust_accuracy",
            title="Accuracy over epsilon",
            tables=("adversarial_accuracy", "models"),
            empty="No model was attacked.",
        ),
        Chart(
            "robust_accuracy_l2",
            title="Accuracy over epsilon, L2",
            tables=("adversarial_accuracy_l2", "models"),
            empty="No model was attacked in the L2 ball.",
        ),
    ),
    warnings="perturb.experiments.attacks.notes:vanishing_gradients",
    lead="Adversarial attacks search for small changes that mislead each model.",
    shows="perturb.experiments.attacks.shows:strongest_attack",
)
