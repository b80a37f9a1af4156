"""Checks of networks for blocks, attention and tokens that experiments can change.

A cell that cannot be evaluated is not planned, since a job that fails late would prevent the tables
of all models. Only modules known to work are allowed: blocks, attention, embeddings and pooling are
listed by name, and a test evaluates each name.
"""

from perturb.records import Architecture

# timm's blocks of a ViT with attention and MLP in sequence, each with a skip connection; and those
# that compute both from one projection, so that neither can be removed alone.
DIVIDED_BLOCKS = frozenset({"Block", "ResPostBlock"})
JOINT_BLOCKS = frozenset({"ParallelScalingBlock", "DiffParallelScalingBlock"})
# timm's attention modules that accept a mask and project their concatenated heads.
_ATTENTIONS = frozenset({"Attention", "DiffAttention"})
_NO_TOKENS = "it has no tokens and no attention between them"
# Fraction of an attention's weights in the projection to queries, keys and values.
PROJECTED_FRACTION = 3 / 4


def without_blocks(architecture: Architecture) -> str | None:
    """Return a reason if the blocks of a network cannot be accessed, else None."""
    has_blocks = architecture.arguments.keys() & {"depth", "layers", "num_blocks"}
    return None if has_blocks else "its blocks cannot be reached"


def without_tokens(architecture: Architecture) -> str | None:
    """Return a reason if a network is not a ViT with accessible blocks, else None."""
    if lacks := without_blocks(architecture):
        return lacks
    if architecture.family == "other":
        return "its tokens and heads are not those of timm's VisionTransformer"
    return None if architecture.family == "vit" else _NO_TOKENS


def without_global_attention(architecture: Architecture) -> str | None:
    """Return a reason if a network has no attention between all tokens to restrict, else None."""
    if "attention" in architecture.arguments:
        return None
    if architecture.family == "other":
        return without_blocks(architecture) or "it has no attention of all tokens that takes a mask"
    return without_tokens(architecture) or without_masks(architecture)


def without_masks(architecture: Architecture) -> str | None:
    """Return a reason if the attention of a ViT cannot be masked, else None."""
    makeup = architecture.makeup
    if makeup.block in JOINT_BLOCKS:
        return None
    if makeup.block not in DIVIDED_BLOCKS:
        return unknown("blocks", makeup.block)
    if makeup.attention not in _ATTENTIONS:
        return unknown("attention", makeup.attention)
    return None


def too_few_blocks(number: float, available: int) -> str | None:
    """Return a reason if a network has fewer blocks than a cell needs, else None."""
    return "it has too few blocks" if number > available else None


def unknown(what: str, name: str | None) -> str:
    """Return the reason for a part of a network that is not of an allowed kind."""
    return f"its {what} ({name or 'of several kinds'}) cannot be changed so"


def attention_fraction(architecture: Architecture) -> float:
    """Return the attention's fraction of a ViT's block: 4 D^2 weights to 2 D M of the MLP."""
    return 4 / (4 + 2 * float(architecture.arguments.get("mlp_ratio", 4)))
