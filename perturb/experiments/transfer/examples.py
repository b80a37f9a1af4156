"""Predictions of target models on adversarial images of a source model.

Each target model predicts the PGD examples of a source model. All images are attacked, including
those that the source predicts incorrectly, unlike in the measurement of a model's own robustness: a
target is evaluated on the same images for every source, so that its accuracies can be compared
across sources and with its clean accuracy. Therefore a source's examples on itself are not its
white-box PGD cell: an incorrect prediction may become correct by chance.

Legend: B images, H W pixels.
"""

from torch import Tensor

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Outcome, Setting
from perturb.experiments.attacks.arguments import check_epsilon, check_schedule
from perturb.experiments.attacks.gradients import Descent, descended, predict
from perturb.experiments.options import with_defaults
from perturb.experiments.spatial.transforms import as_floats
from perturb.models.classifier import Classifier


def outcome_on(target: Classifier, source_id: str, images: Images, examples: Tensor) -> Outcome:
    """Return a target's predictions of a source's examples of these images.

    It fills ``distance``, the L-inf distance to the clean image. A ValueError names logits that are
    not finite.
    """
    distance = (examples - as_floats(images.pixels)).abs().amax(dim=(1, 2, 3))
    return Outcome(source_id, 0, predict(target, examples), {"distance": distance})


def examples_against(source: Classifier, images: Images, setting: Setting) -> Tensor:
    """Return the PGD examples of a source, float32 (B, 3, H, W) in [0, 1].

    Parameters
    ----------
    source : model whose gradients PGD follows.
    setting : severity is epsilon in units of [0, 1], where 0 returns the clean images; options are
        steps, relative_step (of epsilon), random_start (False) and restarts (1), as of ``pgd``.
        Errors are those of ``pgd``.
    """
    options = with_defaults("transfer", setting.options)
    epsilon, is_random = setting.severity, options["random_start"]
    descent = Descent(
        epsilon,
        options["steps"],
        options["relative_step"] * epsilon,
        is_random=is_random,
        seed=setting.seed,
    )
    check_epsilon(epsilon)
    check_schedule(descent.steps, descent.step_size, options["restarts"], is_random=is_random)
    return descended(
        source,
        as_floats(images.pixels),
        images.targets,
        descent,
        restarts=options["restarts"],
        keys=images.keys,
    )
