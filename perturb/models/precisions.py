"""Names of the precisions of networks, and the choice among them; for planning, without torch.

``float32``; ``bfloat16``, mixed precision by autocast; ``pure_bfloat16``, in which weights and
activations are bfloat16. What each means is in `perturb.models.precision`.
"""

PRECISIONS = ("float32", "bfloat16", "pure_bfloat16")

# What `auto` is on a device with native bfloat16; other families: bfloat16. In timm's published
# speeds (results/benchmark-infer-*, RTX PRO 6000) autocast runs at .96 to .97 of pure bfloat16 with
# ViTs, whose norms it computes in float32, and at 1.00 with BiT.
_FASTEST = {"vit": "pure_bfloat16"}


def fastest_precision(family: str) -> str:
    """Return the precision of `auto` for a family of networks, where bfloat16 is native."""
    return _FASTEST.get(family, "bfloat16")
