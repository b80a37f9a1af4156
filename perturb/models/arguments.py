"""Constants of networks and training for code that must not import torch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# Raised when trained weights change for the same configuration; models are then trained again.
PROTOCOL = 1

# Default preprocessing: pixels are scaled to [-1, 1], as in Google's ViT and BiT.
MEAN = (0.5, 0.5, 0.5)
STD = (0.5, 0.5, 0.5)
INTERPOLATION = "bilinear"
# For networks trained here, on the embedded images.
TRAINED_STD = (0.25, 0.25, 0.25)

# Arguments of each family with their types.
ARGUMENTS: dict[str, dict[str, tuple[type, ...]]] = {
    "vit": {
        "patch_size": (int,),
        "embed_dim": (int,),
        "depth": (int,),
        "num_heads": (int,),
        "mlp_ratio": (int, float),
    },
    "resnet": {
        "layers": (list, tuple),
        "channels": (list, tuple),
        "num_groups": (int,),
        "stem_channels": (int,),
    },
}


def unfit_arguments(family: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield messages on invalid values, among arguments of known names and types."""
    for name in ARGUMENTS[family]:
        value = arguments[name]
        numbers = value if isinstance(value, Sequence) else [value]
        if not numbers or not all(_is_positive(number) for number in numbers):
            yield f"{name} is {value!r}; allowed: positive numbers"
            return
    if family == "vit":
        divided = [("num_heads", "embed_dim", arguments["embed_dim"])]
    else:
        layers, channels = arguments["layers"], arguments["channels"]
        if len(layers) != len(channels):
            yield f"channels is {channels}; allowed: one number for each of layers={layers}"
        widths = (arguments["stem_channels"], *channels)
        divided = [("num_groups", "channels", width) for width in widths]
    for name, of, width in divided:
        if width % arguments[name]:
            yield f"{name} is {arguments[name]}; allowed: a divisor of {of} {width}"


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
