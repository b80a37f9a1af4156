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

# Bumped when the numbers of a perturbation change, so that shards made before are made again and
# never mixed with new ones; a golden test fails when the numbers change without a bump.
PROTOCOLS = {"none": 1, "corruptions": 1}
