"""The names of the perturbations, for code that must not import torch.

The 15 corruptions are those of ImageNet-C in its own order, the four extra ones those that its
authors offer for validation (Hendrycks and Dietterich, ICLR 2019).
"""

BENCHMARK_CORRUPTIONS = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
EXTRA_CORRUPTIONS = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
CORRUPTIONS = BENCHMARK_CORRUPTIONS + EXTRA_CORRUPTIONS
# Of the images that they can be made of [px].
SMALLEST_SIDE = 16

# Corruptions whose result has passed through JPEG, as the published files of ImageNet-C have, are
# named apart from those that have not: their accuracies differ by many points.
JPEG_QUALITY = 85
JPEG_SUFFIX = "_jpeg85"
# The published files themselves: corrupted beforehand, by others.
STORED_CORRUPTIONS = "corruptions_stored"

# The conditions of each cell. Those of `transfer` are the models that the images were made against,
# those of `class_subset` the data sets whose classes are decided among.
CONDITIONS = {
    "none": ("none",),
    "class_subset": (),
    "corruptions": CORRUPTIONS,
    STORED_CORRUPTIONS: CORRUPTIONS,
    "fgsm": ("fgsm",),
    "pgd": ("pgd",),
    "ensemble": ("apgd_ce", "apgd_dlr", "square"),
    "spatial": ("grid", "random"),
    "transfer": (),
    "lesions": ("block", "mlp", "attention"),
    "heads": ("head",),
    "attention_distance": ("window", "permuted"),
    "patch_cls": ("first", "last"),
    "tokens": ("random", "low_attention"),
}

# Bumped when the numbers of a perturbation change, so that shards made before are made again and
# never mixed with new ones; a golden test fails when the numbers change without a bump.
PROTOCOLS = {
    "none": 1,
    "class_subset": 1,
    "corruptions": 2,
    f"corruptions{JPEG_SUFFIX}": 1,
    STORED_CORRUPTIONS: 1,
    "fgsm": 1,
    "pgd": 1,
    "ensemble": 1,
    "spatial": 1,
    "transfer": 1,
    "lesions": 1,
    "heads": 1,
    "attention_distance": 1,
    "patch_cls": 1,
    "tokens": 1,
}
# The same for the analyses: what perturbations look like, and how alike layers are.
PATTERNS_PROTOCOL = 2
CORRELATIONS_PROTOCOL = 1
