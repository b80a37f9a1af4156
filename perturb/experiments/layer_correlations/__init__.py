"""Layer correlations: similarity of the outputs of the blocks of a network."""

from perturb.experiments.declaration import Chart, Experiment, Pivot, Table, TestSet

EXPERIMENT = Experiment(
    title="Layer correlations",
    figure="7",
    test_sets=(
        TestSet("pearson_all", "Layer correlations, all tokens", 12),
        TestSet("pearson_cls", "Layer correlations, class token", 13),
    ),
    tables=(
        Table(
            "layer_correlations",
            title="How alike layers are",
            relations=("layer_pairs",),
            shown=("architecture_label", "pretraining_label", "measure_label", "layer_a"),
            sources=("models", "representations"),
            pivot=Pivot("layer_b", "value", ("model",)),
            needs=("correlations",),
        ),
        Table(
            "correlation_profile",
            title="How alike a layer is to the others",
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
            title="How alike the layers are",
            tables=("layer_correlations", "models"),
            drawn=("value",),
            empty="No two blocks of any model of this study can be compared.",
            draw="perturb.experiments.layer_correlations.charts:layer_correlations",
            note="perturb.charts.notes:images",
            needs=("correlations",),
        ),
        Chart(
            "correlation_profile",
            title="How like the others each layer is",
            tables=("correlation_profile", "models"),
            drawn=("value",),
            empty="No two blocks of any model of this study can be compared.",
            draw="perturb.experiments.layer_correlations.charts:correlation_profile",
            note="perturb.charts.notes:images",
            needs=("correlations",),
        ),
    ),
)
