"""Restriction of a classifier's attention within a `with` statement.

A hook passes each attention module its mask as the argument ``attn_mask`` (of BEiT, the shared bias
of positions), which timm adds to the logits of the softmax, in its own implementation and in the
fused kernel of ``scaled_dot_product_attention``. Weights, methods and flags of the network do not
change, so the network is restored at the end of the `with` statement, also after an exception.

Legend: B images, N tokens (prefix and patches), D width, L blocks.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from perturb.models.anatomy import anatomy
from perturb.models.classifier import Classifier
from perturb.models.residual_blocks import masked_attention

Masks = Tensor | Sequence[Tensor | None]
# Of each block: 0 for a pair that may attend, -inf for another, (N, N); None if all may.
Biases = tuple[Tensor | None, ...]


@dataclass(frozen=True)
class TokenLayout:
    """Layout of the tokens of a ViT.

    grid : rows and columns of patches.
    num_prefix : tokens before the patches: class token, registers, distillation token.
    has_class_token : whether the first token is a class token.
    """

    grid: tuple[int, int]
    num_prefix: int
    has_class_token: bool

    @property
    def num_patches(self) -> int:
        """Number of patches."""
        return self.grid[0] * self.grid[1]

    @property
    def num_tokens(self) -> int:
        """Number of tokens, prefix and patches: N."""
        return self.num_prefix + self.num_patches


def token_layout(classifier: Classifier) -> TokenLayout:
    """Return the layout of a classifier's tokens.

    Raises
    ------
    ValueError
        If the network is not a ViT with all tokens in one sequence.
    """
    network: Any = classifier.network
    body = anatomy(network)
    if body.family != "vit" and body.attention is None:
        raise ValueError(f"network is {type(network).__name__}; allowed: ViTs, which have tokens")
    side = classifier.preprocessing.side
    return TokenLayout(
        grid=tuple(network.patch_embed.dynamic_feat_size((side, side))),
        num_prefix=network.num_prefix_tokens,
        has_class_token=(
            network.has_class_token if body.family == "vit" else network.cls_token is not None
        ),
    )


@contextmanager
def with_attention(classifier: Classifier, masks: Masks) -> Iterator[Classifier]:
    """Restrict attention to unmasked pairs within a `with` statement; yields the classifier.

    A mask that excludes no pair is not applied: all-ones masks give the unmasked logits bit for
    bit. In nested `with` statements a pair must be allowed by both masks. The mask of a block or
    attention that is already removed has no effect.

    Parameters
    ----------
    classifier : with a timm ViT. It is changed in place, and restored at the end.
    masks : bool, true where the token of the row may attend to that of the column: (N, N) for all
        blocks, or one for each of the L blocks, (L, N, N) or a sequence with None for an
        unrestricted block.

    Raises
    ------
    ValueError
        If the network's attention cannot be restricted, a mask has another type or shape, the
        number of masks is not that of the blocks, or a token may attend to no token; inside the
        statement, if the network runs on another number of tokens than the masks have.
    """
    num_blocks = len(_attention_layers(classifier.network))
    num_tokens = token_layout(classifier).num_tokens
    biases = attention_biases(masks, num_blocks, num_tokens, classifier.mean.device)
    with with_biases(classifier, biases):
        yield classifier


def attention_biases(
    masks: Masks, num_blocks: int, num_tokens: int, device: torch.device
) -> Biases:
    """Return the bias of each block's softmax, for `with_biases`.

    Checking the masks waits for the device: evaluations of many batches do it once.

    Parameters
    ----------
    masks : as of `with_attention`; errors too.
    device : of the network.
    """
    chosen = _one_each(masks, num_blocks)
    biases: dict[int, Tensor | None] = {}  # one per mask, shared by blocks
    for mask in chosen:
        if mask is not None and id(mask) not in biases:
            biases[id(mask)] = _bias(mask, num_tokens, device)
    return tuple(None if mask is None else biases[id(mask)] for mask in chosen)


@contextmanager
def with_biases(classifier: Classifier, biases: Biases) -> Iterator[Classifier]:
    """Restrict attention as `with_attention` does, without waiting for the device.

    Parameters
    ----------
    biases : of `attention_biases`, for a classifier with as many blocks and tokens.
    """
    layers = _attention_layers(classifier.network)
    with ExitStack() as stack:
        for modules, bias in zip(layers, biases, strict=True):
            if bias is None:
                continue
            for module, argument in modules:
                hook = partial(_restrict, bias, argument)
                handle = module.register_forward_pre_hook(hook, with_kwargs=True)
                stack.callback(handle.remove)
        yield classifier


def _restrict(
    bias: Tensor, argument: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    tokens: Tensor = args[0]  # (B, N, D)
    if tokens.shape[1] != len(bias):
        raise ValueError(
            f"masks are for {len(bias)} tokens, but {type(module).__name__} got {tokens.shape[1]}"
        )
    added = bias.to(tokens.dtype)
    given = kwargs.get(argument)
    return args, {**kwargs, argument: added if given is None else given + added}


def _bias(mask: Tensor, num_tokens: int, device: torch.device) -> Tensor | None:
    """Return the bias of the softmax's logits, 0 or -inf; None if no pair is masked."""
    if mask.dtype != torch.bool or mask.shape != (num_tokens, num_tokens):
        raise ValueError(
            f"mask is {mask.dtype} {tuple(mask.shape)}; allowed: torch.bool "
            f"{(num_tokens, num_tokens)}, the network's tokens"
        )
    if mask.all():
        return None
    if not mask.any(dim=1).all():
        token = int(mask.any(dim=1).int().argmin())
        raise ValueError(
            f"mask leaves token {token} nothing to attend to; allowed: at least itself"
        )
    zeros = torch.zeros(mask.shape, device=device)
    return zeros.masked_fill_(~mask.to(device), -torch.inf)


def _one_each(masks: Masks, num_blocks: int) -> list[Tensor | None]:
    if isinstance(masks, Tensor) and masks.ndim == 2:
        return [masks] * num_blocks
    chosen = list(masks)
    if len(chosen) != num_blocks:
        raise ValueError(f"number of masks is {len(chosen)}; allowed: {num_blocks}, one a block")
    return chosen


def _attention_layers(network: nn.Module) -> list[list[tuple[nn.Module, str]]]:
    """Return the modules of each block that take a mask, with their argument for it.

    They are the innermost ones: a block of parallel attentions has several, and a block that
    computes attention and MLP from one projection is such a module itself.
    """
    body = anatomy(network)
    name = type(network).__name__
    if body.attention is not None:
        return [[taker] for block in body.blocks if (taker := masked_attention(block))]
    if body.family != "vit":
        raise ValueError(f"network is {name}; allowed: ViTs, as it has no attention to restrict")
    layers = []
    for index, block in enumerate(body.blocks):
        # Methods of the classes: those of an instance may be replaced by a lesion.
        takers = [module for module in block.modules() if _takes_mask(type(module).forward)]
        inner = [module for module in takers if sum(m in takers for m in module.modules()) == 1]
        if not inner:
            raise ValueError(
                f"block {index} of {name} is {type(block).__name__}, whose attention takes no "
                "mask; allowed: blocks of timm's that take attn_mask"
            )
        layers.append([(module, "attn_mask") for module in inner])
    return layers


@cache
def _takes_mask(forward: Callable[..., Any]) -> bool:
    return "attn_mask" in inspect.signature(forward).parameters
