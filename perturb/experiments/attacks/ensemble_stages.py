"""Stages of the attack ensemble: those of each run of APGD and of Square, and its verdict.

A run keeps of an image what its next steps need, at most 14 times the image's bytes, and only while
the image waits for its next stage. Images that a run misled go to its verdict, a new pass over
their pixels; those still correct after it begin the next run from their clean pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch
from torch import Tensor

from perturb import random
from perturb.evaluation.outcome import Setting
from perturb.evaluation.stages import Done, Stage, Standing
from perturb.experiments.attacks import apgd, square
from perturb.experiments.attacks.attack_ensemble import (
    check_classes,
    cross_entropy,
    likely_others,
    random_start,
    targeted_dlr,
)
from perturb.experiments.attacks.gradients import frozen
from perturb.experiments.attacks.stages import (
    Predicting,
    carried,
    clean_gradient,
    floats,
    unchanged,
)
from perturb.models.classifier import Classifier


def ensemble_stages(classifier: Classifier, setting: Setting) -> list[Stage]:
    """Return the stages of the attacks that are the setting's conditions, in their order."""
    conditions, predicting = setting.conditions, Predicting(classifier, setting.conditions)
    aims = "apgd_dlr" in conditions
    if aims:
        check_classes(classifier.num_classes)
    if setting.severity == 0:
        return unchanged(predicting)

    def keep(logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
        count = setting.options["targets"]
        return {"aims": likely_others(logits, targets, count)} if aims else {}

    stages = [predicting.clean(keep), Stage(partial(_with_norm, classifier))]
    for place, condition in enumerate(conditions):
        verdict = Predicting(classifier, conditions[place:])
        for run in _runs(condition, classifier, setting):
            exit = len(stages) + len(run.spans)
            stages += [Stage(partial(run.stage, span), exit) for span in run.spans]
            stages.append(Stage(partial(_verdict, verdict)))
    return stages


def _with_norm(classifier: Classifier, standing: Standing, _: int) -> Done:
    norm, is_finite = clean_gradient(classifier, standing.images)[1:]
    return Done(kept=carried(standing) | {"gradient_norm": norm}, is_finite=is_finite)


def _verdict(predicting: Predicting, standing: Standing, _: int) -> Done:
    adversarial = standing.kept["adversarial"].contiguous()
    return predicting.adversarial(standing, adversarial, standing.kept["gradient_norm"])


def _runs(
    condition: str, classifier: Classifier, setting: Setting
) -> Sequence["_ApgdRun | _SquareRun"]:
    """Return the runs of one attack, in order."""
    options, epsilon, seed = setting.options, setting.severity, setting.seed
    if condition == "square":
        return [_SquareRun(square.Search(classifier, epsilon, options["queries"], seed))]
    restarts, steps = range(options["restarts"]), options["steps"]
    if condition == "apgd_ce":
        run = apgd.Run(classifier, epsilon, cross_entropy, steps)
        return [_ApgdRun(run, f"apgd_ce/{restart}", seed, _true) for restart in restarts]
    run = apgd.Run(classifier, epsilon, targeted_dlr, steps)
    num_targets = min(options["targets"], classifier.num_classes - 1)
    return [
        _ApgdRun(run, f"apgd_dlr/{rank}/{restart}", seed, partial(_aimed, rank))
        for rank in range(num_targets)
        for restart in restarts
    ]


def _true(standing: Standing) -> Tensor:
    """Return the labels of the cross-entropy, (B, 1)."""
    return standing.images.targets[:, None]


def _aimed(rank: int, standing: Standing) -> Tensor:
    """Return the labels of the DLR loss, the true class and one of the likely others, (B, 2)."""
    return torch.stack([standing.images.targets, standing.kept["aims"][:, rank]], dim=1)


@dataclass(frozen=True)
class _ApgdRun:
    """One run of APGD, with the stream of its random start and the labels of its loss."""

    run: apgd.Run
    stream: str
    seed: int
    labels: Callable[[Standing], Tensor]

    @property
    def spans(self) -> list[range]:
        """The steps of each stage."""
        return self.run.spans

    def stage(self, span: range, standing: Standing, _: int) -> Done:
        """Take the steps of one stage."""
        images, labels = floats(standing.images), self.labels(standing)
        state = self._started(standing, images) if span.start == 0 else _state(apgd.State, standing)
        with frozen(self.run.classifier):
            state, is_finite = self.run.advanced(state, images, labels, span)
        return _done(state, standing, is_finite, is_last=span == self.spans[-1])

    def _started(self, standing: Standing, images: Tensor) -> apgd.State:
        keys = random.stream_keys(self.seed, self.stream, standing.images.keys)
        return self.run.started(images, random_start(images, self.run.epsilon, keys))


@dataclass(frozen=True)
class _SquareRun:
    """The search of Square."""

    search: square.Search

    @property
    def spans(self) -> list[range]:
        """The queries of each stage."""
        return self.search.spans

    def stage(self, span: range, standing: Standing, _: int) -> Done:
        """Make the queries of one stage."""
        images, keys = floats(standing.images), standing.images.keys
        if span.start == 0:
            state = self.search.started(images, keys)
        else:
            state = _state(square.State, standing)
        targets = standing.images.targets
        state, is_finite = self.search.advanced(state, images, targets, keys, span)
        return _done(state, standing, is_finite, is_last=span == self.spans[-1])


def _state(kind: Any, standing: Standing) -> Any:
    """Return the state that the stage before kept."""
    return kind(**{field.name: standing.kept[field.name] for field in fields(kind)})


def _done(
    state: apgd.State | square.State, standing: Standing, is_finite: Tensor, *, is_last: bool
) -> Done:
    """Return the result of a stage; images go to the verdict once misled, and all at the end."""
    found = carried(standing) | {"adversarial": state.best}
    if is_last:
        return Done(kept=found, is_finite=is_finite)
    kept = carried(standing) | vars(state)
    return Done(kept=kept, leaves=state.is_misled, left=found, is_finite=is_finite)
