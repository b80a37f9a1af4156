"""Which conditions and samples a cell has: they depend on the perturbation and on the network.

For code that must not import torch: the configuration divides cells among jobs by this, and the
shard check holds every shard against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perturb.perturbations.lesion_plans import PARTS, head_sets, lesion_sets, removable_blocks

if TYPE_CHECKING:  # the configuration's checks import this module
    from perturb.config.records import Architecture, Perturbation

# Perturbations of what only transformers have.
_VIT_ONLY = frozenset({"heads", "attention_distance", "patch_cls", "tokens"})
# The tokens that have a part of their own in a perturbation: through any before them patches
# exchange what they know, and the class token's attention ranks patches.
_NEEDED_TOKENS = {"patch_cls": "num_prefix_tokens", "tokens": "num_class_tokens"}
# Conditions that are repeated, and the option that says how often.
_REPEATED = {
    ("spatial", "random"): "samples",
    ("attention_distance", "permuted"): "seeds",
    ("tokens", "random"): "seeds",
}


def is_possible(perturbation: Perturbation, severity: float, architecture: Architecture) -> bool:
    """Return whether a network has what a cell would change.

    Heads and tokens are a transformer's, and heads are counted where every block has as many; no
    more blocks can be removed or restricted than there are, and where several are removed the first
    one stays.
    """
    if perturbation.id in _VIT_ONLY and architecture.family != "vit":
        return False
    if perturbation.id == "heads":
        return architecture.arguments.get("num_heads") is not None
    needed = _NEEDED_TOKENS.get(perturbation.id)
    if needed is not None and architecture.arguments.get(needed, 1) == 0:
        return False
    if perturbation.id == "lesions":
        blocks = removable_blocks(architecture.family, architecture.arguments)
        others = [block for block in blocks if block != 0]
        return severity <= (len(blocks) if severity == 1 else len(others))
    if perturbation.id == "patch_cls":
        return severity <= int(architecture.arguments["depth"])
    if perturbation.id == "tokens":
        after_block = perturbation.options["after_block"]
        return after_block is None or after_block <= int(architecture.arguments["depth"])
    return True


def conditions_of(perturbation: Perturbation, family: str) -> tuple[str, ...]:
    """Return the variants in a cell of a network of this family."""
    return PARTS[family] if perturbation.id == "lesions" else perturbation.conditions


def samples_of(
    perturbation: Perturbation, severity: float, architecture: Architecture, seed: int
) -> dict[str, tuple[int, ...]]:
    """Return the sample numbers of every condition of a cell: 0 alone where nothing is repeated."""
    family, arguments = architecture.family, architecture.arguments
    if perturbation.id == "heads":
        return {"head": tuple(head_sets(arguments["depth"], arguments["num_heads"]))}
    if perturbation.id == "lesions":
        blocks, count = removable_blocks(family, arguments), perturbation.options["samples"]
        return {
            part: tuple(lesion_sets(blocks, int(severity), count, seed, part))
            for part in PARTS[family]
        }
    return {condition: _numbers(perturbation, condition) for condition in perturbation.conditions}


def _numbers(perturbation: Perturbation, condition: str) -> tuple[int, ...]:
    option = _REPEATED.get((perturbation.id, condition))
    return tuple(range(1, perturbation.options[option] + 1)) if option else (0,)
