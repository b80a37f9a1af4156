"""The one table of measurements: what measures one model beside its predictions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from perturb import provenance
from perturb.datasets.store import ImageStore
from perturb.evaluate.jobs import Files, stores_of
from perturb.evaluate.keeping import Task, evaluate_each, unfinished
from perturb.evaluate.loop import Load, Subject
from perturb.experiments.layer_correlations.measure import correlations_of
from perturb.experiments.perturbation_patterns.measure import patterns_of

Measure = Callable[[Subject, ImageStore, str, Mapping[str, Any], int], pa.Table]

MEASUREMENTS: Mapping[str, Measure] = {
    "perturbation_patterns": patterns_of,
    "layer_correlations": correlations_of,
}


def measure(
    tasks: Sequence[Task], load: Load, model: str, files: Files, batch_size: int
) -> Iterator[Task]:
    """Make the measurements of one model that are not kept; yield each when its file is there.

    Parameters
    ----------
    tasks : named as in `MEASUREMENTS`.
    load, files, batch_size : as of `perturb.evaluate.jobs.evaluate_cells`.
    """
    left = unfinished(tasks)
    if not left:
        return
    subject = load(model)

    def evaluate(task: Task) -> tuple[pa.Table, dict[str, Any]]:
        name, asked = str(task.asked["measurement"]), task.asked
        store = stores_of(asked, files, [name])[name]
        return MEASUREMENTS[name](subject, store, model, asked, batch_size), {
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
