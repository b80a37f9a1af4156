"""Shape bias: whether models follow shape or texture where the two conflict."""

from collections.abc import Iterator

from perturb.experiments.declaration import Experiment
from perturb.messages import listed
from perturb.records import Config


def _check(config: Config) -> Iterator[str]:
    evaluated = config.perturbations["none"].datasets
    conflicts = [id for id in evaluated if config.datasets[id].role == "cue_conflict"]
    if len(conflicts) > 1:
        yield (
            f"perturbations.none.datasets: {listed(conflicts)} all have `role: cue_conflict`; "
            "allowed: one"
        )


EXPERIMENT = Experiment(title="Shape bias", figure="6", checks=_check)
