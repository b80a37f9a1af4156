"""Predictions when a fraction of the patch tokens is removed early in the network.

After the first blocks, a fraction of an image's patch tokens is removed, either at random or those
to which the class token attends least, and the remaining blocks run on the other tokens. EViT [1]_
introduced the ranking of tokens by the class token's attention; it fuses the removed tokens into
one, whereas here they are discarded. Nothing is trained, and prefix tokens are always kept.

Legend: B images, H heads, N tokens (prefix and patches), G patches, D width of the tokens, A width
of the attention (its heads together).

References
----------
.. [1] Liang et al., "Not All Patches are What You Need: Expediting Vision Transformers via Token
   Reorganizations", ICLR 2022.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Outcome, Setting
from perturb.experiments.restricted_attention.attention import TokenLayout, token_layout
from perturb.experiments.setting import checked_options, whole
from perturb.models.anatomy import anatomy
from perturb.models.classifier import Classifier
from perturb.random import bits, stream_keys


@torch.inference_mode()
def token_outcomes(classifier: Classifier, images: Images, setting: Setting) -> Iterator[Outcome]:
    """Yield the predictions without a fraction of the patch tokens; evaluates `token_removal`.

    Condition ``random`` has ``seeds`` samples, numbered from 1: the tokens of each image are
    ranked at random, with the same ranks at every fraction. Condition ``low_attention`` has one: it
    removes the tokens with the least attention from the class token, mean over the heads, in the
    block before the cut. Both fill flops_kept. With fraction 0 both are the unchanged classifier,
    bit for bit. Blocks before the cut run once for the whole cell.

    Parameters
    ----------
    setting : its severity is the fraction of patch tokens removed, rounded to whole tokens; option
        ``after_block`` is the number of blocks before the removal, by default (None) a third of
        them, rounded down, at least one.

    Raises
    ------
    ValueError
        If the network is no ViT, or low_attention is requested without class token or with
        attention of an unknown kind; for a fraction outside 0 to 1 or one that leaves no token to
        pool, an unknown condition or option, or one out of range.
    """
    layout, body = token_layout(classifier), anatomy(classifier.network)
    if not body.is_staged:
        name = type(classifier.network).__name__
        raise ValueError(
            f"network is {name}; allowed: timm's VisionTransformer, run block by block"
        )
    options = checked_options("token_removal", setting)
    cut = _cut(options["after_block"], body.num_blocks)
    num_kept = _num_kept(classifier, layout, setting.severity)
    share = flops_kept(classifier, num_kept, cut)
    added = {"flops_kept": torch.full((len(images.keys),), share, device=images.keys.device)}
    before = body.run(body.embed(classifier, images.pixels), 0, cut - 1)
    tokens, attended = _run_watched(body.blocks[cut - 1], before)
    for condition in setting.conditions:
        if condition == "low_attention":
            ranks = class_attention(body.blocks[cut - 1], attended, layout)
            kept = keep_tokens(tokens, ranks, num_kept)
            yield Outcome(condition, 0, body.head(body.run(kept, cut)).float(), added)
        else:
            for sample in range(1, options["seeds"] + 1):
                keys = stream_keys(setting.seed, f"tokens/random/{sample}", images.keys)
                kept = keep_tokens(tokens, bits(keys, layout.num_patches), num_kept)
                yield Outcome(condition, sample, body.head(body.run(kept, cut)).float(), added)


def keep_tokens(tokens: Tensor, ranks: Tensor, num_kept: int) -> Tensor:
    """Return the prefix and the patch tokens of the highest ranks, (B, N', D), in original order.

    Parameters
    ----------
    tokens : (B, N, D), prefix first.
    ranks : (B, G), of the patches; among equal ranks, earlier patches come first.
    num_kept : patch tokens to keep of each image, 0 to G.
    """
    num_patches = ranks.shape[1]
    if num_kept == num_patches:
        return tokens
    num_prefix = tokens.shape[1] - num_patches
    order = ranks.argsort(dim=1, descending=True, stable=True)
    places = order[:, :num_kept].sort(dim=1).values + num_prefix
    prefix = torch.arange(num_prefix, device=places.device).expand(len(places), -1)
    places = torch.cat([prefix, places], dim=1)  # (B, N')
    return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[2]))


def class_attention(block: nn.Module, attended: Tensor, layout: TokenLayout) -> Tensor:
    """Return the class token's attention weight on each patch in a block, float (B, G).

    The weights are those of the softmax over all tokens, mean over the heads. The fused kernel does
    not return them, so they are recomputed from queries and keys.

    Parameters
    ----------
    block : of a timm ViT.
    attended : (B, N, D), the input of the block's attention.

    Raises
    ------
    ValueError
        If the network has no class token, or the block's attention is of another kind than timm's
        `Attention`.
    """
    if not layout.has_class_token:
        raise ValueError("network has no class token; low_attention ranks patches by its attention")
    attention: Any = getattr(block, "attn", None)
    if type(attention).__name__ != "Attention":
        raise ValueError(
            f"attention of {type(block).__name__} is {type(attention).__name__}; allowed for "
            "low_attention: timm's Attention, whose weights are a softmax of queries and keys"
        )
    heads = attention.qkv(attended).unflatten(2, (3, attention.num_heads, -1))
    queries, keys, _ = heads.permute(2, 0, 3, 1, 4)  # (B, H, N, A / H) each
    queries, keys = attention.q_norm(queries[:, :, :1]), attention.k_norm(keys)
    weights = ((queries * attention.scale) @ keys.transpose(2, 3)).softmax(dim=3)  # (B, H, 1, N)
    mean: Tensor = weights[:, :, 0, layout.num_prefix :].mean(dim=1)
    return mean


def flops_kept(classifier: Classifier, num_kept: int, cut: int) -> float:
    """Return the forward FLOPs with removed patch tokens over those of the unchanged network.

    Multiplications and additions of the embedding, the linear layers, the attention's two products
    and the classifier, each counted as one; norms, activations and the softmax are excluded, as is
    usual. Of a block with n tokens: ``2 n (4 D A + 2 D M) + 4 n^2 A`` with an MLP of M units; other
    blocks by the weights of their linear layers. Choosing the tokens is not counted: an attention
    that exposes its weights provides the ranking at no cost.

    Parameters
    ----------
    classifier : with a timm ViT.
    num_kept : number of patch tokens kept.
    cut : number of blocks before the removal.

    Raises
    ------
    ValueError
        If patches are embedded by more than one convolution, or pooled in an unknown way.
    """
    layout = token_layout(classifier)
    network, num_blocks = classifier.network, len(anatomy(classifier.network).blocks)
    whole = _flops(network, layout, [layout.num_patches] * (num_blocks + 1))
    kept = [layout.num_patches] * cut + [num_kept] * (num_blocks + 1 - cut)
    return _flops(network, layout, kept) / whole


def _flops(network: Any, layout: TokenLayout, num_patches: Sequence[int]) -> int:
    """Return forward FLOPs per image for the numbers of patches in each block and the head."""
    *in_blocks, in_head = (layout.num_prefix + number for number in num_patches)
    flops = _embedding_flops(network, layout)
    for block, num_tokens in zip(network.blocks, in_blocks, strict=True):
        attention = getattr(block, "attn", block)
        attention_width: int = getattr(attention, "attn_dim", network.embed_dim)
        flops += 2 * num_tokens * _num_weights(block) + 4 * num_tokens**2 * attention_width
    return flops + _head_flops(network, in_head)


def _embedding_flops(network: Any, layout: TokenLayout) -> int:
    convolution = getattr(network.patch_embed, "proj", None)
    if hasattr(network.patch_embed, "backbone") or not isinstance(convolution, nn.Conv2d):
        raise ValueError(
            f"patches are embedded by {type(network.patch_embed).__name__}; allowed where FLOPs "
            "are counted: one convolution"
        )
    return 2 * layout.num_patches * convolution.weight.numel()


def _head_flops(network: Any, num_tokens: int) -> int:
    heads = [network.head, getattr(network, "head_dist", None)]
    flops = 2 * sum(_num_weights(head) for head in heads if head is not None)
    pool = network.attn_pool
    if pool is None:
        return flops
    if type(pool).__name__ != "AttentionPoolLatent":
        raise ValueError(
            f"patches are pooled by {type(pool).__name__}; allowed where FLOPs are counted: class "
            "token, average, maximum, AttentionPoolLatent"
        )
    num_pooled: int = num_tokens - (0 if network.pool_include_prefix else network.num_prefix_tokens)
    num_latent: int = pool.latent_len
    per_token: int = pool.kv.weight.numel()
    width: int = pool.kv.in_features
    flops += 2 * num_pooled * per_token + 4 * num_pooled * num_latent * width
    return flops + 2 * num_latent * (_num_weights(pool) - per_token)


def _num_weights(module: nn.Module) -> int:
    return sum(layer.weight.numel() for layer in module.modules() if isinstance(layer, nn.Linear))


def _run_watched(block: Any, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the output of a block and the input of its attention."""
    seen: list[Tensor] = []
    watched: nn.Module = getattr(block, "attn", block)
    handle = watched.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    try:
        outputs: Tensor = block(inputs)
    finally:
        handle.remove()
    return outputs, seen[-1] if seen else inputs


def _num_kept(classifier: Classifier, layout: TokenLayout, share: float) -> int:
    if not 0 <= share <= 1:
        raise ValueError(f"fraction of removed tokens is {share}; allowed: 0 to 1")
    num_kept = layout.num_patches - round(share * layout.num_patches)
    if num_kept == 0 and classifier.network.global_pool != "token":
        raise ValueError(
            f"fraction of removed tokens is {share}, which leaves none of {layout.num_patches} to "
            f"pool by {classifier.network.global_pool!r}; allowed: less"
        )
    return num_kept


def _cut(after: float | None, num_blocks: int) -> int:
    """Return the number of blocks before the removal."""
    if after is None:
        return max(1, num_blocks // 3)
    return whole("after_block of token_removal", after, 1, num_blocks)
