"""Predictions when patches attend only within a distance, or only to themselves.

Evaluators of the two restrictions of Bhojanapalli et al. [1]_. The paper does not specify some
details: here every block is restricted to the distance; the control draws one permutation per block
and sample, with several samples; prefix tokens are never restricted. The masks are those of
`masks`. The layers before the first restricted block are computed once for all conditions and
samples of a cell.

References
----------
.. [1] Bhojanapalli et al., "Understanding Robustness of Transformers for Image Classification",
   ICCV 2021.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Outcome, Setting
from perturb.experiments.restricted_attention.attention import Masks, token_layout, with_attention
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
    layout, body = token_layout(classifier), anatomy(classifier.network)
    distance = whole("distance of restricted_attention", setting.severity, 0)
    window = window_mask(layout.grid, distance, layout.num_prefix, images.pixels.device)
    embedded = _embedded(classifier, body, images.pixels)
    for condition in setting.conditions:
        if condition == "window":
            yield Outcome(condition, 0, _restricted(classifier, body, embedded, window))
        else:
            for sample in range(1, seeds + 1):
                masks = permuted_masks(
                    window, layout.num_prefix, body.num_blocks, seed=setting.seed, sample=sample
                )
                yield Outcome(condition, sample, _restricted(classifier, body, embedded, masks))


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
    depth = body.num_blocks
    count = whole("number of blocks of patch_attention", setting.severity, 0, depth)
    mask = patch_attention_mask(layout.num_patches, layout.num_prefix, images.pixels.device)
    embedded = _embedded(classifier, body, images.pixels)
    for condition in setting.conditions:
        start = 0 if condition == "first" else depth - count
        masks = [mask if start <= i < start + count else None for i in range(depth)]
        yield Outcome(condition, 0, _restricted(classifier, body, embedded, masks))


def _embedded(classifier: Classifier, body: Anatomy, pixels: Tensor) -> Tensor:
    """Return the input of the first block, or the pixels of a network that only runs as a whole."""
    return body.embed(classifier, pixels) if body.is_staged else pixels


def _restricted(classifier: Classifier, body: Anatomy, embedded: Tensor, masks: Masks) -> Tensor:
    """Return logits (B, K) under the masks, which are removed on return."""
    with with_attention(classifier, masks):
        logits = body.head(body.run(embedded)) if body.is_staged else classifier(embedded)
    return logits.float()
