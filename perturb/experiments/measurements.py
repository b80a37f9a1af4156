"""Evaluation of measurements: values of one model other than its predictions."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from perturb import provenance
from perturb.evaluation.failures import Once
from perturb.evaluation.jobs import Files, stores_of
from perturb.evaluation.keeping import Task, evaluate_each, unfinished
from perturb.evaluation.loop import Load
from perturb.experiments.registry import entry_point, measurements


def measure(
    tasks: Sequence[Task], load: Load, model: str, files: Files, batch_size: int
) -> Iterator[Task]:
    """Make the measurements of one model without a file; yield each when its file exists.

    Parameters
    ----------
    tasks : of declared measurements.
    load, files, batch_size : as of `perturb.evaluation.jobs.evaluate_cells`.
    """
    left = unfinished(tasks)
    loaded = Once(partial(load, model))

    def evaluate(task: Task) -> tuple[pa.Table, dict[str, Any]]:
        subject = loaded()
        name, asked = str(task.asked["measurement"]), task.asked
        store = stores_of(asked, files, [name])[name]
        table = entry_point(measurements()[name].measure)(subject, store, model, asked, batch_size)
        return table, {
            "model": model,
            "measurement": name,
            "protocol": asked["protocol"],
            "seed": asked["seed"],
            "weights_sha256": subject.card.weights_sha256,
            "device": provenance.device_name(subject.device),
            "versions": provenance.versions(),
            "commit": provenance.commit(),
        }

    yield from evaluate_each(left, evaluate)
