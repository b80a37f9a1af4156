"""Lesions: blocks, MLPs, attention layers or heads removed."""

from perturb.experiments.declaration import (
    Chart,
    Experiment,
    Measure,
    Perturbation,
    Pivot,
    Table,
    TestSet,
)
from perturb.experiments.lesions import cells

EXPERIMENT = Experiment(
    title="Removed layers",
    figure="8",
    kind="network",
    perturbations=(
        Perturbation(
            id="lesions",
            references=("veit2016residual",),
            protocol=1,
            evaluator="perturb.experiments.lesions.evaluate:lesion_outcomes",
            passes=cells.lesion_passes,
            severities="removed",
            label="removed layers",
            conditions=("block", "mlp", "attention"),
            condition_labels={"mlp": "MLP"},
            severity_label="%g removed",
            changes="model",
            unchanged=0.0,
            is_on_clean_set=True,
            lacks=cells.without_lesions,
            why_not=cells.too_many,
            partly=cells.without_parts,
            samples=cells.samples_of,
            conditions_of=cells.conditions_of,
            options_of=cells.options_of,
        ),
        Perturbation(
            id="heads",
            references=("michel2019sixteen",),
            protocol=1,
            evaluator="perturb.experiments.lesions.evaluate:head_outcomes",
            passes=cells.head_passes,
            severities=1,
            label="removed heads",
            conditions=("head",),
            changes="model",
            families=("vit",),
            is_on_clean_set=True,
            lacks=cells.without_heads,
            samples=cells.head_samples,
            is_random=False,
        ),
    ),
    test_sets=(TestSet("lesions", "Removed layers", 14),),
    measures=(Measure("lesion_half_life", "Lesion half-life", 11),),
    tables=(
        Table(
            "lesions_single",
            title="One layer removed",
            relations=("single_drops",),
            shown=("architecture_label", "pretraining_label", "part_label", "baseline_accuracy"),
            pivot=Pivot("block", "drop", ("model",)),
            reads=("none", "lesions"),
            needs=("lesions",),
        ),
        Table(
            "lesions",
            title="Several layers removed",
            relations=("single_drops",),
            shown=("architecture_label", "pretraining_label", "part_label"),
            pivot=Pivot("num_removed", "accuracy", ("model",)),
            reads=("none", "lesions"),
            needs=("lesions",),
        ),
        Table(
            "heads",
            title="One attention head removed",
            relations=("single_drops",),
            shown=("architecture_label", "pretraining_label", "baseline_accuracy", "block"),
            pivot=Pivot("head", "drop", ("model",)),
            reads=("none", "heads"),
            needs=("heads",),
        ),
    ),
    charts=(
        Chart(
            "lesions_single",
            title="One layer removed",
            tables=("lesions_single", "models"),
            empty="No model of this study has a block that can be removed.",
        ),
        Chart(
            "lesions",
            title="Several layers removed",
            tables=("lesions", "models"),
            empty="No model of this study has a block that can be removed.",
        ),
        Chart(
            "heads",
            title="One attention head removed",
            tables=("heads", "models"),
            drawn=("drop",),
            empty="No model of this study has attention heads.",
        ),
    ),
    lead="Parts of the models are removed.",
    phrases={
        "small - large, equal fraction": "the smallest ViT loses {difference} than the largest "
        "when the same fraction of the blocks is removed",
        "small - large, equal number": "the smallest ViT loses {difference} than the largest "
        "when as many blocks are removed",
        "large - small data": "a ViT of the largest pre-training set loses {difference} than the "
        "same ViT of the smallest when as many blocks are removed",
        "mlp - attention": "ViTs are {difference} accurate without some MLPs than without as many "
        "attention layers",
        "mlp - block": "ViTs are {difference} accurate without some MLPs than without as many "
        "blocks",
        "attention - block": "ViTs are {difference} accurate without some attention layers than "
        "without as many blocks",
    },
    shows="perturb.experiments.lesions.shows:removed_parts",
)
