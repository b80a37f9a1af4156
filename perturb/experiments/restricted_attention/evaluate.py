"""Predictions when patches attend only within a distance, or only to themselves.

Evaluators of the two restrictions of Bhojanapalli et al. [1]_. The paper does not specify some
details: here every block is restricted to the distance; the control draws one permutation per block
and sample, with several samples; prefix tokens are never restricted. The masks are those of
`masks`; they are made once for all batches of a cell. The layers before the first restricted block
are computed once for all conditions and samples of a batch.

References
----------
.. [1] Bhojanapalli et al., "Understanding Robustness of Transformers for Image Classification",
   ICCV 2021.
"""

from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Outcome, Setting
from perturb.experiments.restricted_attention.attention import (
    Biases,
    TokenLayout,
    attention_biases,
    token_layout,
    with_biases,
)
from perturb.experiments.restricted_attention.masks import (
    patch_attention_mask,
    permuted_masks,
    window_mask,
)
from perturb.experiments.setting import checked_options, whole
from perturb.models.anatomy import Anatomy, anatomy
from perturb.models.classifier import Classifier


@torch.inference_mode()
def distance_outcomes(
    classifier: Classifier, images: Images, setting: Setting
) -> Iterator[Outcome]:
    """Yield predictions with attention within a distance; evaluates restricted_attention.

    Condition ``window`` has one sample. Condition ``permuted`` has ``seeds`` samples, numbered
    from 1: permutations of the window's mask that exclude as many pairs. At a distance that no pair
    exceeds, both are the unrestricted classifier, bit for bit.

    Parameters
    ----------
    setting : its severity is the largest horizontal or vertical distance [patches].

    Raises
    ------
    ValueError
        If the classifier's attention cannot be restricted, for a distance that is not a whole
        number of 0 or more, an unknown condition or option, or fewer than one seed.
    """
    seeds = checked_options("restricted_attention", setting)["seeds"]
    distance = whole("distance of restricted_attention", setting.severity, 0)
    layout, body = token_layout(classifier), anatomy(classifier.network)
    samples = tuple(
        (condition, sample)
        for condition in setting.conditions
        for sample in (range(1, seeds + 1) if condition == "permuted" else (0,))
    )
    device = images.pixels.device
    found = _distance_biases(layout, body.num_blocks, distance, samples, setting.seed, device)
    embedded = _embedded(classifier, body, images.pixels)
    for (condition, sample), biases in zip(samples, found, strict=True):
        yield Outcome(condition, sample, _restricted(classifier, body, embedded, biases))


@torch.inference_mode()
def patch_attention_outcomes(
    classifier: Classifier, images: Images, setting: Setting
) -> Iterator[Outcome]:
    """Yield predictions without attention between patches; evaluates patch_attention.

    In the ``first`` or in the ``last`` n blocks a patch attends to itself and to the prefix tokens
    only. With n = 0 both conditions are the unrestricted classifier, bit for bit.

    A head that reads only prefix tokens does not depend on attention between patches in the last
    block: for these networks the last n = 1 changes only rounding errors.

    Parameters
    ----------
    setting : its severity is n, up to the number of blocks.

    Raises
    ------
    ValueError
        If the classifier's attention cannot be restricted or it has no prefix tokens, for an n out
        of range, an unknown condition, or any option.
    """
    checked_options("patch_attention", setting)
    layout, body = token_layout(classifier), anatomy(classifier.network)
    if not layout.num_prefix:
        raise ValueError(
            f"network {type(classifier.network).__name__} has no prefix tokens (class token, "
            "registers); patch_attention needs one, through which patches still exchange something"
        )
    count = whole("number of blocks of patch_attention", setting.severity, 0, body.num_blocks)
    bias = _patch_bias(layout, images.pixels.device)
    embedded = _embedded(classifier, body, images.pixels)
    for condition in setting.conditions:
        start = 0 if condition == "first" else body.num_blocks - count
        biases = tuple(
            bias if start <= index < start + count else None for index in range(body.num_blocks)
        )
        yield Outcome(condition, 0, _restricted(classifier, body, embedded, biases))


# Of one cell: the next one replaces it.
@lru_cache(maxsize=1)
def _distance_biases(
    layout: TokenLayout,
    num_blocks: int,
    distance: int,
    samples: tuple[tuple[str, int], ...],
    seed: int,
    device: torch.device,
) -> tuple[Biases, ...]:
    """Return the biases of each condition and sample, given the distance."""
    window = window_mask(layout.grid, distance, layout.num_prefix, device)

    def biases(condition: str, sample: int) -> Biases:
        masks = window
        if condition == "permuted":
            masks = permuted_masks(window, layout.num_prefix, num_blocks, seed=seed, sample=sample)
        return attention_biases(masks, num_blocks, layout.num_tokens, device)

    return tuple(biases(*sample) for sample in samples)


@lru_cache(maxsize=1)
def _patch_bias(layout: TokenLayout, device: torch.device) -> Tensor | None:
    """Return the bias of a block without attention between patches."""
    mask = patch_attention_mask(layout.num_patches, layout.num_prefix, device)
    return attention_biases(mask, 1, layout.num_tokens, device)[0]


def _embedded(classifier: Classifier, body: Anatomy, pixels: Tensor) -> Tensor:
    """Return the input of the first block, or the pixels of a network that only runs as a whole."""
    return body.embed(classifier, pixels) if body.is_staged else pixels


def _restricted(classifier: Classifier, body: Anatomy, embedded: Tensor, biases: Biases) -> Tensor:
    """Return logits (B, K) with the biases, which are removed on return."""
    with with_biases(classifier, biases):
        logits = body.head(body.run(embedded)) if body.is_staged else classifier(embedded)
    return logits.float()
