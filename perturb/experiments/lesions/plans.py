"""Blocks and heads that a lesion study removes, for code that must not import torch.

After Bhojanapalli et al. [1]_: every single layer in turn, the first included; then n > 1 random
layers, always keeping the first, 25 samples per n. The paper does not specify two details: here
samples of one n differ from each other, and each condition has its own draws. Beyond the paper:
residual blocks of ResNets, as in Veit et al. [2]_, and single attention heads.

References
----------
.. [1] Bhojanapalli et al., "Understanding Robustness of Transformers for Image Classification",
   ICCV 2021.
.. [2] Veit, Wilber, Belongie, "Residual Networks Behave Like Ensembles of Relatively Shallow
   Networks", NeurIPS 2016.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

# Removable parts of a block of each family; the conditions of the study.
PARTS = {"vit": ("block", "mlp", "attention"), "resnet": ("block",), "other": ("block",)}


def removable_blocks(family: str, arguments: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the blocks that add to an unchanged input, counted from 0 over all stages.

    Parameters
    ----------
    family, arguments : as `perturb.models.architectures.build_network` takes them, or of one of
        timm's other networks the number of blocks and those that cannot be removed.

    Raises
    ------
    ValueError
        For an unknown family.
    """
    if "num_blocks" in arguments:
        return tuple(sorted(set(range(arguments["num_blocks"])) - set(arguments["fixed_blocks"])))
    if family == "vit":
        return tuple(range(arguments["depth"]))
    if family not in PARTS:
        raise ValueError(f"family is {family!r}; allowed: {', '.join(PARTS)}")
    layers = arguments.get("layers", ())
    # The first block of a stage has a projection on its skip connection, which the lesion would
    # remove too.
    starts = {sum(layers[:stage]) for stage in range(len(layers))}
    return tuple(index for index in range(sum(layers)) if index not in starts)


def lesion_sets(
    removable: Sequence[int], n: int, num_samples: int, seed: int, condition: str
) -> dict[int, tuple[int, ...]]:
    """Return the blocks that each sample removes, in ascending order.

    For n = 0 sample 0 removes nothing. For n = 1 every removable block is removed once, and its
    index is the sample number. For n > 1 samples count from 1 to ``num_samples`` or to the number
    of possible sets, whichever is smaller; they are drawn at random, never include block 0, and all
    differ.

    Raises
    ------
    ValueError
        If n blocks cannot be removed, or ``num_samples`` is less than one.
    """
    others = [index for index in removable if index != 0]
    most = max(len(others), min(len(removable), 1))
    if not 0 <= n <= most:
        raise ValueError(
            f"number of removed blocks is {n}; allowed: 0 to {most}, keeping the first"
        )
    if num_samples < 1:
        raise ValueError(f"samples is {num_samples}; allowed: 1 or more")
    if n == 0:
        return {0: ()}
    if n == 1:
        return {index: (index,) for index in removable}
    count = num_drawn(removable, n, num_samples)
    drawn: dict[tuple[int, ...], None] = {}  # an ordered set
    attempt = 0
    while len(drawn) < count:
        attempt += 1
        drawn.setdefault(_draw(others, n, f"{seed}/lesions/{condition}/{n}/{attempt}"))
    return dict(enumerate(drawn, start=1))


def num_drawn(removable: Sequence[int], n: int, num_samples: int) -> int:
    """Return how many different sets of n > 1 blocks are drawn, of at most ``num_samples``."""
    return min(num_samples, math.comb(sum(index != 0 for index in removable), n))


def head_sets(depth: int, num_heads: int) -> dict[int, tuple[int, int]]:
    """Return the block and the head that each sample removes; samples number all heads."""
    return {sample: divmod(sample, num_heads) for sample in range(depth * num_heads)}


def _draw(blocks: Sequence[int], n: int, stream: str) -> tuple[int, ...]:
    """Return n of the blocks: those with the smallest hashes in this stream."""

    def rank(block: int) -> bytes:
        return hashlib.blake2b(f"{stream}/{block}".encode(), digest_size=16).digest()

    return tuple(sorted(sorted(blocks, key=rank)[:n]))
