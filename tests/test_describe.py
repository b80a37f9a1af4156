"""Facts about models, from the configuration and from the cards of their checkpoints."""

import json
from pathlib import Path
from typing import Any

import pytest

from perturb.records import Architecture, Model
from perturb.tables.facts import describe_models


def described(
    folder: Path, architecture: Architecture, side: int, card_of: str = "m"
) -> dict[str, Any]:
    """Return the facts of a model of this architecture whose network takes images of this side."""
    card = {
        "model": card_of,
        "family": architecture.family,
        "arguments": dict(architecture.arguments),
        "preprocessing": {"side": side},
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
        ("vit", 16, {"depth": 12}, 384, 12, 11, 24),
        # Patches that do not fill the image leave a margin.
        ("vit", 14, {"depth": 32}, 384, 32, 31, 27),
        ("resnet", None, {"layers": [3, 4, 6, 3]}, 224, 16, 12, None),
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


def test_the_card_of_another_model_is_refused(tmp_path: Path) -> None:
    architecture = Architecture("a", "resnet", "S", None, "A", {"layers": [3]}, None)
    with pytest.raises(ValueError, match=r"card\.json: is the card of model 'b', expected 'm'"):
        described(tmp_path, architecture, 224, card_of="b")
