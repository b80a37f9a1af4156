"""Evaluation in stages: full batches of what is left, whatever the batches of the dataset."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from perturb.datasets.store import Images
from perturb.evaluation.batch_size import BatchSize
from perturb.evaluation.outcome import Outcome, Setting
from perturb.evaluation.spans import spans
from perturb.evaluation.stages import Done, Line, Stage, StagedEvaluator, Standing
from tests.device_counts import counted

SETTING = Setting(("deepest",), 0, 1)


def make_images(count: int, first: int = 0) -> Images:
    """Return images whose pixels, keys and targets are their numbers."""
    numbers = torch.arange(first, first + count)
    pixels = numbers.to(torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2)
    return Images(pixels, numbers, numbers)


class Sieve:
    """Stages of which each lets the multiples of its number leave; logits are its number."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, list[int]]] = []
        self.too_many = 1000

    def stages(self, *_: Any) -> list[Stage]:
        return [Stage(partial(self.run, number)) for number in (2, 3, 4)]

    def run(self, number: int, standing: Standing, capacity: int) -> Done:
        assert len(standing) <= capacity
        if len(standing) > self.too_many:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.check(standing)
        self.batches.append((number, standing.rows.tolist()))
        logits = torch.full((len(standing), 4), float(number))
        kept = {"row": standing.rows}
        return Done(
            [Outcome("deepest", 0, logits, {"distance": standing.rows.float()})],
            kept,
            leaves=standing.rows % number == 0,
        )

    @staticmethod
    def check(standing: Standing) -> None:
        """Check that all that is known of an image moved together."""
        images = standing.images
        assert images.keys.equal(standing.rows)
        assert images.targets.equal(standing.rows)
        assert images.pixels[:, 0, 0, 0].long().equal(standing.rows)
        assert standing.kept.get("row", standing.rows).equal(standing.rows)


def run(sieve: Sieve, count: int, batch: int) -> dict[int, list[int]]:
    """Return what was said of each image, in order."""
    said: dict[int, list[int]] = {row: [] for row in range(count)}

    def take(rows: Tensor, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            for row, logits in zip(rows.tolist(), outcome.logits, strict=True):
                said[row].append(int(logits[0]))

    line = Line(sieve.stages(), BatchSize(batch, "a sieve"), take)
    for first in range(0, count, batch):
        line.add(make_images(min(batch, count - first), first), first)
    line.finish()
    return said


def expected(count: int) -> dict[int, list[int]]:
    found = {}
    for row in range(count):
        passed = [n for n in (2, 3, 4) if all(row % m for m in range(2, n))]
        found[row] = passed
    return found


@pytest.mark.parametrize("count", [1, 7, 8, 9, 50, 64])
@pytest.mark.parametrize("batch", [1, 8, 100])
def test_an_image_goes_through_stages_until_it_leaves(count: int, batch: int) -> None:
    assert run(Sieve(), count, batch) == expected(count)


def test_batches_are_full_but_the_last_of_each_stage() -> None:
    sieve = Sieve()
    run(sieve, 64, 8)
    for number, num_images in ((2, 64), (3, 32), (4, 21)):
        sizes = [len(rows) for stage, rows in sieve.batches if stage == number]
        assert sum(sizes) == num_images
        assert sizes == [8] * (num_images // 8) + [num_images % 8] * (num_images % 8 > 0)


def test_a_full_batch_does_not_wait() -> None:
    """A queue holds less than two batches: memory does not grow with the dataset."""
    sieve = Sieve()
    run(sieve, 64, 8)
    waiting = {2: 0, 3: 0, 4: 0}
    for number, rows in sieve.batches:
        if number < 4:
            waiting[number + 1] += sum(row % number != 0 for row in rows)
        waiting[number] -= len(rows) if number > 2 else 0
        assert all(0 <= count < 16 for count in waiting.values())


def test_images_that_leave_go_to_the_exit_with_what_is_left_for_them() -> None:
    found: dict[int, int] = {}

    def first(standing: Standing, _: int) -> Done:
        odd = standing.rows % 2
        return Done(kept={"odd": odd}, leaves=odd == 0, left={"way": standing.rows + 100})

    def second(standing: Standing, _: int) -> Done:
        assert standing.kept["odd"].all()
        return Done(kept={"way": standing.rows + 200})

    def third(standing: Standing, _: int) -> Done:
        found.update(zip(standing.rows.tolist(), standing.kept["way"].tolist(), strict=True))
        return Done()

    line = Line(
        [Stage(first, 2), Stage(second), Stage(third)], BatchSize(4, "a line"), lambda *_: None
    )
    for start in range(0, 12, 4):
        line.add(make_images(4, start), start)
    line.finish()
    assert found == {row: row + (200 if row % 2 else 100) for row in range(12)}


@pytest.mark.parametrize(("too_many", "smallest"), [(7, 4), (3, 2), (1, 1)])
def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_said_twice(
    too_many: int, smallest: int
) -> None:
    sieve = Sieve()
    sieve.too_many = too_many
    assert run(sieve, 50, 8) == expected(50)
    assert max(len(rows) for _, rows in sieve.batches) == smallest


def test_an_image_that_does_not_fit_is_an_error() -> None:
    sieve = Sieve()
    sieve.too_many = 0
    with pytest.raises(torch.OutOfMemoryError, match=r"a sieve: .*batch of 1 image, halved from 8"):
        run(sieve, 50, 8)


@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("broken", [0, 1])
def test_values_that_are_not_finite_are_refused(leaves: bool, broken: int) -> None:
    def run_stage(number: int, standing: Standing, _: int) -> Done:
        return Done(
            leaves=standing.rows < 0 if leaves else None,
            is_finite=torch.tensor(number != broken),
        )

    stages = [Stage(partial(run_stage, number)) for number in range(2)]
    line = Line(stages, BatchSize(4, "a line"), lambda *_: None)

    def run_line() -> None:
        line.add(make_images(4), 0)
        line.finish()

    with pytest.raises(ValueError, match="not finite; allowed: no NaN"):
        run_line()


def test_the_host_waits_once_a_batch_of_a_stage_whose_images_part() -> None:
    sieve = Sieve()
    sieve.check = lambda _: None  # type: ignore[method-assign]
    size, images = BatchSize(8, "a sieve"), [make_images(8, first) for first in range(0, 64, 8)]
    line = Line([sieve.stages()[0], Stage(lambda *_: Done())], size, lambda *_: None)
    with counted() as counts:
        for number, batch in enumerate(images):
            line.add(batch, 8 * number)
        line.finish()
    assert counts.syncs == 2 * len(images)  # the sieve lists its rows, the line asks once


@pytest.mark.parametrize("num_steps", [1, 2, 5, 20, 100, 775])
def test_spans_cover_all_steps_in_few_stages(num_steps: int) -> None:
    found = spans(num_steps)
    assert [step for span in found for step in span] == list(range(num_steps))
    assert len(found[0]) == 1
    assert all(len(span) <= max(1, span.start / 2) for span in found)
    assert len(found) <= 3 + 1.8 * num_steps.bit_length()


def test_an_evaluator_in_stages_is_called_as_any_other() -> None:
    sieve = Sieve()
    (outcome,) = StagedEvaluator(sieve.stages)(None, make_images(12), SETTING)  # type: ignore[arg-type]
    last = [said[-1] for said in expected(12).values()]
    assert outcome.logits[:, 0].tolist() == last
    distance: Any = outcome.added["distance"]
    assert distance.tolist() == list(range(12))
    nothing: Iterator[Outcome] = StagedEvaluator(sieve.stages)(None, make_images(0), SETTING)  # type: ignore[arg-type]
    assert list(nothing) == []
