"""Tensors computed from all images of a decoded dataset and kept on the host."""

from collections.abc import Callable
from contextlib import closing
from functools import partial

import torch
from torch import Tensor

from perturb.datasets.store import Images, ImageStore
from perturb.evaluation.batch_size import BatchSize
from perturb.evaluation.batches import batches_on, part_of
from perturb.evaluation.loop import Subject
from perturb.models.precision import autocast, resolve_precision


def on_all(
    subject: Subject,
    store: ImageStore,
    run: Callable[[Images], Tensor],
    size: BatchSize,
    precision: str,
) -> Tensor:
    """Return the results of `run` on all images, (N, ...), on the host."""
    precision = resolve_precision(precision, subject.device, subject.classifier.network)

    def on_part(batch: Images, start: int, stop: int) -> Tensor:
        with autocast(precision, subject.device):
            return run(part_of(batch, start, stop)).cpu()

    with closing(batches_on(subject.device, store, size.limit)) as batches:
        return torch.cat(
            [
                part
                for batch in batches
                for part in size.over(len(batch.keys), partial(on_part, batch))
            ]
        )
