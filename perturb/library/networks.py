"""Changes of a network within a `with` statement, and the similarity of its layers."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from perturb.experiments.layer_correlations.similarity import correlate_layers
from perturb.experiments.lesions import surgery
from perturb.experiments.restricted_attention import attention
from perturb.library.arrays import Array, as_pixels
from perturb.library.classifiers import around_network, as_classifier
from perturb.library.models import device_of
from perturb.models.precision import autocast

if TYPE_CHECKING:
    import pandas as pd

Mask = Tensor | Array


@contextmanager
def without(model: nn.Module, blocks: Iterable[int], part: str = "block") -> Iterator[nn.Module]:
    """Remove blocks, or a part of each, within a `with` statement; yields the model.

    The skip connection stays: a removed block returns its input, a removed part adds nothing.
    Without blocks the logits are equal bit for bit, and afterwards the model is as before.
    Statements may be nested: all removals apply.

    Parameters
    ----------
    model : a network of timm whose blocks are known (VisionTransformer, ResNetV2), a
        `perturb.Classifier` of one, or any `nn.Module` that holds one, such as
        ``nn.Sequential(normalise, network)``. It is changed in place, and restored at the end.
    blocks : indices of the blocks, counted from 0 over all stages.
    part : ``block``, ``mlp`` or ``attention``; of a ResNet only ``block``.

    Raises
    ------
    ValueError
        For a model with no such network or several, an unknown part, an index out of range, a block
        that changes the shape of its input, or one that has no such separate part.

    References
    ----------
    Bhojanapalli et al., "Understanding Robustness of Transformers for Image Classification",
    ICCV 2021.
    """
    with around_network(model) as classifier, surgery.without(classifier, blocks, part):
        yield model


@contextmanager
def with_attention(model: nn.Module, masks: Mask | Sequence[Mask | None]) -> Iterator[nn.Module]:
    """Restrict attention to unmasked pairs within a `with` statement; yields the model.

    All-ones masks give the unmasked logits bit for bit, and afterwards the model is as before. In
    nested statements a pair must be allowed by both masks.

    Parameters
    ----------
    model : as of `without`, with a ViT. It is changed in place, and restored at the end.
    masks : bool, true where the token of the row may attend to that of the column: (N, N) for all
        blocks, or one for each of the L blocks, (L, N, N) or a sequence with None for an
        unrestricted block; tensors or arrays. ``perturb.token_layout(model)`` says what N is, and
        ``perturb.window_mask`` makes masks.

    Raises
    ------
    ValueError
        If the model has no ViT or several, its attention cannot be restricted, a mask has another
        type or shape, the number of masks is not that of the blocks, or a token may attend to no
        token; inside the statement, if the model runs on another number of tokens.

    References
    ----------
    As of `without`.
    """
    with (
        around_network(model) as classifier,
        attention.with_attention(classifier, _as_masks(masks)),
    ):
        yield model


def token_layout(model: nn.Module) -> attention.TokenLayout:
    """Return the layout of the tokens of a ViT: ``grid``, ``num_prefix``, ``has_class_token``.

    Parameters
    ----------
    model : as of `with_attention`.

    Raises
    ------
    ValueError
        If the model has no ViT or several.
    """
    with around_network(model) as classifier:
        return attention.token_layout(classifier)


def layer_similarity(
    model: nn.Module,
    images: Tensor | Array,
    *,
    image_ids: Sequence[str] | None = None,
    batch_size: int = 250,
) -> "pd.DataFrame":
    """Return the similarity of every two layers of a network: Pearson's correlation and CKA.

    Parameters
    ----------
    model : as of `without`, in evaluation mode; the output of its network is the model's.
    images : (B, 3, H, W), four or more, a tensor or a NumPy array: uint8, or floating point in
        [0, 1]. They may lie on another device than the model.
    image_ids : of all images; adds the rows of single images. None for none.
    batch_size : images in a batch; the error of CKA depends on it: few large batches are better.

    Returns
    -------
    A frame in the form of a study's file: a row for each measure (``pearson_all``, ``pearson_cls``,
    ``cka_all``, ``cka_cls``) and two layers. ``value`` is in [-1, 1], ``spread`` its standard
    deviation over images.

    Raises
    ------
    ValueError
        If the blocks of the model are not known, there are fewer than 4 images or their number is
        not that of the ids, a feature is not finite, or the same all over a layer.

    References
    ----------
    Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019.
    """
    pixels = as_pixels(images)
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; allowed: 1 or more")
    device = device_of(model)
    with (
        as_classifier(model, pixels[:1].to(device)) as classifier,
        autocast("float32", device),
    ):
        batches = (
            pixels[start : start + batch_size] for start in range(0, len(pixels), batch_size)
        )
        table = correlate_layers(classifier, batches, model="model", image_ids=image_ids)
    frame: pd.DataFrame = table.to_pandas()
    return frame.drop(columns="model")


def _as_masks(masks: Mask | Sequence[Mask | None]) -> attention.Masks:
    if isinstance(masks, Tensor | np.ndarray):
        return torch.as_tensor(masks)
    return [None if mask is None else torch.as_tensor(mask) for mask in masks]
