"""Restricted attention: patches attend within a distance, or not at all in some blocks."""

from perturb.experiments.blocks import too_few_blocks, without_global_attention
from perturb.experiments.declaration import (
    Asked,
    Chart,
    Experiment,
    Perturbation,
    Pivot,
    Table,
    TestSet,
)
from perturb.records import Architecture


def _without_class_token(architecture: Architecture) -> str | None:
    if lacks := without_global_attention(architecture):
        return lacks
    if architecture.arguments.get("num_prefix_tokens", 1) == 0:
        return "it has no class token or register, through which patches could still exchange"
    return None


def _too_few_blocks(asked: Asked) -> str | None:
    arguments = asked.architecture.arguments
    return too_few_blocks(asked.severity, int(arguments.get("depth") or arguments["num_blocks"]))


EXPERIMENT = Experiment(
    title="Restricted attention",
    figure="9",
    kind="network",
    perturbations=(
        Perturbation(
            id="restricted_attention",
            protocol=1,
            evaluator="perturb.experiments.restricted_attention.evaluate:distance_outcomes",
            severities="distances",
            label="restricted attention",
            conditions=("window", "permuted"),
            condition_labels={
                "window": "Local window",
                "permuted": "Equally many pairs at random",
            },
            severity_label="distance %g",
            changes="model",
            families=("vit",),
            is_on_clean_set=True,
            repeated={"permuted": "seeds"},
            lacks=without_global_attention,
        ),
        Perturbation(
            id="patch_attention",
            protocol=1,
            evaluator="perturb.experiments.restricted_attention.evaluate:patch_attention_outcomes",
            severities="blocks",
            label="patch attention removed",
            conditions=("first", "last"),
            condition_labels={"first": "First blocks", "last": "Last blocks"},
            severity_label="blocks: %g",
            changes="model",
            is_random=False,
            unchanged=0.0,
            families=("vit",),
            is_on_clean_set=True,
            lacks=_without_class_token,
            why_not=_too_few_blocks,
        ),
    ),
    test_sets=(
        TestSet("restricted_attention", "Restricted attention", 15),
        TestSet("patch_attention", "Patch attention removed", 16),
    ),
    tables=(
        Table(
            "restricted_attention",
            title="Attention within a distance",
            relations=("model_outcomes",),
            shown=("architecture_label", "pretraining_label", "control_label", "baseline_accuracy"),
            pivot=Pivot("distance", "accuracy", ("model",)),
            reads=("none", "restricted_attention"),
            needs=("restricted_attention",),
        ),
        Table(
            "patch_attention",
            title="Patch attention removed",
            relations=("model_outcomes",),
            shown=("architecture_label", "pretraining_label", "place_label"),
            pivot=Pivot("num_blocks_restricted", "accuracy", ("model",)),
            reads=("none", "patch_attention"),
            needs=("patch_attention",),
        ),
    ),
    charts=(
        Chart(
            "restricted_attention",
            title="Restricted attention",
            tables=("restricted_attention", "models"),
            empty="No model of this study has attention between patches.",
        ),
        Chart(
            "patch_attention",
            title="Attention between patches removed",
            tables=("patch_attention", "models"),
            empty="No model of this study has attention between patches.",
        ),
    ),
    lead="Parts of the models are removed.",
    phrases={
        "window - permuted": "ViTs are {difference} accurate when patches attend within a window "
        "than when as many pairs of patches at random are masked",
        "last - first": "ViTs are {difference} accurate when patches do not attend to each other "
        "in the last blocks than in as many first ones",
    },
    shows="perturb.experiments.restricted_attention.shows:window_and_control",
)
