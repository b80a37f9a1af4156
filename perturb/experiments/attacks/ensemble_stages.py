"""Stages of the attack ensemble: those of each run of an attack, and its verdict.

A run keeps of an image what its next steps need, at most 14 times the image's bytes (20 times in
the L2 ball), and only while the image waits for its next stage. Images that a run misled go to its
verdict, a new pass over their pixels; those still correct after it begin the next run from their
clean pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch
from torch import Tensor

from perturb import random
from perturb.evaluation.outcome import Setting
from perturb.evaluation.stages import Done, Stage, Standing
from perturb.experiments.attacks import apgd, fab, square
from perturb.experiments.attacks.attack_ensemble import (
    check_classes,
    cross_entropy,
    likely_others,
    random_start,
    targeted_dlr,
)
from perturb.experiments.attacks.gradients import frozen
from perturb.experiments.attacks.norms import Norm
from perturb.experiments.attacks.running import Run
from perturb.experiments.attacks.squares import SCHEDULE
from perturb.experiments.attacks.stages import (
    Predicting,
    carried,
    clean_gradient,
    floats,
    unchanged,
)
from perturb.models.classifier import Classifier


def ensemble_stages(classifier: Classifier, setting: Setting, norm: Norm) -> list[Stage]:
    """Return the stages of the attacks that are the setting's conditions, in their order."""
    conditions = setting.conditions
    predicting = Predicting(classifier, conditions, norm)
    if "apgd_dlr" in conditions:
        check_classes(classifier.num_classes)
    if setting.severity == 0:
        return unchanged(predicting)

    def keep(logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
        count = setting.options["targets"]
        aims = not {"apgd_dlr", "fab"}.isdisjoint(conditions)
        return {"aims": likely_others(logits, targets, count)} if aims else {}

    stages = [predicting.clean(keep), Stage(partial(_with_norm, classifier))]
    for place, condition in enumerate(conditions):
        verdict = Predicting(classifier, conditions[place:], norm)
        for run in _runs(condition, classifier, setting, norm):
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


def _runs(condition: str, classifier: Classifier, setting: Setting, norm: Norm) -> Iterator["_Run"]:
    """Yield the runs of one attack, in order."""
    options, epsilon, seed = setting.options, setting.severity, setting.seed
    ranks = range(min(options["targets"], classifier.num_classes - 1))
    restarts, steps = range(options["restarts"]), options["steps"]
    if condition == "square":
        scheduled = SCHEDULE if options["standard"] else None
        search = square.Search(classifier, epsilon, options["queries"], seed, norm, scheduled)
        yield _Run(search, square.State, partial(_square_start, search), _targets_and_keys)
    elif condition == "fab":
        searches = fab.Run(classifier, epsilon, steps, norm)
        for rank in ranks:
            yield _Run(searches, fab.State, partial(_fab_start, searches), partial(_aimed, rank))
    elif condition == "apgd_ce":
        climb = apgd.Run(classifier, epsilon, cross_entropy, steps, norm)
        for restart in restarts:
            start = partial(_apgd_start, climb, f"apgd_ce/{restart}", seed)
            yield _Run(climb, apgd.State, start, _true)
    else:
        climb = apgd.Run(classifier, epsilon, targeted_dlr, steps, norm)
        for rank in ranks:
            for restart in restarts:
                start = partial(_apgd_start, climb, f"apgd_dlr/{rank}/{restart}", seed)
                yield _Run(climb, apgd.State, start, partial(_aimed, rank))


@dataclass(frozen=True)
class _Run:
    """One run of an attack.

    state : the type of its state.
    started : returns the state before the first step, of the images as floats.
    given : returns what each step is given of the images beside their pixels.
    """

    run: Run
    state: type[Any]
    started: Callable[[Standing, Tensor], Any]
    given: Callable[[Standing], tuple[Tensor, ...]]

    @property
    def spans(self) -> Sequence[range]:
        """The steps of each stage."""
        return self.run.spans

    def stage(self, span: range, standing: Standing, _: int) -> Done:
        """Take the steps of one stage; images go to the verdict once misled, and all at the end."""
        images, advanced = floats(standing.images), self.run.advanced
        if span.start == 0:
            state = self.started(standing, images)
        else:
            names = [field.name for field in fields(self.state)]
            state = self.state(**{name: standing.kept[name] for name in names})
        with frozen(self.run.classifier):
            state, is_finite = advanced(state, images, *self.given(standing), span)
        found = carried(standing) | {"adversarial": state.best}
        if span == self.spans[-1]:
            return Done(kept=found, is_finite=is_finite)
        kept = carried(standing) | vars(state)
        return Done(kept=kept, leaves=state.is_misled, left=found, is_finite=is_finite)


def _apgd_start(
    run: apgd.Run, stream: str, seed: int, standing: Standing, images: Tensor
) -> apgd.State:
    """Return the state at a random start, which depends on the stream's name."""
    keys = random.stream_keys(seed, stream, standing.images.keys)
    return run.started(images, random_start(images, run.epsilon, keys, run.norm))


def _fab_start(run: fab.Run, _: Standing, images: Tensor) -> fab.State:
    return run.started(images)


def _square_start(search: square.Search, standing: Standing, images: Tensor) -> square.State:
    return search.started(images, standing.images.keys)


def _targets_and_keys(standing: Standing) -> tuple[Tensor, ...]:
    return standing.images.targets, standing.images.keys


def _true(standing: Standing) -> tuple[Tensor, ...]:
    """Return the labels of the cross-entropy, (B, 1)."""
    return (standing.images.targets[:, None],)


def _aimed(rank: int, standing: Standing) -> tuple[Tensor, ...]:
    """Return the true class and one of the likely others, (B, 2)."""
    return (torch.stack([standing.images.targets, standing.kept["aims"][:, rank]], dim=1),)
