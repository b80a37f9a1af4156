"""Attention masks of the experiment on restricted attention.

After Bhojanapalli et al. [1]_: attention among patches limited to a largest distance, a control
that excludes as many pairs at random, and no attention between different patches. Attention from
and to prefix tokens (class token, registers, distillation token) is never restricted. A control
differs from its window only in *which* pairs are excluded: a patch attends to itself in both, and
only the pairs of different patches are permuted.

Masks are boolean and true where row n may attend to column n, as in torch's attention. Tokens are
in timm's order: the prefix, then the patches row by row.

Legend: G patches (rows * columns of the grid), N tokens (prefix and patches), L blocks.

References
----------
.. [1] Bhojanapalli et al., "Understanding Robustness of Transformers for Image Classification",
   ICCV 2021.
"""

import torch
from torch import Tensor

from perturb.random import bits, stream_keys


def window_mask(
    grid: tuple[int, int],
    distance: int,
    num_prefix: int,
    device: torch.device | None = None,
) -> Tensor:
    """Return a mask that keeps pairs of patches within a distance, bool (N, N).

    Parameters
    ----------
    grid : rows and columns of patches.
    distance : the largest horizontal or vertical distance (Chebyshev) of a pair [patches]; at 0
        each patch attends only to itself.
    num_prefix : number of prefix tokens, which are unrestricted.
    device : of the mask; None for the CPU.

    Raises
    ------
    ValueError
        If the distance is negative.
    """
    if distance < 0:
        raise ValueError(f"distance is {distance}; allowed: 0 or more patches")
    rows, columns = (torch.arange(side, device=device) for side in grid)
    places = torch.cartesian_prod(rows, columns)  # (G, 2)
    distances = (places[:, None] - places[None]).abs().amax(dim=2)  # (G, G)
    return _with_prefix(distances <= distance, num_prefix)


def permuted_masks(
    mask: Tensor, num_prefix: int, num_layers: int, *, seed: int, sample: int
) -> Tensor:
    """Return random permutations of a mask, one for each block, bool (L, N, N).

    The ordered pairs of different patches are permuted; each block excludes as many of them as the
    mask. A draw depends on seed, sample and block alone, not on the mask: for one seed and sample,
    the pairs excluded by a wide window's permutation are also excluded by that of a narrower window
    of the same grid, so accuracies at different distances share draws.

    Parameters
    ----------
    mask : bool (N, N); the draws are made on its device and do not depend on it.
    num_prefix : number of prefix tokens, which keep their rows and columns.
    seed : the study's seed.
    sample : number of the control, 1 or more.
    """
    pairs = mask[num_prefix:, num_prefix:]
    is_other = ~torch.eye(len(pairs), dtype=torch.bool, device=mask.device)
    others = pairs[is_other]  # (G * (G - 1),)
    keys = stream_keys(
        seed,
        f"attention_distance/permuted/{sample}",  # another name, other draws
        torch.arange(num_layers, device=mask.device),
    )
    # The first pairs in the order of a draw are excluded: unlike a permutation of positions, this
    # nests for masks that exclude more pairs, and it is equally uniform.
    num_kept = int(others.sum())
    masks = mask.repeat(num_layers, 1, 1)
    for layer in range(num_layers):  # one at a time: the sort needs 16 bytes per pair
        order = bits(keys[layer : layer + 1], len(others))[0].argsort(stable=True)
        is_kept = torch.zeros_like(others)
        is_kept[order[:num_kept]] = True
        masks[layer, num_prefix:, num_prefix:][is_other] = is_kept
    return masks


def patch_attention_mask(
    num_patches: int, num_prefix: int, device: torch.device | None = None
) -> Tensor:
    """Return a mask without attention between different patches, bool (N, N).

    A patch attends to itself and to the prefix tokens.

    Raises
    ------
    ValueError
        If there are no prefix tokens: patches would attend only to themselves.
    """
    if num_prefix < 1:
        raise ValueError("num_prefix is 0; allowed: 1 or more, or patches could exchange nothing")
    return _with_prefix(torch.eye(num_patches, dtype=torch.bool, device=device), num_prefix)


def _with_prefix(pairs: Tensor, num_prefix: int) -> Tensor:
    """Return bool (N, N) of bool (G, G), with prefix tokens that are unrestricted."""
    return torch.nn.functional.pad(pairs, (num_prefix, 0, num_prefix, 0), value=True)
