"""The corruptions as a relation: their order, their groups, and which are the benchmark's."""

from collections.abc import Mapping

import pyarrow as pa

from perturb.experiments.corruptions.names import BENCHMARK_CORRUPTIONS, CORRUPTIONS

# ImageNet-C's own groups.
GROUPS: Mapping[str, str] = {
    "gaussian_noise": "Noise",
    "shot_noise": "Noise",
    "impulse_noise": "Noise",
    "defocus_blur": "Blur",
    "glass_blur": "Blur",
    "motion_blur": "Blur",
    "zoom_blur": "Blur",
    "snow": "Weather",
    "frost": "Weather",
    "fog": "Weather",
    "brightness": "Weather",
    "contrast": "Digital",
    "elastic_transform": "Digital",
    "pixelate": "Digital",
    "jpeg_compression": "Digital",
    "speckle_noise": "Extra",
    "gaussian_blur": "Extra",
    "spatter": "Extra",
    "saturate": "Extra",
}


def corruption_table(*_: object) -> pa.Table:
    """Return corruption, corruption_group, position and is_benchmark, one row a corruption."""
    return pa.table(
        {
            "corruption": CORRUPTIONS,
            "corruption_group": [GROUPS[name] for name in CORRUPTIONS],
            "position": range(len(CORRUPTIONS)),
            "is_benchmark": [name in BENCHMARK_CORRUPTIONS for name in CORRUPTIONS],
        }
    )
