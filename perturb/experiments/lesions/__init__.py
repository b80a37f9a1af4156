"""Lesions: blocks, MLPs, attention layers or heads removed."""

from perturb.experiments.declaration import Experiment, Perturbation
from perturb.experiments.lesions import cells

EXPERIMENT = Experiment(
    title="Removed layers",
    figure="8",
    perturbations=(
        Perturbation(
            id="lesions",
            protocol=1,
            evaluator="perturb.experiments.lesions.evaluate:lesion_outcomes",
            passes=cells.lesion_passes,
            severities="removed",
            label="removed layers",
            conditions=("block", "mlp", "attention"),
            changes="model",
            is_on_clean_set=True,
            lacks=cells.without_lesions,
            why_not=cells.too_many,
            partly=cells.without_parts,
            samples=cells.samples_of,
            conditions_of=cells.conditions_of,
        ),
        Perturbation(
            id="heads",
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
        ),
    ),
)
