"""Layer correlations: similarity of the outputs of the blocks of a network."""

from collections.abc import Iterator, Mapping
from typing import Any

from perturb.experiments.blocks import without_blocks
from perturb.experiments.declaration import Experiment, Measurement, Passes
from perturb.records import Config

# The unbiased estimate of CKA divides by n - 3.
FEWEST_CORRELATED = 4


def _passes(_: Mapping[str, Any]) -> Passes:
    return Passes(predictions=1)


def _check(config: Config) -> Iterator[str]:
    correlations = config.correlations
    if correlations is None:
        return
    if correlations.dataset != config.clean_dataset.id:
        yield (
            f"analyses.correlations.dataset: {correlations.dataset!r}; "
            f"allowed: {config.clean_dataset.id}, the clean set"
        )
    architectures = [config.models[model].architecture for model in config.benchmark_models]
    if all(map(without_blocks, architectures)):
        yield "analyses.correlations: no model of this study has blocks that can be read"
    if correlations.num_images < FEWEST_CORRELATED:
        yield (
            f"analyses.correlations.images: {correlations.num_images}; "
            f"allowed: {FEWEST_CORRELATED} or more"
        )


EXPERIMENT = Experiment(
    title="Layer correlations",
    figure="7",
    measurements=(
        Measurement(
            id="correlations",
            protocol=1,
            passes=_passes,
            label="layer correlations",
            lacks=without_blocks,
        ),
    ),
    checks=_check,
)
