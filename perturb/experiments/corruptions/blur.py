"""Blur corruptions: Gaussian, defocus and zoom, without draws; motion, given its angles.

Semantics of ImageNet-C; motion blur is ImageMagick's, which the published code calls.

B images, C channels, H W pixels, T taps.
"""

import math
import warnings
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from perturb.experiments.corruptions import device_filters, draws, filters
from perturb.experiments.corruptions.corruption import Corruption
from perturb.experiments.corruptions.filters import GUARD, to_bytes
from perturb.experiments.corruptions.scaling import PUBLISHED_SIDE, Constants, scaled_lengths

_DISK_SAMPLES = 16  # per pixel and axis
# One byte is 257 of ImageMagick's 16-bit quanta.
_QUANTA = 257


def is_published_size(images: Tensor) -> bool:
    """Whether the published code's own rounding rules apply: the shorter side is 224 px."""
    return min(images.shape[-2:]) == PUBLISHED_SIDE


def gaussian_blur(images: Tensor, constants: Constants) -> Tensor:
    """Return a Gaussian blur, edges replicated, cut at 4 sigma (``skimage.filters.gaussian``)."""
    (sigma,) = constants
    return filters.blurred_bytes(images, filters.blur_taps(sigma, is_published_size(images)))


def gaussian_blur_on_device(images: Tensor, constants: Constants) -> Tensor:
    """Return ``gaussian_blur`` by matrix products."""
    (sigma,) = constants
    taps = filters.blur_taps(sigma, is_published_size(images))
    return device_filters.blurred_bytes(images, taps)


def defocus_blur(images: Tensor, constants: Constants) -> Tensor:
    """Return the convolution with a disk, edges reflected (101)."""
    radius, alias_sigma = constants
    disk = _published_disk if is_published_size(images) else _subpixel_disk
    return to_bytes(filters.convolve(images.double(), disk(radius, alias_sigma)), GUARD)


@lru_cache(maxsize=16)
def _published_disk(radius: float, alias_sigma: float) -> np.ndarray:
    """Return the pixels within the radius, normalised, then blurred by 3 x 3 (large: 5 x 5) pixels.

    The blur reflects at the edge of the kernel's own array, which the disks of radius 8 and 10
    touch: their kernels sum to a little more than 1, and brighten, as the published ones do.
    """
    reach = 8 if radius <= 8 else int(radius)
    taps = 1 if radius <= 8 else 2
    offsets = np.arange(-reach, reach + 1)
    disk = (offsets[:, None] ** 2 + offsets**2 <= radius**2).astype(np.float64)
    disk /= disk.sum()
    weights = np.exp(-0.5 * (np.arange(-taps, taps + 1) / alias_sigma) ** 2)
    weights /= weights.sum()
    for _ in range(2):
        padded = np.pad(disk, ((taps, taps), (0, 0)), mode="reflect")
        disk = sum(w * padded[i : i + len(disk)] for i, w in enumerate(weights)).T
    # The published kernel is float32; its rounding, 1e-5 of a gray level, is kept.
    return disk.astype(np.float32).astype(np.float64)


@lru_cache(maxsize=16)
def _subpixel_disk(radius: float, _: float) -> np.ndarray:
    """Return a disk of any radius, spread onto pixels by bilinear interpolation.

    Each point of the disk shifts the image by its offset. With coverage of pixels instead, every
    radius below half a pixel would be the identity. Bilinear spreading already softens the edge.
    """
    reach = math.ceil(radius)
    count = 2 * max(8, math.ceil(radius * _DISK_SAMPLES))
    points = (np.arange(count) + 0.5) / count * 2 * radius - radius
    inside = points[:, None] ** 2 + points**2 <= radius**2
    offsets = np.arange(-reach, reach + 1)
    tents = np.clip(1 - np.abs(offsets[:, None] - points), 0, None)  # (K, points)
    kernel = tents @ inside @ tents.T
    normalised: np.ndarray = kernel / kernel.sum()
    return normalised


def zoom_blur(images: Tensor, factors: Constants) -> Tensor:
    """Return the mean of the image and its magnifications about the centre."""
    B, C, H, W = images.shape
    operator = _zoom_operator(factors, H, W, is_published_size(images), images.device)
    columns = images.reshape(B * C, H * W).T.to(torch.float64).contiguous()  # (H W, B C)
    blurred = (operator @ columns).T.reshape(B, C, H, W)
    return to_bytes(blurred, GUARD).contiguous()


@lru_cache(maxsize=5)
def _zoom_operator(
    factors: Constants, height: int, width: int, is_published: bool, device: torch.device
) -> Tensor:
    """Return the whole blur as one sparse matrix (H W, H W): all factors share most pixels."""
    num_pixels = height * width
    rows, columns, weights = [np.arange(num_pixels)], [np.arange(num_pixels)], [np.ones(num_pixels)]
    for factor in factors:
        vertical = filters.zoom_positions(height, factor, is_published)
        horizontal = filters.zoom_positions(width, factor, is_published)
        y, y_weight = filters.interpolation(vertical, height)
        x, x_weight = filters.interpolation(horizontal, width)
        columns.append((y[:, None, :, None] * width + x[None, :, None, :]).ravel())
        weights.append((y_weight[:, None, :, None] * x_weight[None, :, None, :]).ravel())
        rows.append(np.repeat(np.arange(num_pixels), 4))
    indices = torch.from_numpy(np.stack([np.concatenate(rows), np.concatenate(columns)]))
    values = torch.from_numpy(np.concatenate(weights) / (len(factors) + 1))
    shape = (num_pixels, num_pixels)
    with warnings.catch_warnings():
        # torch warns once per process that this layout is in beta, and that the invariants of other
        # tensors are not checked.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        warnings.filterwarnings("ignore", message="Sparse invariant checks are implicitly")
        operator = torch.sparse_coo_tensor(indices, values, shape, check_invariants=True)
        return operator.coalesce().to_sparse_csr().to(device)


def motion_blur(images: Tensor, constants: Constants, angles_deg: Tensor) -> Tensor:
    """Return ImageMagick's motion blur of uint8 (B, C, H, W); ``angles_deg`` float64 (B,).

    A one-sided Gaussian of 2 ceil(radius) + 1 taps; tap i reads the pixel at (ceil(i sin - 0.5),
    ceil(i cos - 0.5)), edges replicated. ImageMagick computes in 16 bits, and the PNG reader keeps
    the upper byte: floor(round(257 v) / 257).
    """
    radius, sigma = constants
    H, W = images.shape[-2:]
    num_taps = 2 * math.ceil(radius) + 1
    weights = _one_sided_taps(num_taps, sigma, is_published_size(images))
    paths = _paths(angles_deg, num_taps)  # (B, T, 2)
    (top, left), (bottom, right) = (-paths.amin((0, 1))).tolist(), paths.amax((0, 1)).tolist()
    # Small images share few paths; at 224 px nearly every angle has its own.
    patterns, membership, counts = torch.unique(
        paths.flatten(1), return_inverse=True, return_counts=True, dim=0
    )
    order = membership.argsort()
    padded = F.pad(images[order].double(), (left, right, top, bottom), mode="replicate")
    blurred = []
    for block, path in zip(torch.split(padded, counts.tolist()), patterns.tolist(), strict=True):
        total = block[..., top : top + H, left : left + W] * weights[0]  # tap 0 is the pixel itself
        for y, x, weight in zip(path[2::2], path[3::2], weights[1:].tolist(), strict=True):
            total.add_(block[..., top + y : top + y + H, left + x : left + x + W], alpha=weight)
        quanta = total.mul_(_QUANTA).add_(0.5 + GUARD).floor_()
        # Quanta are whole: adding half of one keeps the division away from the edge in every
        # rounding.
        blurred.append(to_bytes(quanta.add_(0.5).mul_(1 / _QUANTA)))
    return torch.cat(blurred)[order.argsort()]


def motion_blur_on_device(images: Tensor, constants: Constants, angles_deg: Tensor) -> Tensor:
    """Return ``motion_blur``, all images and taps at once."""
    radius, sigma = constants
    num_taps = 2 * math.ceil(radius) + 1
    weights = _one_sided_taps(num_taps, sigma, is_published_size(images)) * _QUANTA
    paths = _paths(angles_deg, num_taps)
    quanta = device_filters.along_paths(images, paths, tuple(weights.tolist())) + (0.5 + GUARD)
    # Not negative and below 2**16, so that the conversion is a floor and no byte is clipped.
    return quanta.int().div_(_QUANTA, rounding_mode="floor").to(torch.uint8)


def _one_sided_taps(num_taps: int, sigma: float, is_published: bool) -> np.ndarray:
    """Return ImageMagick's half Gaussian, float64 (T,), or at another size its sub-pixel form."""
    taps = np.arange(num_taps)
    if is_published:
        weights = np.exp(-0.5 * (taps / sigma) ** 2)
    else:
        shifts = np.linspace(0, num_taps - 1, 100 * num_taps)
        tents = np.clip(1 - np.abs(taps[:, None] - shifts), 0, None)  # (T, shifts)
        weights = tents @ np.exp(-0.5 * (shifts / sigma) ** 2)
    normalised: np.ndarray = weights / weights.sum()
    return normalised


def _paths(angles_deg: Tensor, num_taps: int) -> Tensor:
    """Return the (y, x) offsets of each tap, int64 (B, T, 2)."""
    angles = torch.deg2rad(angles_deg.double())
    directions = torch.stack([angles.sin(), angles.cos()], dim=1)  # (B, 2)
    taps = torch.arange(num_taps, device=angles.device, dtype=torch.float64)
    return torch.ceil(taps[None, :, None] * directions[:, None, :] - 0.5).long()


def _angles(keys: Tensor, *_: object) -> tuple[Tensor, ...]:
    return (draws.angles_deg(keys, -45, 45),)


CORRUPTIONS = {
    "defocus_blur": Corruption(
        defocus_blur,
        # radius_px, sigma_px of the blur of the disk's edge
        published=((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
        scaled=scaled_lengths,
    ),
    "motion_blur": Corruption(
        motion_blur,
        # radius_px, sigma_px
        published=((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
        draw=_angles,
        scaled=scaled_lengths,
        num_values=1 << 20,
        on_device=motion_blur_on_device,
    ),
    "zoom_blur": Corruption(
        zoom_blur,
        # `np.arange(1, stop, step)` and not a list: its rounding determines the number of factors
        published=tuple(
            tuple(np.arange(1, stop, step).tolist())
            for stop, step in ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
        ),
        num_values=1 << 19,
    ),
    "gaussian_blur": Corruption(
        gaussian_blur,
        # sigma_px
        published=((1,), (2,), (3,), (4,), (6,)),
        scaled=scaled_lengths,
        on_device=gaussian_blur_on_device,
    ),
}
