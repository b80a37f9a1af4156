"""Layer correlations: similarity of the outputs of the blocks of a network."""

from collections.abc import Iterator

from perturb.experiments.blocks import without_blocks
from perturb.experiments.declaration import (
    Chart,
    Experiment,
    Measurement,
    Pivot,
    Source,
    Table,
    TestSet,
)
from perturb.records import Config

# The unbiased estimate of CKA divides by n - 3.
FEWEST_CORRELATED = 4


def _check(config: Config) -> Iterator[str]:
    correlations = config.correlations
    if correlations is None:
        return
    if correlations.dataset != config.clean_dataset.id:
        yield (
            f"analyses.layer_correlations.dataset: {correlations.dataset!r}; "
            f"allowed: {config.clean_dataset.id}, the clean set"
        )
    architectures = [config.models[model].architecture for model in config.benchmark_models]
    if config.is_whole("models") and all(map(without_blocks, architectures)):
        yield "analyses.layer_correlations: no model of this study has readable blocks"
    if correlations.num_images < FEWEST_CORRELATED:
        yield (
            f"analyses.layer_correlations.images: {correlations.num_images}; "
            f"allowed: {FEWEST_CORRELATED} or more"
        )


EXPERIMENT = Experiment(
    title="Layer correlations",
    figure="7",
    kind="network",
    measurements=(
        Measurement(
            id="layer_correlations",
            references=("kornblith2019similarity", "nguyen2021wide"),
            protocol=1,
            measure="perturb.experiments.layer_correlations.measure:correlations_of",
            label="layer correlations",
            lacks=without_blocks,
        ),
    ),
    checks=_check,
    test_sets=(
        TestSet("pearson_all", "Layer correlations, all tokens", 12),
        TestSet("pearson_cls", "Layer correlations, class token", 13),
    ),
    sources=(
        Source(
            "representations",
            filled={
                "model": "VARCHAR",
                "measure": "VARCHAR",
                "layer_a": "SMALLINT",
                "layer_b": "SMALLINT",
                "value": "DOUBLE",
                "spread": "DOUBLE",
                "num_images": "INTEGER",
                "image_id": "VARCHAR",
            },
        ),
    ),
    tables=(
        Table(
            "layer_correlations",
            title="Layer correlations",
            relations=("layer_pairs",),
            shown=("architecture_label", "pretraining_label", "measure_label", "layer_a"),
            sources=("models", "representations"),
            pivot=Pivot("layer_b", "value", ("model",)),
            needs=("correlations",),
        ),
        Table(
            "correlation_profile",
            title="Mean correlation by layer",
            relations=("layer_pairs",),
            shown=("architecture_label", "pretraining_label", "measure_label"),
            sources=("models", "representations"),
            pivot=Pivot("layer", "value", ("model",)),
            needs=("correlations",),
        ),
    ),
    charts=(
        Chart(
            "layer_correlations",
            title="Layer correlations",
            tables=("layer_correlations", "models"),
            drawn=("value",),
            empty="No two blocks of any model of this study can be compared.",
        ),
        Chart(
            "correlation_profile",
            title="Mean correlation by layer",
            tables=("correlation_profile", "models"),
            drawn=("value",),
            empty="No two blocks of any model of this study can be compared.",
        ),
    ),
    shows="perturb.experiments.layer_correlations.shows:similar_layers",
)
