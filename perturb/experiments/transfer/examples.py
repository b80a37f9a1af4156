"""Predictions of target models on adversarial images of a source model.

Each target model predicts the PGD examples of a source model. All images are attacked, including
those that the source predicts incorrectly, unlike in the measurement of a model's own robustness: a
target is evaluated on the same images for every source, so that its accuracies can be compared
across sources and with its clean accuracy. Therefore a source's examples on itself are not its
white-box PGD cell: an incorrect prediction may become correct by chance.

Legend: B images, H W pixels.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from perturb.datasets.store import Images
from perturb.evaluate.outcome import Outcome, Setting
from perturb.experiments.attacks.gradients import pgd, predict
from perturb.experiments.options import with_defaults
from perturb.experiments.spatial.transforms import as_floats
from perturb.models.classifier import Classifier


def transfer_outcomes(
    source: Classifier, targets: Mapping[str, Classifier], images: Images, setting: Setting
) -> Iterator[tuple[str, Outcome]]:
    """Yield each target's predictions of the source's adversarial images, with the target's id.

    The examples are made once. Outcomes fill ``distance``, the L-inf distance to the clean image.

    Parameters
    ----------
    source : model whose gradients PGD follows; it may be among the targets.
    setting : severity is epsilon in units of [0, 1], where 0 returns the clean images; the one
        condition is the source's id; options are steps, relative_step (of epsilon),
        random_start (False) and restarts (1), as of ``pgd``.

    Raises
    ------
    ValueError
        if there is not exactly one condition, for values that ``pgd`` refuses, and if a logit is
        not finite.
    """
    if len(setting.conditions) != 1:
        raise ValueError(f"conditions are {setting.conditions}; allowed: the id of the source")
    (source_id,) = setting.conditions
    examples = examples_against(source, images, setting)
    for target_id, target in targets.items():
        yield target_id, outcome_on(target, source_id, images, examples)


def outcome_on(target: Classifier, source_id: str, images: Images, examples: Tensor) -> Outcome:
    """Return a target's predictions of a source's examples of these images."""
    distance = (examples - as_floats(images.pixels)).abs().amax(dim=(1, 2, 3))
    return Outcome(source_id, 0, predict(target, examples), {"distance": distance})


def examples_against(source: Classifier, images: Images, setting: Setting) -> Tensor:
    """Return the PGD examples of a source, float32 (B, 3, H, W) in [0, 1]."""
    options = with_defaults("transfer", setting.options)
    return pgd(
        source,
        as_floats(images.pixels),
        images.targets,
        setting.severity,
        steps=options["steps"],
        step_size=options["relative_step"] * setting.severity,
        random_start=options["random_start"],
        restarts=options["restarts"],
        keys=images.keys,
        seed=setting.seed,
    )
