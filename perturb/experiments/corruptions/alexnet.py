"""Checks of AlexNet's published errors as denominators of a study's corruption errors.

Hendrycks and Dietterich measured AlexNet on ImageNet's 1,000 classes, on JPEG files of 224 px, as
the mean of five severities. Errors on other images divided by them are not an mCE.
"""

from collections.abc import Iterator

from perturb.datasets.real.label_space import num_label_classes
from perturb.messages import listed
from perturb.records import Config, Dataset

IMAGENET_C_SIDE = 224  # of the published files [px]
NUM_SEVERITIES = 5
NUM_CLASSES = 1000
_PUBLISHED = ("imagenet", "imagenet-c")
_INSTEAD = "; `denominators: reference` divides by the errors of a model with `role: reference`"


def check_alexnet(config: Config) -> Iterator[str]:
    """Yield a message for each setting to which AlexNet's errors do not apply."""
    corruptions = config.corruptions
    if corruptions is None or corruptions.denominators != "alexnet":
        return
    section = f"perturbations.{corruptions.key}"
    if len(corruptions.severities) < NUM_SEVERITIES:
        yield (
            f"{section}.severities: {listed(corruptions.severities)}; `denominators: alexnet` "
            "needs all five: its errors are published as their means"
        )
    corrupted = _corrupted(config)
    for dataset in {
        config.clean_dataset.id: config.clean_dataset,
        corrupted.id: corrupted,
    }.values():
        found = _other_classes(dataset)
        if found and config.is_whole(f"datasets.{dataset.id}"):
            yield (
                f"{section}.denominators: alexnet, but datasets.{dataset.id} {found}; "
                f"allowed: ImageNet's {NUM_CLASSES}{_INSTEAD}"
            )
    is_stored = corruptions.key == "stored_corruptions"
    side = None if corrupted.view is None else corrupted.view.side
    if is_stored and side != 0:
        yield (
            f"{section}.denominators: alexnet, but datasets.{corrupted.id}.preprocessing resizes "
            f"what is stored; allowed: as_is, with files of {IMAGENET_C_SIDE} px{_INSTEAD}"
        )
    if not is_stored and not (corruptions.options and side in (0, IMAGENET_C_SIDE)):
        yield (
            f"{section}.denominators: alexnet needs `jpeg` and, as "
            f"datasets.{corrupted.id}.preprocessing, a side of {IMAGENET_C_SIDE}: AlexNet's errors "
            f"are on such files{_INSTEAD}"
        )


def needed_side(config: Config, dataset: Dataset) -> int | None:
    """Return the required side of a dataset's files [px], None if it is not restricted."""
    corruptions = config.corruptions
    is_divided = corruptions is not None and corruptions.denominators == "alexnet"
    if is_divided and dataset == _corrupted(config) and dataset.view and dataset.view.side == 0:
        return IMAGENET_C_SIDE
    return None


def _corrupted(config: Config) -> Dataset:
    """Return the dataset whose pixels are corrupted, in memory or in stored files."""
    corruptions = config.corruptions
    if corruptions is not None and corruptions.key == "stored_corruptions":
        return config.datasets[corruptions.datasets[0]]
    return config.clean_dataset


def _other_classes(dataset: Dataset) -> str:
    """Return a message unless a dataset's classes are ImageNet's, else an empty text."""
    known = {dataset.num_classes, num_label_classes(dataset)} - {None}
    if not known:
        return "" if dataset.published in _PUBLISHED else "does not say how many `classes` it has"
    others = sorted(number for number in known if number is not None and number != NUM_CLASSES)
    return f"has {others[0]} classes" if others else ""
