"""Evaluation in stages: each works on full batches of the images that are left.

An attack is over for an image once the prediction is incorrect. A batch that shrinks so leaves a
GPU idle, and asking after each step which images are left makes it wait. Here the work on an image
is divided into stages. Between two of them stands a queue: a stage runs as soon as a full batch
waits for it, with images of any batches before, and asks once which of them go on. Queues hold less
than two batches each, on the device, so memory does not grow with the number of images.

An image's result depends on its pixels, key and target alone. Batches are composed otherwise than
those of the decoded dataset, so logits of later stages agree only up to rounding with those of
another order; those of images that leave at the first stage are final, bit for bit.

Legend: B images of a batch, K classes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial, update_wrapper

import torch
from torch import Tensor

from perturb.datasets.store import Images
from perturb.evaluation.batch_size import BatchSize
from perturb.evaluation.outcome import Outcome, Setting
from perturb.evaluation.standing import Done, Kept, Stage, Standing
from perturb.models.classifier import Classifier

__all__ = ["Done", "Kept", "Line", "Stage", "StagedEvaluator", "Standing"]

# A classifier, the shape of its images (3, H, W) and a setting -> the stages.
Plan = Callable[[Classifier, torch.Size, Setting], Sequence[Stage]]
# Takes the outcomes of the images at some rows.
Take = Callable[[Tensor, Sequence[Outcome]], None]


class StagedEvaluator:
    """The evaluator of a perturbation that works in stages.

    Parameters
    ----------
    stages : returns them; raises a ValueError for a setting that is not allowed; used as a
        decorator.
    """

    def __init__(self, stages: Plan) -> None:
        self.stages = stages
        update_wrapper(self, stages)

    def __call__(
        self, classifier: Classifier, images: Images, setting: Setting
    ) -> Iterator[Outcome]:
        """Yield the predictions of images that all fit into memory.

        Raises
        ------
        ValueError
            also if a logit is not finite.
        """
        found: dict[tuple[str, int], Outcome] = {}
        count = len(images.keys)
        size = BatchSize(max(count, 1), "images")
        stages = self.stages(classifier, images.pixels.shape[1:], setting)
        line = Line(stages, size, partial(_gather, found, count))
        line.add(images, 0)
        line.finish()
        for condition in setting.conditions:
            for outcome in sorted(found.values(), key=lambda outcome: outcome.sample):
                if outcome.condition == condition:
                    yield outcome


@torch.inference_mode(False)
def _gather(
    found: dict[tuple[str, int], Outcome], count: int, rows: Tensor, outcomes: Sequence[Outcome]
) -> None:
    """Add outcomes of some images to those of all."""
    for outcome in outcomes:
        num_broken = int((~torch.isfinite(outcome.logits).all(dim=1)).sum())
        if num_broken:
            raise ValueError(f"{outcome.condition}: logits of {num_broken} images are not finite")
        key = outcome.condition, outcome.sample
        if key not in found:
            added = {
                name: value if isinstance(value, str) else value.new_empty(count)
                for name, value in outcome.added.items()
            }
            logits = outcome.logits.new_empty(count, outcome.logits.shape[1])
            found[key] = Outcome(*key, logits, added)
        found[key].logits[rows] = outcome.logits
        for name, value in outcome.added.items():
            column = found[key].added[name]
            if isinstance(column, Tensor) and isinstance(value, Tensor):
                column[rows] = value


class Line:
    """A line of stages with a queue before each.

    Parameters
    ----------
    size : of batches, halved where memory runs out.
    take : called with the outcomes of each stage that has some.
    within : returns the context in which stages run, such as one of a precision.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        size: BatchSize,
        take: Take,
        within: Callable[[], AbstractContextManager[None]] | None = None,
    ) -> None:
        self._stages, self._size, self._take, self._within = stages, size, take, within
        self._queues: list[list[Standing]] = [[] for _ in stages]
        self._is_finite: list[Tensor] = []

    @torch.inference_mode(False)
    def add(self, images: Images, first: int) -> None:
        """Add images, of which the first has row `first`; run the stages that have a full batch."""
        rows = torch.arange(first, first + len(images.keys), device=images.keys.device)
        pixels, keys, targets = map(_ordinary, (images.pixels, images.keys, images.targets))
        self._push(0, Standing(Images(pixels, keys, targets), rows))
        while (number := self._fullest()) is not None:
            self._run(number)

    @torch.inference_mode(False)
    def finish(self) -> None:
        """Run all stages on the images that are left.

        Raises
        ------
        ValueError
            if a value inside of a stage is not finite, as `add`.
        """
        for number, queue in enumerate(self._queues):
            while queue:
                self._run(number)
        if self._is_finite:
            _check(bool(torch.stack(self._is_finite).all()))

    def _fullest(self) -> int | None:
        """Return the last stage for which a full batch waits, None if there is no such."""
        numbers = reversed(range(len(self._queues)))
        return next((n for n in numbers if self._num_waiting(n) >= self._size.now), None)

    def _num_waiting(self, number: int) -> int:
        return sum(map(len, self._queues[number]))

    def _push(self, number: int | None, standing: Standing) -> None:
        if number is not None and number < len(self._stages) and len(standing):
            self._queues[number].append(standing)

    def _run(self, number: int) -> None:
        """Run a stage on a batch of those that wait for it."""
        waiting = Standing.joined(self._queues[number])
        count = min(len(waiting), self._size.now)
        batch = waiting.at(slice(count), waiting.kept)
        self._queues[number].clear()
        # Copied: a view would hold the memory of all.
        rest = torch.arange(count, len(waiting), device=waiting.rows.device)
        self._push(number, waiting.at(rest, waiting.kept))
        run = self._stages[number].run
        for part, done in self._size.until_fitting(partial(self._attempt, run, batch)):
            if done.outcomes:
                self._take(part.rows, done.outcomes)
            self._pass_on(number, part, done)

    def _attempt(
        self, run: Callable[[Standing, int], Done], batch: Standing, size: BatchSize
    ) -> list[tuple[Standing, Done]]:
        starts = range(0, len(batch), size.now)
        parts = [batch.at(slice(start, start + size.now), batch.kept) for start in starts]
        found = []
        for part in parts:
            if self._within is None:
                found.append((part, run(part, size.now)))
            else:
                with self._within():
                    found.append((part, run(part, size.now)))
        return found

    def _pass_on(self, number: int, part: Standing, done: Done) -> None:
        """Hand the images of a stage to the stages that they go to; the host waits at most once."""
        if done.is_finite is not None:
            self._is_finite.append(done.is_finite)
        is_last = number + 1 == len(self._stages)
        if done.leaves is None or is_last:
            self._push(number + 1, part.at(slice(None), done.kept))
            return
        facts = [done.leaves.sum(), *(value.long() for value in self._is_finite)]
        num_leaving, *is_finite = torch.stack(facts).tolist()
        self._is_finite.clear()
        _check(all(is_finite))
        order = done.leaves.argsort(stable=True)
        num_staying = len(part) - num_leaving
        self._push(number + 1, part.at(order[:num_staying], done.kept))
        exit = self._stages[number].exit
        if exit is not None:
            left = done.kept if done.left is None else done.left
            self._push(exit, part.at(order[num_staying:], left))


def _check(is_finite: bool) -> None:
    if not is_finite:
        raise ValueError("logits or gradients are not finite; allowed: no NaN, no infinity")


def _ordinary(tensor: Tensor) -> Tensor:
    """Return the tensor, or a copy if it was made in inference mode."""
    return tensor.clone() if tensor.is_inference() else tensor
