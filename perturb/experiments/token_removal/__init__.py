"""Token removal: patch tokens are removed after the first blocks of a ViT."""

from perturb.experiments.blocks import (
    DIVIDED_BLOCKS,
    PROJECTED_FRACTION,
    attention_fraction,
    too_few_blocks,
    unknown,
    without_tokens,
)
from perturb.experiments.declaration import Asked, Chart, Experiment, Passes, Perturbation, Table
from perturb.records import Architecture

# Modules for which attention weights are computed and FLOPs are counted.
_ATTENTION = "Attention"
_EMBEDDING = "PatchEmbed"
_POOLING = frozenset({"token", "avg", "max", "map"})


def _lacks(architecture: Architecture) -> str | None:
    makeup = architecture.makeup
    if lacks := without_tokens(architecture):
        return lacks
    if architecture.arguments.get("num_class_tokens", 1) == 0:
        return "it has no class token, whose attention ranks patches"
    if makeup.embedding != _EMBEDDING:
        return "its patches are embedded by more than one convolution"
    if makeup.block not in DIVIDED_BLOCKS:
        return unknown("blocks", makeup.block)
    if makeup.attention != _ATTENTION:
        return unknown("attention", makeup.attention)
    if makeup.pooling not in _POOLING:
        return unknown("pooling", makeup.pooling)
    return None


def _why_not(asked: Asked) -> str | None:
    if asked.severity == 1 and asked.architecture.makeup.pooling != "token":
        return "its head pools patches, of which none would remain"
    after_block = asked.entry.options["after_block"] or 0
    return too_few_blocks(after_block, int(asked.architecture.arguments["depth"]))


def _passes(asked: Asked) -> Passes:
    """Return passes: the blocks before the cut once, those after it with fewer tokens per sample.

    For the class token's attention, queries, keys and values are computed once more.
    """
    depth = int(asked.architecture.arguments["depth"])
    after = asked.entry.options["after_block"]
    before = (max(1, depth // 3) if after is None else int(after)) / depth
    samples = 1 + asked.option("seeds")
    again = PROJECTED_FRACTION * attention_fraction(asked.architecture) / depth
    return Passes(predictions=before + again + samples * (1 - before) * (1 - asked.severity))


EXPERIMENT = Experiment(
    title="Token removal",
    kind="network",
    perturbations=(
        Perturbation(
            id="token_removal",
            references=("liang2022patches",),
            protocol=1,
            evaluator="perturb.experiments.token_removal.evaluate:token_outcomes",
            passes=_passes,
            severities="drop_rates",
            label="token removal",
            conditions=("random", "low_attention"),
            condition_labels={"random": "At random", "low_attention": "Least attention"},
            severity_label="%g %%",
            severity_scale=100.0,
            changes="model",
            unchanged=0.0,
            families=("vit",),
            is_on_clean_set=True,
            repeated={"random": "seeds"},
            lacks=_lacks,
            why_not=_why_not,
        ),
    ),
    tables=(
        Table(
            "token_removal",
            title="Token removal",
            relations=("model_outcomes",),
            shown=(
                "architecture_label",
                "pretraining_label",
                "method_label",
                "drop_rate_label",
                "flops_kept",
                "accuracy",
                "num_images",
            ),
            reads=("none", "token_removal"),
            needs=("token_removal",),
        ),
    ),
    charts=(
        Chart(
            "token_removal",
            title="Token removal",
            tables=("token_removal", "models"),
            empty="No model of this study has patch tokens that can be removed.",
        ),
    ),
    lead="Parts of the models are removed.",
    shows="perturb.experiments.token_removal.shows:most_removed",
)
