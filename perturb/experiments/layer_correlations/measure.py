"""Layer correlations as a measurement."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pyarrow as pa

from perturb.datasets.store import ImageStore
from perturb.evaluation.batch_size import BatchSize
from perturb.evaluation.batches import batches_on
from perturb.evaluation.loop import Subject
from perturb.experiments.layer_correlations.similarity import correlate_layers
from perturb.models.precision import autocast, resolve_precision


def correlations_of(
    subject: Subject, store: ImageStore, model: str, asked: Mapping[str, Any], batch_size: int
) -> pa.Table:
    """Return the similarity of a model's layers, computed by `correlate_layers`.

    If a batch does not fit into memory, the network runs on parts of it and the features are kept
    on the host; the batches that are compared do not change.

    Parameters
    ----------
    asked : the measurement's settings from `perturb.plan.asked`; the numbers depend on its
        `batch_size`, which equals the argument.
    """
    size = BatchSize(batch_size, f"layers of {model}")
    run = partial(_correlated, subject, store, model, precision=asked["precision"])
    return size.until_fitting(run)


def _correlated(
    subject: Subject, store: ImageStore, model: str, size: BatchSize, *, precision: str
) -> pa.Table:
    precision = resolve_precision(precision, subject.device, subject.classifier.network)
    with autocast(precision, subject.device):
        return correlate_layers(
            subject.classifier,
            (images.pixels for images in batches_on(subject.device, store, size.limit)),
            model=model,
            image_ids=store.image_ids.to_pylist(),
            at_once=size.now,
        )
