"""Predictions of attacked images: FGSM, PGD and the attack ensemble.

Protocol: one forward pass determines which images are classified correctly, and only those are
attacked. An image predicted incorrectly before the attack counts as incorrect and keeps its clean
logits bit for bit, so accuracy under attack never exceeds clean accuracy. The final prediction is a
new forward pass over the adversarial images, not the last logits of the attack. In the ensemble
every attack runs on the images still predicted correctly, and its outcome is that after it and all
attacks before it.

B images, C channels, H W pixels, K classes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Outcome, Setting
from perturb.experiments.attacks import attack_ensemble, gradients
from perturb.experiments.setting import checked_options
from perturb.models.classifier import Classifier


@dataclass(frozen=True)
class _CorrectImages:
    """The b images still predicted correctly, with the loss gradient at their clean pixels."""

    images: Tensor  # float32 (b, 3, H, W) in [0, 1]
    targets: Tensor  # (b,)
    keys: Tensor  # (b,)
    gradient: Tensor  # (b, 3, H, W)


# Returns adversarial images (b, 3, H, W).
_Attack = Callable[[Classifier, _CorrectImages, Setting], Tensor]


def fgsm_outcomes(classifier: Classifier, images: Images, setting: Setting) -> Iterator[Outcome]:
    """Yield the predictions after one step of epsilon, which is the setting's severity."""
    return _outcomes(classifier, images, setting, {"fgsm": _fgsm}, "fgsm")


def pgd_outcomes(classifier: Classifier, images: Images, setting: Setting) -> Iterator[Outcome]:
    """Yield the predictions after projected gradient descent.

    Options: steps, relative_step (of epsilon), random_start, restarts.
    """
    return _outcomes(classifier, images, setting, {"pgd": _pgd}, "pgd")


def attack_ensemble_outcomes(
    classifier: Classifier, images: Images, setting: Setting
) -> Iterator[Outcome]:
    """Yield the predictions after each attack of the ensemble, in the order of the conditions.

    Options: steps and restarts of both APGD forms, targets of the DLR form, queries of Square.
    """
    return _outcomes(classifier, images, setting, _ENSEMBLE, "attack_ensemble")


@dataclass(frozen=True)
class _State:
    """State of all B images during an attack."""

    clean: Tensor  # float32 (B, 3, H, W) in [0, 1]
    targets: Tensor  # (B,)
    keys: Tensor  # (B,)
    gradient: Tensor  # (B, 3, H, W), 0 where the clean prediction is incorrect
    gradient_norm: Tensor  # (B,), NaN where the clean prediction is incorrect
    adversarial: Tensor  # (B, 3, H, W)
    logits: Tensor  # (B, K), of the adversarial images

    @property
    def still_correct(self) -> Tensor:
        """The images still predicted correctly, bool (B,)."""
        return self.logits.argmax(dim=1) == self.targets

    @property
    def columns(self) -> dict[str, Tensor]:
        """The shard's columns on the attack, each (B,)."""
        distance = (self.adversarial - self.clean).abs().amax(dim=(1, 2, 3))
        return {"distance": distance, "gradient_norm": self.gradient_norm}


def _outcomes(
    classifier: Classifier,
    images: Images,
    setting: Setting,
    table: Mapping[str, _Attack],
    id: str,
) -> Iterator[Outcome]:
    setting = replace(setting, options=checked_options(id, setting))
    state = _unattacked(classifier, images, setting.severity)
    for condition in setting.conditions:
        state = _attacked(classifier, state, setting, table[condition])
        yield Outcome(condition, 0, state.logits, state.columns)


# Neither function yields: a torch mode set around a yield would leak into the caller.
@torch.inference_mode(False)
def _unattacked(classifier: Classifier, images: Images, epsilon: float) -> _State:
    pixels = images.pixels
    if pixels.dtype == torch.uint8:
        pixels = pixels.float() / 255  # as the classifier does, to the bit
    clean, targets = gradients.checked(pixels, images.targets, epsilon)
    logits = gradients.predict(classifier, clean)
    is_correct = logits.argmax(dim=1) == targets
    gradient = torch.zeros_like(clean)
    norm = torch.full_like(logits[:, 0], torch.nan)
    if is_correct.any():
        gradient[is_correct] = gradients.loss_gradient(
            classifier, clean[is_correct], targets[is_correct]
        )
        gradients.check_finite(logits, gradient)
        norm[is_correct] = gradient[is_correct].abs().amax(dim=(1, 2, 3))
    return _State(clean, targets, images.keys, gradient, norm, clean, logits)


@torch.inference_mode(False)
def _attacked(classifier: Classifier, state: _State, setting: Setting, attack: _Attack) -> _State:
    """Return the state after an attack on the images still predicted correctly."""
    still_correct = state.still_correct
    if not still_correct.any():
        return state
    correct = _CorrectImages(
        state.clean[still_correct],
        state.targets[still_correct],
        state.keys[still_correct],
        state.gradient[still_correct],
    )
    adversarial = state.adversarial.clone()
    adversarial[still_correct] = attack(classifier, correct, setting)
    # All images are predicted again, not only those attacked: a batch of the same size gives the
    # same bits where the pixels are the same.
    logits = gradients.predict(classifier, adversarial)
    logits = torch.where(still_correct[:, None], logits, state.logits)
    return replace(state, adversarial=adversarial, logits=logits)


def _fgsm(classifier: Classifier, correct: _CorrectImages, setting: Setting) -> Tensor:
    return gradients.fgsm(
        classifier,
        correct.images,
        correct.targets,
        setting.severity,
        gradient=correct.gradient,
    )


def _pgd(classifier: Classifier, correct: _CorrectImages, setting: Setting) -> Tensor:
    return gradients.pgd(
        classifier,
        correct.images,
        correct.targets,
        setting.severity,
        steps=setting.options["steps"],
        step_size=setting.options["relative_step"] * setting.severity,
        random_start=setting.options["random_start"],
        restarts=setting.options["restarts"],
        keys=correct.keys,
        seed=setting.seed,
        gradient=correct.gradient,
    )


def _stage(attack: Callable[..., Tensor], **options: str) -> _Attack:
    """Return an attack of the ensemble with its options bound.

    options : the option for each argument of the attack.
    """

    def run(classifier: Classifier, correct: _CorrectImages, setting: Setting) -> Tensor:
        return attack(
            classifier,
            correct.images,
            correct.targets,
            setting.severity,
            keys=correct.keys,
            seed=setting.seed,
            **{argument: setting.options[option] for argument, option in options.items()},
        )

    return run


_GRADIENT = {"steps": "steps", "restarts": "restarts"}
_ENSEMBLE: Mapping[str, _Attack] = {
    "apgd_ce": _stage(attack_ensemble.apgd_ce, **_GRADIENT),
    "apgd_dlr": _stage(attack_ensemble.apgd_dlr, **_GRADIENT, num_targets="targets"),
    "square": _stage(attack_ensemble.square, queries="queries"),
}
