"""Constants of corruptions at sizes other than 224 px.

At 224 px they are those of ImageNet-C's generating code [1]_. At other sizes lengths in pixels are
scaled by ``side / 224`` (side: the shorter one), so that a corruption covers the same fraction of
the image; amplitudes, thresholds, zoom factors, ratios and JPEG qualities are not scaled.

Lengths below a pixel (at 32 px, the default size, 1 px corresponds to 7) need separate rules. All
of these rules are the identity at 224 px:

- *Gaussian and disk blurs* keep their fractional sigma or radius; the kernels integrate it against
  bilinear interpolation (``filters.py``), so that half a radius has half the effect.
- *glass_blur* moves pixels by whole pixels. The maximum displacement d is rounded up, and a pixel
  takes part in an iteration with probability d / ceil(d): the mean displacement scales.
- *motion_blur* and *snow* keep fractional radius and sigma; the number of taps rounds up.
- *zoom_blur* keeps its factors; only the published rounding of crops to pixels is left out.
- *snow* zooms its noise to set the size of a flake, which cannot be below one pixel: zoom >= 1. The
  zoom also smooths the noise; where it is limited, sigma is reduced instead.
- *elastic_transform* scales its alpha twice: smoothing over fewer pixels reduces noise less, so
  alpha is set so that the RMS **displacement** scales with the side.
- *fog* draws its plasma on the smallest power of two that covers the image (256 at 224 px).
- *spatter* scales its blurs and the reach of its highlight, but by no less than 0.6: a drop cannot
  be smaller than a pixel. Sigma compensates for the blur, as in snow, and keeps the fraction of
  drops.
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

# RMS of white noise after bilinear interpolation: 2/3 of the variance along each axis.
_ZOOMED_NOISE = 2 / 3
_SMALLEST_DROP = 0.6


def scaled_lengths(published: Constants, scale: float) -> Constants:
    """Return constants that are all lengths, scaled."""
    return tuple(scale * length for length in published)


def scaled_glass(published: Constants, scale: float) -> Constants:
    """Return the constants of glass_blur: the mean displacement scales."""
    sigma, max_delta, iterations, _ = published
    whole = math.ceil(scale * max_delta)
    return scale * sigma, whole, iterations, scale * max_delta / whole


def scaled_snow(published: Constants, scale: float) -> Constants:
    """Return the constants of snow: flakes do not shrink below a pixel."""
    mean, sigma, zoom, threshold, radius, blur, weight = published
    if scale * zoom < 1:
        sigma *= _ZOOMED_NOISE
    zoom = max(1.0, scale * zoom)
    return mean, sigma, zoom, threshold, scale * radius, scale * blur, weight


def scaled_elastic(published: Constants, scale: float) -> Constants:
    """Return the constants of elastic_transform.

    RMS of the displacement = alpha * RMS of the noise * (sum of squares of the kernel).
    """
    alpha, sigma, jitter = published
    kept = _kept_noise(sigma, truncate=3) / _kept_noise(scale * sigma, truncate=3)
    return scale * alpha * kept, scale * sigma, scale * jitter


def scaled_spatter(published: Constants, scale: float) -> Constants:
    """Return the constants of spatter.

    The threshold is a quantile of blurred noise: sigma compensates for a narrower blur.
    """
    mean, sigma, blur, threshold, strength, is_mud, reach = published
    scale = max(scale, _SMALLEST_DROP)
    sigma *= _kept_noise(blur, truncate=4) / _kept_noise(scale * blur, truncate=4)
    strength *= scale if is_mud else 1.0
    return mean, sigma, scale * blur, threshold, strength, is_mud, scale * reach


def _kept_noise(sigma: float, truncate: float) -> float:
    """Return the fraction of white noise's RMS after a two-dimensional Gaussian blur."""
    taps = gaussian_taps(sigma, truncate)
    return float((taps * taps).sum())


def gaussian_taps(sigma: float, truncate: float = 4.0) -> np.ndarray:
    """Return SciPy's sampled Gaussian, float64 (2 r + 1,) with r = round(truncate * sigma)."""
    radius = int(truncate * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    taps = np.exp(-0.5 / (sigma * sigma) * offsets**2)
    normalised: np.ndarray = taps / taps.sum()
    return normalised
