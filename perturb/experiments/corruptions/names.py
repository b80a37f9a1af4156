"""The corruptions by name and group, in the order of ImageNet-C.

References
----------
.. [1] Hendrycks, Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
   Perturbations", ICLR 2019.
"""

# The 15 corruptions of the benchmark, and the four that its authors provide for validation.
BENCHMARK_GROUPS = {
    "Noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "Blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "Weather": ("snow", "frost", "fog", "brightness"),
    "Digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
EXTRA_GROUP = "Extra"
EXTRA_CORRUPTIONS = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
GROUPS = BENCHMARK_GROUPS | {EXTRA_GROUP: EXTRA_CORRUPTIONS}

BENCHMARK_CORRUPTIONS = tuple(name for names in BENCHMARK_GROUPS.values() for name in names)
CORRUPTIONS = BENCHMARK_CORRUPTIONS + EXTRA_CORRUPTIONS
# Smallest side of images for corruptions [px].
SMALLEST_SIDE = 16

# Corruptions with a JPEG pass, as in the published files of ImageNet-C, have another name than
# those without: their accuracies differ by many points.
JPEG_QUALITY = 85
JPEG_SUFFIX = "_jpeg85"
# The published files themselves.
STORED_CORRUPTIONS = "stored_corruptions"
