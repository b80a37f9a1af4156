"""Evaluation on unchanged images, among all classes or among those of one dataset."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from perturb.datasets.store import Images
from perturb.evaluation.outcome import InputEvaluator, Outcome, Perturbed, Setting
from perturb.models.classifier import Classifier

# Subtracted from the logits of excluded classes: their probability is exactly 0 in float32, and its
# logarithm is finite.
_OUT_OF_REACH = 1e4


@InputEvaluator
def unchanged_outcomes(images: Images, setting: Setting) -> Iterator[Perturbed]:
    """Yield the images as they are."""
    for condition in setting.conditions:
        yield Perturbed(condition, images.pixels)


@torch.inference_mode()
def subset_outcomes(classifier: Classifier, images: Images, setting: Setting) -> Iterator[Outcome]:
    """Yield the predictions of unchanged images among the classes of each subset.

    The logits of all other classes are lowered by 1e4: none of them is predicted, the probabilities
    are those of a softmax over the subset, and all values are finite. Values of an image whose
    target is not in the subset are meaningless: its loss is about 1e4. All conditions share one
    forward pass.

    Parameters
    ----------
    setting : its conditions are names of subsets, such as ids of datasets; option ``classes`` has
        the classes of each.

    Raises
    ------
    ValueError
        for another option, a condition without classes, or a class that the classifier does not
        have.
    """
    if unknown := sorted(setting.options.keys() - {"classes"}):
        raise ValueError(f"option of class_subset is {unknown[0]!r}; allowed: classes")
    logits = classifier(images.pixels).float()
    subsets = setting.options.get("classes", {})
    for condition in setting.conditions:
        classes = _checked_subset(condition, subsets, classifier.num_classes)
        lowered = logits - _OUT_OF_REACH
        lowered[:, classes] = logits[:, classes]
        yield Outcome(condition, 0, lowered)


def _checked_subset(
    condition: str, subsets: Mapping[str, Sequence[Any]], num_classes: int
) -> list[int]:
    classes = list(subsets.get(condition, ()))
    if not classes:
        allowed = ", ".join(name for name, members in subsets.items() if members)
        raise ValueError(f"class_subset has no classes of {condition!r}; allowed: {allowed}")
    for number in classes:
        if type(number) is not int or not 0 <= number < num_classes:
            raise ValueError(
                f"class_subset of {condition!r} has class {number!r}; "
                f"allowed: 0 to {num_classes - 1}"
            )
    return classes
