"""Constants of networks that the workflow needs, for code that must not import torch."""

# Bumped when trained weights change for the same configuration, so that models trained before are
# trained again.
PROTOCOL = 1

# Preprocessing where nothing says another: pixels become [-1, 1], as in Google's ViT and BiT.
MEAN = (0.5, 0.5, 0.5)
STD = (0.5, 0.5, 0.5)
INTERPOLATION = "bilinear"
# Of networks trained here, on the embedded images.
TRAINED_STD = (0.25, 0.25, 0.25)

# The arguments of each family, with the types that they may have.
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
