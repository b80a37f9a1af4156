"""Fraction of FLOPs kept by token removal, against the FLOPs that torch counts at run time."""

import sys
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from perturb.evaluation.outcome import Setting
from perturb.experiments.token_removal.evaluate import flops_kept, token_outcomes
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from tests.plain_vit import SIDE, images_of, small_vit

SEED = {"seeds": 1}
LAYERS = sys.modules["timm.layers"]
COUNTED: list[dict[str, Any]] = [
    {},
    {"variant": "registers"},
    {"variant": "average"},
    {"variant": "distilled"},
    {"variant": "wide_grid", "mlp_ratio": 3.5, "depth": 5},
    {"mlp_layer": LAYERS.SwiGLU},
    {"variant": "no_class_token", "global_pool": "map"},
    {"reg_tokens": 2, "global_pool": "map", "pool_include_prefix": True},
]


@torch.inference_mode()
@pytest.mark.parametrize("changes", COUNTED)
def test_flops_kept_are_those_that_torch_counts(changes: dict[str, Any]) -> None:
    classifier, images = small_vit(**changes, is_fused=False).float(), images_of(1)
    for share in (0.25, 0.75):
        with FlopCounterMode(display=False) as whole:
            classifier(images.pixels)
        with FlopCounterMode(display=False) as kept:
            (outcome,) = token_outcomes(classifier, images, Setting(("random",), share, 9, SEED))
        expected = kept.get_total_flops() / whole.get_total_flops()
        assert outcome.added["flops_kept"].item() == pytest.approx(expected, rel=1e-6)
        assert outcome.added["flops_kept"].dtype == torch.float32
        assert expected < 0.95


def test_flops_follow_depth_width_and_mlp() -> None:
    """FLOPs equal the standard count of a ViT, for sizes other than those of the tests above."""
    arguments = {"patch_size": 4, "embed_dim": 48, "depth": 6, "num_heads": 3, "mlp_ratio": 4}
    classifier = Classifier(build_network("vit", arguments, 7, SIDE), Preprocessing(side=SIDE))

    def count(tokens: int) -> int:
        return tokens * (4 * 48 * 48 + 2 * 48 * 192) + 2 * tokens * tokens * 48

    fixed = 16 * 48 * 48 + 48 * 7
    expected = (fixed + 2 * count(17) + 4 * count(7)) / (fixed + 6 * count(17))
    assert flops_kept(classifier, 6, 2) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("patch_embed", "patches are embedded by Identity; allowed .* one convolution"),
        ("attn_pool", "patches are pooled by Identity; allowed .* AttentionPoolLatent"),
    ],
)
def test_what_cannot_be_counted_is_refused(part: str, message: str) -> None:
    classifier = small_vit("registers")
    stranger = torch.nn.Identity()
    stranger.dynamic_feat_size = lambda _: (4, 4)  # type: ignore[assignment]
    setattr(classifier.network, part, stranger)
    with pytest.raises(ValueError, match=message):
        flops_kept(classifier, 8, 1)
