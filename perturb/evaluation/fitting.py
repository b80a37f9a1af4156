"""Checks of decoded datasets against the evaluated model, and against each other."""

from collections.abc import Mapping

import torch
from torch import Tensor

from perturb.datasets.classes import Classes
from perturb.datasets.manifests import classes_of
from perturb.datasets.store import ImageStore
from perturb.evaluation.cell import Cell
from perturb.evaluation.outcome import Setting
from perturb.models.class_maps import ClassMap


def check_targets(
    store: ImageStore,
    cell: Cell,
    accepted: Tensor | None,
    num_classes: int,
    class_map: ClassMap | None,
) -> None:
    """Raise a ValueError if targets are not among the classes that are predicted.

    Parameters
    ----------
    accepted : of `accepted_classes`.
    num_classes : of the classifier.
    class_map : coarser classes to predict.
    """
    if class_map is not None:
        if accepted is not None:
            raise ValueError(f"{cell.dataset} accepts several classes; allowed without class map")
        class_map.check(num_classes)
        num_classes = len(class_map.names)
    else:
        _check_order(classes_of(store.manifest), cell, num_classes)
    highest = store.num_classes - 1 if accepted is None else int(accepted.max())
    if highest >= num_classes:
        raise ValueError(
            f"{cell.dataset} has targets up to {highest}, "
            f"but {cell.model} has {num_classes} classes"
        )


def _check_order(classes: Classes | None, cell: Cell, num_classes: int) -> None:
    """Raise a ValueError if classes are numbered by the order of names, and the model has more."""
    if classes and classes.given_by == "order" and len(classes.names) < num_classes:
        raise ValueError(
            f"{cell.dataset}: the mapping of its {len(classes.names)} classes to the {num_classes} "
            f"classes of {cell.model} is not defined; `source.class_index` is needed"
        )


def check_stores(stores: Mapping[str, ImageStore], cell: Cell, setting: Setting) -> None:
    """Raise a ValueError if decoded datasets do not hold the same images, or conditions differ."""
    if set(stores) != set(setting.conditions):
        allowed = ", ".join(setting.conditions)
        raise ValueError(
            f"{cell}: decoded datasets of {', '.join(stores)}; allowed: one each of {allowed}"
        )
    first, *others = setting.conditions
    for condition in others:
        one, other = stores[first], stores[condition]
        if other is one:
            continue
        if len(one) != len(other):
            raise ValueError(
                f"{cell}: {condition!r} has {len(other)} images, but {first!r} has {len(one)}"
            )
        same = zip(one.image_ids.to_pylist(), other.image_ids.to_pylist(), strict=True)
        for row, (wanted, found) in enumerate(same):
            if wanted != found:
                raise ValueError(
                    f"{cell}: image {row} of {condition!r} is {found!r}, of {first!r} {wanted!r}"
                )
        if not torch.equal(one.targets, other.targets):
            raise ValueError(f"{cell}: {condition!r} has other targets than {first!r}")
