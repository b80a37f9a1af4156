"""Steps of networks with lesions: a block or a part of it, without unread computations.

Where the head reads only the class token, the MLP of the last block need not run on the other
tokens. Every lesion of a sweep ends in that block, so this saves a fifth of the work in a network
of four blocks. It applies only to modules known to process each token separately: timm's plain
block and MLP. Matrix products of fewer rows may be rounded differently (by 1e-6 of the size of the
logits; not at all on machines with equal kernels), so `is_exact` disables it. Small batches keep a
few more tokens, as libraries have other kernels for very few rows. It is not used on devices other
than a CPU, where kernels differ more and the saving is smaller.

Legend: B images, N tokens, D width.
"""

from inspect import signature
from typing import Any

from torch import Tensor, nn

from perturb.experiments.lesions.surgery import block_without
from perturb.models.anatomy import Anatomy
from perturb.models.timm_modules import VisionTransformer

# timm's default modules of a ViT.
_PLAIN_BLOCK, _PLAIN_MLP = (
    signature(VisionTransformer).parameters[name].default for name in ("block_fn", "mlp_layer")
)
_FEWEST_ROWS = 32


class Steps:
    """The blocks of a network and the parts of them that run separately.

    Parameters
    ----------
    is_exact : whether the last block runs on all tokens, so that logits agree bit for bit.
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
        """Return the input of a block's MLP part, given the block's input."""
        return self.without(index, "mlp", activations)

    def mlp(self, index: int, activations: Tensor) -> Tensor:
        """Return the output of a block, given the result of `attend`."""
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
    """Return whether the last MLP and all later layers need only the first token."""
    network = body.network
    if body.family != "vit" or network.global_pool != "token" or network.attn_pool is not None:
        return False
    for method in ("forward_head", "pool"):
        if getattr(type(network), method) is not getattr(VisionTransformer, method):
            return False
    last = body.blocks[-1]
    is_plain = type(last) is _PLAIN_BLOCK and type(last.mlp) is _PLAIN_MLP
    return is_plain and isinstance(network.norm, nn.LayerNorm | nn.Identity)
