"""Which networks have blocks, attention and tokens that experiments can change.

A cell that cannot be evaluated is not planned: one job that fails late would cost all other models
their tables. What is not known to work counts as impossible: blocks, attention, embeddings and
pooling are allowed by name, and a test evaluates each name.
"""

from perturb.records import Architecture

# timm's blocks of a ViT that run attention and MLP one after the other, each beside a skip
# connection; and those that compute both from one projection, so that neither goes alone.
DIVIDED_BLOCKS = frozenset({"Block", "ResPostBlock"})
JOINT_BLOCKS = frozenset({"ParallelScalingBlock", "DiffParallelScalingBlock"})
# timm's attention modules that take a mask and project their heads side by side.
_ATTENTIONS = frozenset({"Attention", "DiffAttention"})


def without_blocks(architecture: Architecture) -> str | None:
    """Return that the blocks of a network cannot be reached, None if they can."""
    has_blocks = architecture.arguments.keys() & {"depth", "layers"}
    return None if has_blocks else "its blocks cannot be reached"


def without_tokens(architecture: Architecture) -> str | None:
    """Return what a network lacks to be a ViT whose blocks can be reached, None if nothing."""
    if architecture.family != "vit":
        return without_blocks(architecture) or "it has no tokens and no attention between them"
    return without_blocks(architecture)


def without_masks(architecture: Architecture) -> str | None:
    """Return what a ViT lacks for a mask on its attention, None if nothing."""
    makeup = architecture.makeup
    if makeup.block in JOINT_BLOCKS:
        return None
    if makeup.block not in DIVIDED_BLOCKS:
        return unknown("blocks", makeup.block)
    if makeup.attention not in _ATTENTIONS:
        return unknown("attention", makeup.attention)
    return None


def unknown(what: str, name: str | None) -> str:
    """Return that a part of a network is of a kind that no test has changed."""
    return f"its {what} ({name or 'of several kinds'}) cannot be changed so"


def attention_fraction(architecture: Architecture) -> float:
    """Return the attention's fraction of a ViT's block: 4 D^2 weights beside 2 D M of the MLP."""
    return 4 / (4 + 2 * float(architecture.arguments.get("mlp_ratio", 4)))
