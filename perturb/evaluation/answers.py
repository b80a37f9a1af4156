"""The predictions of a cell, which stay on the device until its end.

Reading a value from a GPU stops the host until all earlier work is done. So columns are filled on
the device, images whose logits are not finite are marked there, and both are read once a cell.

Legend: B images of a batch, N of the decoded dataset, M most accepted classes of an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import torch
from torch import Tensor

from perturb.datasets.store import ImageStore
from perturb.evaluation.cell import Cell
from perturb.evaluation.outcome import Outcome
from perturb.evaluation.rows import Predictions, predictions, rows
from perturb.models.class_maps import ClassMap

# Rows of some images among the N: int64 (B,), or a slice, which costs no look-up.
Rows = Tensor | slice


@dataclass(frozen=True)
class Answer:
    """Predictions of some images under one condition.

    is_broken : bool (B,) or (N,), images that have a logit that is not finite.
    """

    condition: str
    sample: int
    columns: Predictions
    is_broken: Tensor


@dataclass(frozen=True)
class Answers:
    """Predictions of one model on the N images of a decoded dataset.

    targets : int64 (N,), on the device.
    accepted : of `accepted_classes`, on the device.
    class_map : coarser classes to predict.
    """

    store: ImageStore
    cell: Cell
    targets: Tensor
    accepted: Tensor | None
    class_map: ClassMap | None
    _found: dict[tuple[str, int], Answer] = field(default_factory=dict)
    _is_there: dict[tuple[str, int], Tensor] = field(default_factory=dict)

    def of(self, outcome: Outcome, images: Rows) -> Answer:
        """Return the answer that follows from an outcome of some images; nothing is recorded."""
        accepted = None if self.accepted is None else self.accepted[images]
        columns = predictions(outcome, self.targets[images], accepted, self.class_map)
        is_broken = ~torch.isfinite(outcome.logits).all(dim=1)
        return Answer(outcome.condition, outcome.sample, columns, is_broken)

    @torch.inference_mode()
    def record(self, answer: Answer, images: Rows) -> None:
        """Record an answer on some images; it replaces earlier ones under its condition."""
        key = answer.condition, answer.sample
        if key not in self._found:
            self._found[key] = self._empty(answer)
            self._is_there[key] = torch.zeros_like(self._found[key].is_broken)
        found = self._found[key]
        for name, value in answer.columns.items():
            column = found.columns[name]
            if isinstance(column, Tensor) and isinstance(value, Tensor):
                column[images] = value
        found.is_broken[images] = found.is_broken[images] | answer.is_broken
        self._is_there[key][images] = True

    def take(self, images: Rows, outcomes: Sequence[Outcome]) -> None:
        """Record what follows from outcomes of some images."""
        for outcome in outcomes:
            self.record(self.of(outcome, images), images)

    def _empty(self, answer: Answer) -> Answer:
        """Return an answer of all images, to be filled."""
        count = len(self.targets)
        columns = {
            name: value if isinstance(value, str) else value.new_empty(count)
            for name, value in answer.columns.items()
        }
        is_broken = answer.is_broken.new_zeros(count)
        return Answer(answer.condition, answer.sample, columns, is_broken)

    def tables(self) -> dict[tuple[str, int], pa.Table]:
        """Return the rows of each condition and sample.

        Raises
        ------
        ValueError
            if a logit is not finite, or an image has no prediction.
        """
        self._check(list(self._found))
        return {key: self._table(answer) for key, answer in self._found.items()}

    def _check(self, keys: Sequence[tuple[str, int]]) -> None:
        facts = [
            torch.stack([self._found[key].is_broken.sum(), self._is_there[key].sum()])
            for key in keys
        ]
        counts = torch.stack(facts).tolist()
        for (condition, sample), (num_broken, num_there) in zip(keys, counts, strict=True):
            if num_broken:
                raise ValueError(f"{condition}: logits of {num_broken} images are not finite")
            if num_there != len(self.targets):
                raise ValueError(
                    f"sample {sample} of {condition!r} has {num_there} images; expected: "
                    f"{len(self.targets)}"
                )

    def _table(self, answer: Answer) -> pa.Table:
        columns = {
            name: value.cpu() if isinstance(value, Tensor) else value
            for name, value in answer.columns.items()
        }
        return rows(self.cell, answer.condition, answer.sample, self.store, columns)
