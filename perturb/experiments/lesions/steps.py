"""The steps in which damaged networks are run: a block, a part of it, and no more than is read.

Where the head reads nothing but the class token, the MLP of the last block need not run on the
other tokens; and every lesion of a sweep ends in that block, so this is a fifth of its work in a
network of four blocks. It is done only for what is known to take every token by itself: timm's
plain block and MLP. Matrix products of fewer rows may be rounded otherwise (by 1e-6 of the logits'
size; on machines where the kernels are the same, not at all), so `Steps` can be told not to; and a
few tokens are kept of small batches, as libraries have other kernels for a handful of rows. On
other devices than a CPU, where kernels differ more and less is saved, it is not done.

Legend: B images, N tokens, D width.
"""

from inspect import signature
from typing import Any

from torch import Tensor, nn

from perturb.experiments.lesions.surgery import block_without
from perturb.models.anatomy import Anatomy
from perturb.models.timm_modules import VisionTransformer

# What timm builds a ViT of unless it is told otherwise.
_PLAIN_BLOCK, _PLAIN_MLP = (
    signature(VisionTransformer).parameters[name].default for name in ("block_fn", "mlp_layer")
)
_FEWEST_ROWS = 32


class Steps:
    """The blocks of a network, and what can be run of them alone.

    Parameters
    ----------
    is_exact : whether the last block is run on all tokens, so that logits agree to the last bit.
    """

    def __init__(self, body: Anatomy, *, is_exact: bool = False) -> None:
        self.body = body
        self.trims_last = not is_exact and _reads_class_token(body)

    def block(self, index: int, activations: Tensor) -> Tensor:
        """Return the output of a whole block, given its input."""
        if self._is_trimmed(index, activations):
            return self.mlp(index, self.attend(index, activations))
        output: Tensor = self.body.blocks[index](activations)
        return output

    def without(self, index: int, part: str, activations: Tensor) -> Tensor:
        """Return the output of a block without a part of it, given its input."""
        if part == "attention":
            return self.mlp(index, activations)
        with block_without(self.body.blocks[index], part):
            output: Tensor = self.body.blocks[index](activations)
        return output

    def attend(self, index: int, activations: Tensor) -> Tensor:
        """Return what a block's attention leaves for its MLP, given the block's input."""
        return self.without(index, "mlp", activations)

    def mlp(self, index: int, activations: Tensor) -> Tensor:
        """Return the output of a block, given what its attention left."""
        block: Any = self.body.blocks[index]
        if not self._is_trimmed(index, activations):
            with block_without(block, "attention"):
                whole: Tensor = block(activations)
            return whole
        count = max(1, _FEWEST_ROWS // len(activations))
        read = activations[:, :count].contiguous()
        added: Tensor = block.drop_path2(block.ls2(block.mlp(block.norm2(read))))
        return read + added

    def _is_trimmed(self, index: int, activations: Tensor) -> bool:
        is_last = index == self.body.num_blocks - 1
        return self.trims_last and is_last and activations.device.type == "cpu"


def _reads_class_token(body: Anatomy) -> bool:
    """Return whether the last MLP and all after it need no other token than the first."""
    network = body.network
    if body.family != "vit" or network.global_pool != "token" or network.attn_pool is not None:
        return False
    for method in ("forward_head", "pool"):
        if getattr(type(network), method) is not getattr(VisionTransformer, method):
            return False
    last = body.blocks[-1]
    is_plain = type(last) is _PLAIN_BLOCK and type(last.mlp) is _PLAIN_MLP
    return is_plain and isinstance(network.norm, nn.LayerNorm | nn.Identity)
