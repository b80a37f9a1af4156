"""How strong each corruption is: the published constants, and what they become at other sizes.

``constants(corruption, severity, height, width)`` is the one place that knows. At 224 px it returns
the table of ImageNet-C's generating code [1]_ as it stands. Elsewhere lengths in pixels are scaled
by ``side / 224`` (side: the shorter one), so that a corruption covers the same share of the
picture; amplitudes, thresholds, zoom factors, ratios and JPEG qualities are not scaled.

Lengths that fall below a pixel (32 px is the embedded default, where 1 px stands for 7) need a rule
each. The rules, all of them the identity at 224 px:

- *Gaussian and disk blurs* keep their fractional sigma or radius; the kernels integrate it against
  bilinear interpolation (``filters.py``), so that half a radius is half an effect and not none.
- *glass_blur* moves pixels by whole pixels. The maximum displacement d is rounded up, and a pixel
  takes part in an iteration with probability d / ceil(d): the mean displacement scales.
- *motion_blur* and *snow* keep fractional radius and sigma; the number of taps rounds up.
- *zoom_blur* keeps its factors; only the published rounding of crops to pixels is left out.
- *snow* zooms its noise to set the size of a flake, which cannot be below one pixel: zoom >= 1. The
  zoom also smooths the noise; where it is cut short, sigma is lowered by what it would have taken.
- *elastic_transform* divides its alpha twice: smoothing noise over n pixels averages away
  less when n shrinks, so alpha is set so that the RMS **displacement** scales with the side.
- *fog* draws its plasma on the smallest power of two that covers the image (256 at 224 px).
- *spatter* scales its blurs and the reach of its highlight, but by no less than 0.6: a drop cannot
  be smaller than a pixel. Sigma makes up for the blur, as in snow, and keeps the share of drops.
- *frost* scales its textures.

References
----------
.. [1] Hendrycks, Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
   Perturbations", ICLR 2019; ``ImageNet-C/create_c/make_imagenet_c.py`` of hendrycks/robustness.
"""

import math

import numpy as np

PUBLISHED_SIDE = 224

Constants = tuple[float, ...]

# 244 stands in the published code where 224 was meant; results depend on it, so it stays.
_ELASTIC = 244.0

# RMS that bilinear interpolation leaves of white noise: 2/3 of the variance along each axis.
_ZOOMED_NOISE = 2 / 3
_SMALLEST_DROP = 0.6

_PUBLISHED: dict[str, tuple[Constants, ...]] = {
    "gaussian_noise": ((0.08,), (0.12,), (0.18,), (0.26,), (0.38,)),  # sigma
    "shot_noise": ((60,), (25,), (12,), (5,), (3,)),  # photons of a white pixel
    "impulse_noise": ((0.03,), (0.06,), (0.09,), (0.17,), (0.27,)),  # share of replaced values
    # radius_px, sigma_px of the blur of the disk's edge
    "defocus_blur": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    # sigma_px, largest displacement_px, iterations, probability that a pixel takes part
    "glass_blur": ((0.7, 1, 2, 1), (0.9, 2, 1, 1), (1, 2, 3, 1), (1.1, 3, 2, 1), (1.5, 4, 2, 1)),
    "motion_blur": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),  # radius_px, sigma_px
    # `np.arange(1, stop, step)` and not a typed list: its rounding decides how many there are
    "zoom_blur": tuple(
        tuple(np.arange(1, stop, step).tolist())
        for stop, step in ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
    ),
    # mean, sigma, zoom, threshold, radius_px, sigma_px, weight of the image
    "snow": (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
    "frost": ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),  # image, frost
    "fog": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),  # weight, decay of the wibble
    "brightness": ((0.1,), (0.2,), (0.3,), (0.4,), (0.5,)),  # added to V of HSV
    "contrast": ((0.4,), (0.3,), (0.2,), (0.1,), (0.05,)),  # scale about the channel's mean
    # alpha_px, sigma_px of the smoothing, jitter_px of the affine map's corners
    "elastic_transform": tuple(
        (_ELASTIC * alpha, _ELASTIC * sigma, _ELASTIC * jitter)
        for alpha, sigma, jitter in (
            (2, 0.7, 0.1),
            (2, 0.08, 0.2),
            (0.05, 0.01, 0.02),
            (0.07, 0.01, 0.02),
            (0.12, 0.01, 0.02),
        )
    ),
    "pixelate": ((0.6,), (0.5,), (0.4,), (0.3,), (0.25,)),  # ratio
    "jpeg_compression": ((25,), (18,), (15,), (10,), (7,)),  # quality
    "speckle_noise": ((0.15,), (0.2,), (0.35,), (0.45,), (0.6,)),  # sigma
    "gaussian_blur": ((1,), (2,), (3,), (4,), (6,)),  # sigma_px
    # mean, sigma, blur sigma_px, threshold, strength (mud: blur sigma_px), is mud, reach_px
    "spatter": (
        (0.65, 0.3, 4, 0.69, 0.6, 0, 20),
        (0.65, 0.3, 3, 0.68, 0.6, 0, 20),
        (0.65, 0.3, 2, 0.68, 0.5, 0, 20),
        (0.65, 0.3, 1, 0.65, 1.5, 1, 20),
        (0.67, 0.4, 1, 0.65, 1.5, 1, 20),
    ),
    "saturate": ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),  # scale, shift of S of HSV
}


def constants(corruption: str, severity: int, height: int, width: int) -> Constants:
    """Return a corruption's constants at a severity from 1 to 5 for images of this size."""
    published = _PUBLISHED[corruption][severity - 1]
    scale = min(height, width) / PUBLISHED_SIDE
    if scale == 1.0:
        return published
    match corruption:
        case "defocus_blur" | "motion_blur" | "gaussian_blur":
            return tuple(scale * length for length in published)
        case "glass_blur":
            return _scaled_glass(published, scale)
        case "snow":
            return _scaled_snow(published, scale)
        case "elastic_transform":
            return _scaled_elastic(published, scale)
        case "spatter":
            return _scaled_spatter(published, scale)
    return published


def _scaled_glass(published: Constants, scale: float) -> Constants:
    sigma, max_delta, iterations, _ = published
    whole = math.ceil(scale * max_delta)
    return scale * sigma, whole, iterations, scale * max_delta / whole


def _scaled_snow(published: Constants, scale: float) -> Constants:
    mean, sigma, zoom, threshold, radius, blur, weight = published
    if scale * zoom < 1:
        sigma *= _ZOOMED_NOISE
    zoom = max(1.0, scale * zoom)
    return mean, sigma, zoom, threshold, scale * radius, scale * blur, weight


def _scaled_elastic(published: Constants, scale: float) -> Constants:
    """RMS of the displacement = alpha * RMS of the noise * (sum of squares of the kernel)."""
    alpha, sigma, jitter = published
    kept = _kept_noise(sigma, truncate=3) / _kept_noise(scale * sigma, truncate=3)
    return scale * alpha * kept, scale * sigma, scale * jitter


def _scaled_spatter(published: Constants, scale: float) -> Constants:
    """The threshold is a quantile of blurred noise: what a narrower blur keeps, sigma gives up."""
    mean, sigma, blur, threshold, strength, is_mud, reach = published
    scale = max(scale, _SMALLEST_DROP)
    sigma *= _kept_noise(blur, truncate=4) / _kept_noise(scale * blur, truncate=4)
    strength *= scale if is_mud else 1.0
    return mean, sigma, scale * blur, threshold, strength, is_mud, scale * reach


def _kept_noise(sigma: float, truncate: float) -> float:
    """Return which share of white noise's RMS a two-dimensional Gaussian leaves."""
    taps = gaussian_taps(sigma, truncate)
    return float((taps * taps).sum())


def gaussian_taps(sigma: float, truncate: float = 4.0) -> np.ndarray:
    """Return SciPy's sampled Gaussian, float64 (2 r + 1,) with r = round(truncate * sigma)."""
    radius = int(truncate * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    taps = np.exp(-0.5 / (sigma * sigma) * offsets**2)
    normalised: np.ndarray = taps / taps.sum()
    return normalised
