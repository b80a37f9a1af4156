"""Lesions that a network can have, and their passes."""

from collections.abc import Mapping, Sequence

from perturb.experiments.blocks import (
    DIVIDED_BLOCKS,
    JOINT_BLOCKS,
    PROJECTED_FRACTION,
    attention_fraction,
    too_few_blocks,
    unknown,
    without_blocks,
    without_masks,
    without_tokens,
)
from perturb.experiments.declaration import Asked, Passes
from perturb.experiments.lesions.plans import (
    PARTS,
    head_sets,
    lesion_sets,
    num_drawn,
    removable_blocks,
)
from perturb.records import Architecture, PerturbationEntry

# The part that a lesion removes, and its blocks.
_Lesion = tuple[str, frozenset[int]]


def parts_of(architecture: Architecture) -> tuple[str, ...]:
    """Return the removable parts of each block of a network; empty if unknown."""
    if architecture.family == "vit" and "depth" in architecture.arguments:
        if architecture.makeup.block in DIVIDED_BLOCKS:
            return PARTS["vit"]
        return ("block",) if architecture.makeup.block in JOINT_BLOCKS else ()
    if architecture.family == "resnet" and "layers" in architecture.arguments:
        return PARTS["resnet"]
    if "num_blocks" in architecture.arguments:
        return PARTS["other"]
    return ()


def without_lesions(architecture: Architecture) -> str | None:
    """Return the reason why a network has no lesions, None if it has."""
    if lacks := without_blocks(architecture):
        return lacks
    if not parts_of(architecture):
        return unknown("blocks", architecture.makeup.block)
    is_known = "num_blocks" in architecture.arguments
    if is_known and not removable_blocks(architecture.family, architecture.arguments):
        return "each of its blocks changes the shape of its input"
    return None


def without_parts(architecture: Architecture) -> tuple[str, str] | None:
    """Return the excluded lesions and the reason for ViTs with undivided blocks, else None."""
    if architecture.family == "vit" and len(parts_of(architecture)) == 1:
        return "removed MLPs and attentions alone", "its blocks compute both from one projection"
    return None


def too_many(asked: Asked) -> str | None:
    """Return a reason if a network has too few blocks, the first of which is kept; else None."""
    blocks = removable_blocks(asked.architecture.family, asked.architecture.arguments)
    others = [block for block in blocks if block != 0]
    most = len(blocks) if asked.severity == 1 else len(others)
    return too_few_blocks(asked.severity, most)


def conditions_of(_: PerturbationEntry, architecture: Architecture) -> tuple[str, ...]:
    """Return the removed parts, one per condition."""
    return parts_of(architecture)


def options_of(asked: Asked) -> Mapping[str, int]:
    """Return the number of sets that are drawn; none is if at most one block is removed."""
    if asked.severity <= 1:
        return {}
    blocks = removable_blocks(asked.architecture.family, asked.architecture.arguments)
    return {"samples": num_drawn(blocks, int(asked.severity), asked.option("samples"))}


def samples_of(asked: Asked) -> Mapping[str, tuple[int, ...]]:
    """Return the sample numbers of each part: one per set of removed blocks."""
    return {part: tuple(sets) for part, sets in _sets_of(asked).items()}


def _sets_of(asked: Asked) -> dict[str, dict[int, tuple[int, ...]]]:
    blocks = removable_blocks(asked.architecture.family, asked.architecture.arguments)
    count, samples = int(asked.severity), asked.option("samples")
    return {
        part: lesion_sets(blocks, count, samples, asked.seed, part)
        for part in parts_of(asked.architecture)
    }


def lesion_passes(asked: Asked) -> Passes:
    """Return passes: each stretch of the network once for all lesions with a common beginning."""
    family, arguments = asked.architecture.family, asked.architecture.arguments
    lesions = [
        (part, frozenset(blocks))
        for part, sets in _sets_of(asked).items()
        for blocks in sets.values()
    ]
    if "num_blocks" in arguments:  # whole passes, as nothing is known but the blocks
        return Passes(predictions=len(lesions))
    num_blocks = int(arguments["depth"]) if family == "vit" else sum(arguments["layers"])
    attention = attention_fraction(asked.architecture)
    run_without = {"block": 0.0, "mlp": attention, "attention": 1 - attention}
    return Passes(predictions=_walked(lesions, 0, num_blocks, run_without) / num_blocks)


def _walked(
    lesions: Sequence[_Lesion], start: int, num_blocks: int, run_without: Mapping[str, float]
) -> float:
    """Return the number of blocks run for lesions that are equal before block `start`.

    The walk is that of `lesion_outcomes`. `run_without` is the fraction of a block that is run
    without each part.
    """
    walked = 0.0
    for index in range(start, num_blocks):
        groups: dict[str, list[_Lesion]] = {"": []}
        for part, blocks in lesions:
            groups.setdefault(part if index in blocks else "", []).append((part, blocks))
        lesions = groups.pop("")
        walked += sum(run_without[part] for part in groups)
        walked += sum(
            _walked(group, index + 1, num_blocks, run_without) for group in groups.values()
        )
        if not lesions:
            break
        # The output of a block without its MLP is the unchanged block's state after its attention.
        walked += run_without["attention"] if "mlp" in groups else 1
    return walked


def without_heads(architecture: Architecture) -> str | None:
    """Return the reason why single heads cannot be removed, None if they can."""
    if lacks := without_tokens(architecture):
        return lacks
    if architecture.makeup.block not in DIVIDED_BLOCKS:
        return "its blocks have no attention module by itself"
    if architecture.arguments.get("num_heads") is None:
        return "its blocks do not all have as many heads"
    return without_masks(architecture)


def head_samples(asked: Asked) -> Mapping[str, tuple[int, ...]]:
    """Return a sample number for each head of the network."""
    arguments = asked.architecture.arguments
    return {"head": tuple(head_sets(arguments["depth"], arguments["num_heads"]))}


def head_passes(asked: Asked) -> Passes:
    """Return passes: the unchanged network; for each head the rest of its block, and later ones."""
    arguments = asked.architecture.arguments
    depth, num_heads = int(arguments["depth"]), int(arguments["num_heads"])
    rest_of_block = 1 - PROJECTED_FRACTION * attention_fraction(asked.architecture)
    blocks = sum(rest_of_block + later for later in range(depth))
    return Passes(predictions=1 + num_heads * blocks / depth)
