"""Facts about models, from the configuration and from the cards of their checkpoints."""

import json
from pathlib import Path
from typing import Any

import pytest

from perturb.models.network_size import vit_size
from perturb.records import Architecture, Model
from perturb.tables.facts import describe_models

# What a card says of its network; the FLOPs of a forward pass follow from it.
VIT = {"embed_dim": 48, "patch_size": 16, "num_heads": 3}
RESNET = {"layers": [3, 4, 6, 3], "channels": [64, 128, 256, 512], "stem_channels": 16}


def described(
    folder: Path, architecture: Architecture, side: int, card_of: str = "m"
) -> dict[str, Any]:
    """Return the facts of a model of this architecture whose network takes images of this side."""
    card = {
        "model": card_of,
        "family": architecture.family,
        "arguments": dict(architecture.arguments),
        "preprocessing": {"side": side},
        "num_classes": 10,
        "num_parameters": 7,
        "weights_sha256": "ab",
    }
    path = folder / "card.json"
    path.write_text(json.dumps(card))
    model = Model(
        "m",
        architecture.label,
        architecture,
        None,
        is_reference=False,
        training=None,
        weights=None,
        own_preprocessing=None,
        entry="m",
    )
    [row] = describe_models([model], {"m": path}).to_pylist()
    return row


@pytest.mark.parametrize(
    ("family", "patch_size", "arguments", "side", "num_blocks", "num_removable", "grid_side"),
    [
        ("vit", 16, {**VIT, "depth": 12}, 384, 12, 11, 24),
        # Patches that do not fill the image leave a margin.
        ("vit", 14, {**VIT, "depth": 32}, 384, 32, 31, 27),
        ("resnet", None, RESNET, 224, 16, 12, None),
        ("other", None, {"num_blocks": 5, "fixed_blocks": [0, 3]}, 224, 5, 3, None),
        ("other", None, {}, 224, None, None, None),
    ],
)
def test_blocks_and_patches_are_those_of_the_card(
    tmp_path: Path,
    family: str,
    patch_size: int | None,
    arguments: dict[str, Any],
    side: int,
    num_blocks: int | None,
    num_removable: int | None,
    grid_side: int | None,
) -> None:
    architecture = Architecture("a", family, "S", patch_size, "A", arguments, None)
    row = described(tmp_path, architecture, side)
    found = row["num_blocks"], row["num_removable"], row["grid_side"]
    assert found == (num_blocks, num_removable, grid_side)
    assert (row["num_parameters"], row["pretraining"]) == (7, None)


def test_flops_are_those_of_the_network_at_the_side_of_its_input(tmp_path: Path) -> None:
    vit = Architecture("a", "vit", "S", 16, "A", {**VIT, "depth": 12}, None)
    expected = vit_size(vit.arguments, 384, num_classes=10)[1]
    assert described(tmp_path, vit, 384)["forward_flops"] == expected
    named = Architecture("a", "vit", "B", 16, "A", {"depth": 12}, "vit_base_patch16_224")
    assert described(tmp_path, named, 224)["forward_flops"] == pytest.approx(35.1e9, rel=0.01)
    unknown = Architecture("a", "other", "S", None, "A", {}, None)
    assert described(tmp_path, unknown, 224)["forward_flops"] is None


def test_the_card_of_another_model_is_refused(tmp_path: Path) -> None:
    architecture = Architecture("a", "resnet", "S", None, "A", RESNET, None)
    with pytest.raises(ValueError, match=r"card\.json: is the card of model 'b', expected 'm'"):
        described(tmp_path, architecture, 224, card_of="b")
