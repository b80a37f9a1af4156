"""Restricted attention: patches attend within a distance, or not at all in some blocks."""

from perturb.experiments.blocks import without_masks, without_tokens
from perturb.experiments.declaration import Asked, Experiment, Passes, Perturbation
from perturb.records import Architecture


def _without_masks(architecture: Architecture) -> str | None:
    return without_tokens(architecture) or without_masks(architecture)


def _without_class_token(architecture: Architecture) -> str | None:
    if lacks := without_tokens(architecture):
        return lacks
    if architecture.arguments.get("num_prefix_tokens", 1) == 0:
        return "it has no class token or register, through which patches could still exchange"
    return without_masks(architecture)


def _too_few_blocks(asked: Asked) -> str | None:
    is_enough = asked.severity <= int(asked.architecture.arguments["depth"])
    return None if is_enough else "it has too few blocks"


def _distance_passes(asked: Asked) -> Passes:
    return Passes(predictions=1 + asked.option("seeds"))


def _patch_passes(asked: Asked) -> Passes:
    return Passes(predictions=len(asked.entry.conditions))


EXPERIMENT = Experiment(
    title="Restricted attention",
    figure="9",
    perturbations=(
        Perturbation(
            id="attention_distance",
            protocol=1,
            evaluator="perturb.experiments.restricted_attention.evaluate:distance_outcomes",
            passes=_distance_passes,
            severities="distances",
            label="restricted attention",
            conditions=("window", "permuted"),
            changes="model",
            families=("vit",),
            is_on_clean_set=True,
            repeated={"permuted": "seeds"},
            lacks=_without_masks,
        ),
        Perturbation(
            id="patch_cls",
            protocol=1,
            evaluator="perturb.experiments.restricted_attention.evaluate:patch_cls_outcomes",
            passes=_patch_passes,
            severities="blocks",
            label="patches apart",
            conditions=("first", "last"),
            changes="model",
            families=("vit",),
            is_on_clean_set=True,
            lacks=_without_class_token,
            why_not=_too_few_blocks,
        ),
    ),
)
