"""Removal of layers from a classifier within a `with` statement.

The skip connection is kept: a removed block returns its input, a block without its MLP or attention
adds zeros in its place, and a removed head passes zeros to the projection. A removed layer is not
computed: its method ``forward`` is replaced, and a hook sets heads to zero. Weights are not
changed, and both changes are undone at the end of the `with` statement, also after an exception.

A removed residual block is replaced by the identity. The first block of each stage is never
removed: its skip connection is a learned projection, which would be removed too.

Legend: B images, N tokens, D width.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from perturb.experiments.lesions.plans import PARTS
from perturb.models.anatomy import Anatomy, anatomy
from perturb.models.classifier import Classifier

_PARTS = PARTS["vit"]


@contextmanager
def without(
    classifier: Classifier, blocks: Iterable[int], part: str = "block"
) -> Iterator[Classifier]:
    """Remove blocks, or a part of each, within a `with` statement; yields the classifier.

    Without blocks the logits are equal bit for bit. Statements may be nested, and combined with
    removed heads and attention masks: all removals apply.

    Parameters
    ----------
    classifier : changed in place, and restored at the end.
    blocks : indices of the blocks, counted from 0 over all stages.
    part : ``block``, ``mlp`` or ``attention``; of a ResNet only ``block``.

    Raises
    ------
    ValueError
        For an unknown part, an index out of range, a block that changes the shape of its input, or
        one that has no such separate part.
    """
    body = anatomy(classifier.network)
    removed = sorted(set(blocks))
    check_lesions(body, removed, part)
    with ExitStack() as stack:
        for index in removed:
            stack.enter_context(block_without(body.blocks[index], part))
        yield classifier


@contextmanager
def without_heads(classifier: Classifier, heads: Iterable[tuple[int, int]]) -> Iterator[Classifier]:
    """Remove attention heads within a `with` statement; yields the classifier.

    A removed head's output is zero at the input of the projection that mixes the heads, whether the
    softmax is fused or not.

    Parameters
    ----------
    classifier : with a timm ViT. It is changed in place, and restored at the end.
    heads : pairs of a block and one of its heads, both counted from 0.

    Raises
    ------
    ValueError
        For a network or a block without separate attention heads, or an index out of range.
    """
    body = anatomy(classifier.network)
    removed = sorted(set(heads))
    for block, head in removed:
        _check_index("block", block, body.num_blocks)
        _check_index("head", head, body.num_heads)
    with ExitStack() as stack:
        for block, head in removed:
            projection = attention_of(body, block).proj
            stack.enter_context(
                projection.register_forward_pre_hook(_blanking(head, body.num_heads))
            )
        yield classifier


def check_lesions(body: Anatomy, blocks: Iterable[int], part: str) -> None:
    """Raise a ValueError unless that part of these blocks can be removed."""
    if part not in _PARTS:
        raise ValueError(f"part is {part!r}; allowed: {', '.join(_PARTS)}")
    for index in blocks:
        _check_index("block", index, body.num_blocks)
        if index not in body.removable:
            allowed = ", ".join(map(str, body.removable))
            raise ValueError(f"block {index} has no skip of its input as it is; allowed: {allowed}")
        if part != "block" and not (body.is_staged and _branches(body.blocks[index], part)):
            kind = type(body.blocks[index]).__name__
            raise ValueError(
                f"block {index} is a {kind}, without a separate {part}; allowed: block"
            )


def attention_of(body: Anatomy, block: int) -> Any:
    """Return the attention module of a block, whose ``proj`` takes the concatenated heads.

    Raises
    ------
    ValueError
        If the block has none.
    """
    attention = getattr(body.blocks[block], "attn", None)
    if attention is None or not body.num_heads:
        kind = type(body.blocks[block]).__name__
        raise ValueError(f"block {block} is a {kind}; allowed: blocks with one attention module")
    return attention


@contextmanager
def block_without(block: nn.Module, part: str) -> Iterator[None]:
    """Remove a block, or a part of it, within a `with` statement."""
    with ExitStack() as stack:
        if part == "block":
            stack.enter_context(replaced_forward(block, _pass_on))
        else:
            for norm, layer in _branches(block, part):
                # The norm before or after the layer is removed too: it would turn zeros into its
                # bias.
                stack.enter_context(replaced_forward(norm, _pass_on))
                stack.enter_context(replaced_forward(layer, _nothing))
        yield


def blanked(outputs: Tensor, head: int, num_heads: int) -> Tensor:
    """Return the concatenated outputs of the heads, (B, N, D), with zeros for one of them."""
    kept = outputs.clone()
    kept.view(*kept.shape[:-1], num_heads, -1)[..., head, :] = 0
    return kept


@contextmanager
def replaced_forward(module: nn.Module, forward: Callable[..., Tensor]) -> Iterator[None]:
    """Replace the method ``forward`` of a module within a `with` statement."""
    own = vars(module)  # an attribute of the instance hides the method of its class
    before = own.get("forward")
    own["forward"] = forward
    try:
        yield
    finally:
        if before is None:
            del own["forward"]
        else:
            own["forward"] = before


def _branches(block: nn.Module, part: str) -> list[tuple[nn.Module, nn.Module]]:
    """Return the norms and layers of the part; empty if the block has no such part."""
    norm, layer, several = {
        "attention": ("norm1", "attn", "attns"),
        "mlp": ("norm2", "mlp", "ffns"),
    }[part]
    if hasattr(block, several):  # parallel branches, each with a norm of its own
        return [(branch.norm, getattr(branch, layer)) for branch in getattr(block, several)]
    if hasattr(block, "attn") and hasattr(block, "mlp"):
        return [(getattr(block, norm), getattr(block, layer))]
    return []


def _pass_on(activations: Tensor, *_: object, **__: object) -> Tensor:
    return activations


def _nothing(tokens: Tensor, *_: object, **__: object) -> Tensor:
    """Return zeros that broadcast, in place of the output of the removed layer."""
    return tokens.new_zeros(tokens.shape[-1])


def _blanking(head: int, num_heads: int) -> Callable[..., tuple[Tensor, ...]]:
    def blank(_: nn.Module, args: tuple[Any, ...]) -> tuple[Tensor, ...]:
        return (blanked(args[0], head, num_heads), *args[1:])

    return blank


def _check_index(name: str, index: int, count: int) -> None:
    if not 0 <= index < count:
        allowed = f"0 to {count - 1}" if count else "none, as it has no separate attention heads"
        raise ValueError(f"{name} is {index}; allowed: {allowed}")
