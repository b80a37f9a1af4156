"""Which conditions and samples a cell has: they depend on the perturbation and on the network.

A cell that cannot be is not planned: one job that fails late would cost all other models their
tables. So what is not known to work is taken to be impossible: blocks, attention, embeddings and
pooling are allowed by name, and each name here is one that a test has evaluated.

For code that must not import torch: the configuration divides cells among jobs by this, and the
shard check holds every shard against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perturb.experiments.lesions.plans import PARTS, head_sets, lesion_sets, removable_blocks

if TYPE_CHECKING:  # the configuration's checks import this module
    from perturb.records import Architecture, PerturbationEntry

# Perturbations of the network itself; all others change images.
ON_NETWORKS = ("lesions", "heads", "attention_distance", "patch_cls", "tokens")
# Perturbations of what only transformers have.
VIT_ONLY = frozenset(ON_NETWORKS) - {"lesions"}
# timm's blocks of a ViT that run attention and MLP one after the other, each beside a skip
# connection; and those that compute both from one projection, so that neither goes alone.
_DIVIDED_BLOCKS = frozenset({"Block", "ResPostBlock"})
_JOINT_BLOCKS = frozenset({"ParallelScalingBlock", "DiffParallelScalingBlock"})
# timm's attention modules that take a mask and project their heads side by side. The weights that
# rank tokens are computed again for the plain one alone.
_ATTENTIONS = frozenset({"Attention", "DiffAttention"})
_RANKING_ATTENTION = "Attention"
# What multiplications of fewer tokens are counted for.
_COUNTED_EMBEDDING = "PatchEmbed"
_COUNTED_POOLING = frozenset({"token", "avg", "max", "map"})
# Conditions that are repeated, and the option that says how often.
_REPEATED = {
    ("spatial", "random"): "samples",
    ("attention_distance", "permuted"): "seeds",
    ("tokens", "random"): "seeds",
}


def is_possible(
    perturbation: PerturbationEntry, severity: float, architecture: Architecture
) -> bool:
    """Return whether a network has what a cell would change, and as much of it."""
    return why_not(perturbation, severity, architecture) is None


def why_not(
    perturbation: PerturbationEntry, severity: float, architecture: Architecture
) -> str | None:
    """Return what a network lacks for a cell, None where nothing.

    Beside what `lacking` says: no more blocks can be removed or restricted than there are, where
    several are removed the first one stays, and a head that pools patches needs one.
    """
    lacks = lacking(perturbation.id, architecture)
    if lacks is not None:
        return lacks
    if perturbation.id == "lesions":
        blocks = removable_blocks(architecture.family, architecture.arguments)
        others = [block for block in blocks if block != 0]
        most = len(blocks) if severity == 1 else len(others)
    elif perturbation.id == "patch_cls":
        most = int(architecture.arguments["depth"])
    elif perturbation.id == "tokens":
        after_block = perturbation.options["after_block"]
        severity, drops_all = after_block or 0, severity == 1
        if drops_all and architecture.makeup.pooling != "token":
            return "its head pools patches, of which none would be left"
        most = int(architecture.arguments["depth"])
    else:
        return None
    return None if severity <= most else "it has too few blocks"


def lacking(study: str, architecture: Architecture) -> str | None:
    """Return what a network lacks for a perturbation or analysis at all, None where nothing.

    Parameters
    ----------
    study : id of a perturbation, or ``correlations``.
    """
    if study not in (*ON_NETWORKS, "correlations"):
        return None
    if not architecture.arguments.keys() & {"depth", "layers"}:
        return "its blocks cannot be reached"
    if study == "correlations":
        return None
    if study == "lesions":
        return None if parts_of(architecture) else _unknown("blocks", architecture.makeup.block)
    if architecture.family != "vit":
        return "it has no tokens and no attention between them"
    if study == "heads":
        return _without_heads(architecture)
    if study == "tokens":
        return _without_tokens(architecture)
    if study == "patch_cls" and architecture.arguments.get("num_prefix_tokens", 1) == 0:
        return "it has no class token or register, through which patches could still exchange"
    return _without_masks(architecture)


def parts_of(architecture: Architecture) -> tuple[str, ...]:
    """Return what can be removed of each of a network's blocks, none where they are not known."""
    if architecture.family == "vit" and "depth" in architecture.arguments:
        if architecture.makeup.block in _DIVIDED_BLOCKS:
            return PARTS["vit"]
        return ("block",) if architecture.makeup.block in _JOINT_BLOCKS else ()
    if architecture.family == "resnet" and "layers" in architecture.arguments:
        return PARTS["resnet"]
    return ()


def _without_masks(architecture: Architecture) -> str | None:
    makeup = architecture.makeup
    if makeup.block in _JOINT_BLOCKS:
        return None
    if makeup.block not in _DIVIDED_BLOCKS:
        return _unknown("blocks", makeup.block)
    if makeup.attention not in _ATTENTIONS:
        return _unknown("attention", makeup.attention)
    return None


def _without_heads(architecture: Architecture) -> str | None:
    if architecture.makeup.block not in _DIVIDED_BLOCKS:
        return "its blocks have no attention module by itself"
    if architecture.arguments.get("num_heads") is None:
        return "its blocks do not all have as many heads"
    return _without_masks(architecture)


def _without_tokens(architecture: Architecture) -> str | None:
    makeup = architecture.makeup
    if architecture.arguments.get("num_class_tokens", 1) == 0:
        return "it has no class token, whose attention ranks patches"
    if makeup.embedding != _COUNTED_EMBEDDING:
        return "its patches are embedded by more than one convolution"
    if makeup.block not in _DIVIDED_BLOCKS:
        return _unknown("blocks", makeup.block)
    if makeup.attention != _RANKING_ATTENTION:
        return _unknown("attention", makeup.attention)
    if makeup.pooling not in _COUNTED_POOLING:
        return _unknown("pooling", makeup.pooling)
    return None


def _unknown(what: str, name: str | None) -> str:
    return f"its {what} ({name or 'of several kinds'}) cannot be changed so"


def conditions_of(
    perturbation: PerturbationEntry, architecture: Architecture | None
) -> tuple[str, ...]:
    """Return the variants in a cell of a network; None: of a perturbation that changes images."""
    if perturbation.id == "lesions" and architecture is not None:
        return parts_of(architecture)
    return perturbation.conditions


def samples_of(
    perturbation: PerturbationEntry, severity: float, architecture: Architecture, seed: int
) -> dict[str, tuple[int, ...]]:
    """Return the sample numbers of every condition of a cell: 0 alone where nothing is repeated."""
    arguments = architecture.arguments
    if perturbation.id == "heads":
        return {"head": tuple(head_sets(arguments["depth"], arguments["num_heads"]))}
    if perturbation.id == "lesions":
        blocks = removable_blocks(architecture.family, arguments)
        count = perturbation.options["samples"]
        return {
            part: tuple(lesion_sets(blocks, int(severity), count, seed, part))
            for part in parts_of(architecture)
        }
    return {condition: _numbers(perturbation, condition) for condition in perturbation.conditions}


def _numbers(perturbation: PerturbationEntry, condition: str) -> tuple[int, ...]:
    option = _REPEATED.get((perturbation.id, condition))
    return tuple(range(1, perturbation.options[option] + 1)) if option else (0,)
