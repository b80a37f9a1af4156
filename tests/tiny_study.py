"""The smallest study there is with both families and a reference."""

from typing import Any

TINY_STUDY: dict[str, Any] = {
    "datasets": {
        "test": {"role": "clean", "generate": {"set": "target", "split": "test"}, "images": 24},
        "second": {"generate": {"set": "renditions", "split": "test"}, "images": 10},
        "fit": {"role": "train", "generate": {"set": "target", "split": "train"}, "images": 48},
        "watch": {
            "role": "train",
            "generate": {"set": "target", "split": "validation"},
            "images": 24,
        },
    },
    "pretraining": {"small": {"dataset": "fit", "samples": 128}},
    "training": {"dataset": "fit", "validation": "watch", "samples": 128},
    "architectures": {
        "vit": {
            "family": "vit",
            "size": "S",
            "patch_size": 16,
            "arguments": {"embed_dim": 16, "depth": 1, "num_heads": 1, "mlp_ratio": 1},
        },
        "resnet": {
            "family": "resnet",
            "size": "S",
            "arguments": {
                "layers": [1, 1],
                "channels": [16, 16],
                "num_groups": 4,
                "stem_channels": 8,
            },
        },
    },
    "models": {
        "a": {"architecture": "vit", "pretraining": "small", "weights": "trained"},
        "b": {"architecture": "resnet", "pretraining": "small", "weights": "trained"},
        "reference": {"architecture": "resnet", "role": "reference", "weights": "trained"},
    },
    "perturbations": {
        "none": {"datasets": ["test"]},
        "corruptions": {
            "datasets": ["test"],
            "severities": [1, 2],
            "corruptions": ["brightness", "contrast"],
        },
    },
}
