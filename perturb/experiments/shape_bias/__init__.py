"""Shape bias: predictions of shape or texture where the two conflict."""

from perturb.experiments.declaration import (
    PREDICTIONS,
    Chart,
    Experiment,
    Measure,
    Pivot,
    Source,
    Table,
    TestSet,
)

EXPERIMENT = Experiment(
    title="Shape bias",
    figure="6",
    references=("geirhos2019imagenet",),
    test_sets=(TestSet("cue_conflict", "Shape bias", 10, measure="shape bias"),),
    # Neither shape nor texture is right: it ranks no model.
    measures=(Measure("shape_bias", "Shape bias", 9, is_better_high=None),),
    sources=(
        Source(
            "stimuli",
            filled={
                "image_id": "VARCHAR",
                "target": "SMALLINT",
                "texture": "SMALLINT",
                "target_label": "VARCHAR",
            },
        ),
    ),
    tables=(
        Table(
            "shape_bias",
            title="Shape and texture predictions",
            relations=("cue_outcomes",),
            shown=(
                "architecture_label",
                "pretraining_label",
                "shape_bias",
                "shape_rate",
                "texture_rate",
                "num_shape",
                "num_texture",
                "num_images",
            ),
            sources=(*PREDICTIONS, "stimuli"),
            reads=("none",),
            needs=("cue_conflict",),
        ),
        Table(
            "shape_bias_classes",
            title="Shape bias by class",
            relations=("cue_outcomes",),
            shown=("architecture_label", "pretraining_label"),
            sources=(*PREDICTIONS, "stimuli"),
            pivot=Pivot("shape_class_label", "shape_bias", ("model",)),
            reads=("none",),
            needs=("cue_conflict",),
        ),
    ),
    charts=(
        Chart(
            "shape_bias",
            title="Shape bias",
            tables=("shape_bias", "models"),
            drawn=("shape_bias", "shape_rate", "texture_rate"),
            empty="No stimulus has the shape of one class and the texture of another.",
        ),
    ),
    shows="perturb.experiments.shape_bias.shows:shape_or_texture",
)
