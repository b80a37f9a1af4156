"""Predictions of attacked images: FGSM, PGD and the attack ensembles.

Protocol: one forward pass determines which images are classified correctly, and only those are
attacked. An image predicted incorrectly before the attack counts as incorrect and keeps its clean
logits bit for bit, so accuracy under attack never exceeds clean accuracy. The final prediction is a
new forward pass over the adversarial images, not the last logits of the attack. In the ensemble
every attack runs on the images still predicted correctly, and its outcome is that after it and all
attacks before it.

Attacks work in stages on full batches of the images that are left (`perturb.evaluation.stages`). So
logits after an attack agree with those of other batches up to rounding; with epsilon 0 all are the
clean ones bit for bit.

B images, C channels, H W pixels, K classes.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch

from perturb.evaluation.outcome import Setting
from perturb.evaluation.stages import Done, Stage, StagedEvaluator, Standing
from perturb.experiments.attacks.arguments import (
    check_at_least_one,
    check_epsilon,
    check_schedule,
)
from perturb.experiments.attacks.ensemble_stages import ensemble_stages
from perturb.experiments.attacks.gradients import Descent, frozen
from perturb.experiments.attacks.norms import L2, LINF, Norm
from perturb.experiments.attacks.stages import Predicting, clean_gradient, floats, unchanged
from perturb.experiments.setting import checked_options
from perturb.models.classifier import Classifier


@StagedEvaluator
def fgsm_outcomes(classifier: Classifier, _: torch.Size, setting: Setting) -> Sequence[Stage]:
    """Return the stages of one step of epsilon, which is the setting's severity."""
    checked_options("fgsm", setting)
    epsilon = setting.severity
    return _descents(classifier, setting, Descent(epsilon, steps=1, step_size=epsilon), 1)


@StagedEvaluator
def pgd_outcomes(classifier: Classifier, _: torch.Size, setting: Setting) -> Sequence[Stage]:
    """Return the stages of projected gradient descent: each restart is one.

    Options: steps, relative_step (of epsilon), random_start, restarts.
    """
    options = checked_options("pgd", setting)
    descent = Descent(
        setting.severity,
        options["steps"],
        options["relative_step"] * setting.severity,
        is_random=options["random_start"],
        seed=setting.seed,
    )
    return _descents(classifier, setting, descent, options["restarts"])


@StagedEvaluator
def attack_ensemble_outcomes(
    classifier: Classifier, _: torch.Size, setting: Setting
) -> Sequence[Stage]:
    """Return the stages of the attacks of the ensemble, in the order of the conditions.

    Options: steps of the gradient attacks, restarts of both APGD forms, targets of the DLR form and
    of FAB, queries of Square, and whether they are the standard set's.
    """
    return _ensemble("attack_ensemble", LINF, classifier, setting)


@StagedEvaluator
def attack_ensemble_l2_outcomes(
    classifier: Classifier, shape: torch.Size, setting: Setting
) -> Sequence[Stage]:
    """Return the stages of the ensemble in the L2 ball; options as of the L-infinity ball."""
    check_epsilon(setting.severity, most=math.sqrt(shape.numel()))
    return _ensemble("attack_ensemble_l2", L2, classifier, setting)


def _ensemble(id: str, norm: Norm, classifier: Classifier, setting: Setting) -> Sequence[Stage]:
    options = checked_options(id, setting)
    check_epsilon(setting.severity)
    check_at_least_one(**{name: options[name] for name in ("steps", "restarts", "queries")})
    return ensemble_stages(classifier, replace(setting, options=options), norm)


def _descents(
    classifier: Classifier, setting: Setting, descent: Descent, restarts: int
) -> Sequence[Stage]:
    check_epsilon(descent.epsilon)
    check_schedule(descent.steps, descent.step_size, restarts, is_random=descent.is_random)
    predicting = Predicting(classifier, setting.conditions)
    if descent.epsilon == 0:
        return unchanged(predicting)
    stages = [
        Stage(partial(_descended, predicting, descent, restart)) for restart in range(restarts)
    ]
    return [predicting.clean(lambda *_: {}), *stages]


def _descended(
    predicting: Predicting, descent: Descent, restart: int, standing: Standing, _: int
) -> Done:
    """Attack images once; the first of the attacks also takes the gradient at the clean pixels."""
    images, flags, gradient = standing.images, [], None
    if restart == 0:
        gradient, norm, is_finite = clean_gradient(predicting.classifier, images)
        flags.append(is_finite)
    else:
        norm = standing.kept["gradient_norm"]
    with frozen(predicting.classifier):
        adversarial, is_finite = descent.run(
            predicting.classifier,
            floats(images),
            images.targets,
            keys=images.keys,
            restart=restart,
            gradient=gradient,
        )
    done = predicting.adversarial(standing, adversarial, norm)
    return replace(done, is_finite=torch.stack([*flags, is_finite]).all())
