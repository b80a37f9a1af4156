"""Elastic transform: a random affine map, then a smooth random displacement, given the draws.

Semantics of ImageNet-C (after Simard et al., 2003). OpenCV's ``warpAffine`` rounded source
positions (to 1/32 px) in earlier versions; this module does not, like current versions.

B images, H W pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from perturb import random
from perturb.experiments.corruptions import draws, filters
from perturb.experiments.corruptions.corruption import Corruption
from perturb.experiments.corruptions.exact import constant
from perturb.experiments.corruptions.filters import GUARD, to_bytes
from perturb.experiments.corruptions.scaling import Constants, scaled_elastic


def elastic_transform(
    images: Tensor, constants: Constants, corners: Tensor, noise: Tensor
) -> Tensor:
    """Return the image warped by an affine map and a displacement field.

    Parameters
    ----------
    images : uint8 (B, 3, H, W).
    constants : alpha_px, sigma_px of the smoothing, jitter_px of the corners.
    corners : (B, 3, 2) in [0, 1), stretched to U(-jitter, jitter): of three corners (x, y).
    noise : (B, 2, H, W) in [0, 1), stretched to U(-1, 1): displacements along x, then y.
    """
    alpha, sigma, jitter = constants
    H, W = images.shape[-2:]
    levels = images.double()
    levels = _read(levels, *_affine_positions(corners.double(), jitter, H, W), is_101=True)
    field = noise.double() * 2 - 1
    down, right = (filters.smoothing_matrix(length, sigma, field.device) for length in (H, W))
    displacement = alpha * (down @ field @ right.T)  # (B, 2, H, W)
    x = displacement[:, 0] + _axis(W, field)
    y = displacement[:, 1] + _axis(H, field)[:, None]
    return to_bytes(_read(levels, x, y, is_101=False), GUARD)


def _axis(length: int, like: Tensor) -> Tensor:
    return torch.arange(length, device=like.device, dtype=torch.float64)


def _affine_positions(
    corners: Tensor, jitter: float, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Return the source positions of the pixels, x and y float64 (B, H, W).

    The map moves three corners of a square about the centre to their jittered positions; a pixel of
    the result is read at its preimage, so the inverse map is computed.
    """
    size = min(height, width) // 3
    left, right = width // 2 - size, width // 2 + size
    top, bottom = height // 2 - size, height // 2 + size
    places = (right, bottom, right, top, left, top)
    fixed = constant(places, corners.dtype, corners.device).view(3, 2)
    # float32, as the published code passes them to OpenCV
    jittered = (fixed + ((2 * corners - 1) * jitter).float()).float().double()  # (B, 3, 2)
    origin, first, second = jittered.unbind(1)
    (ax, ay), (bx, by) = (first - origin).unbind(1), (second - origin).unbind(1)
    determinant = (ax * by - ay * bx).view(-1, 1, 1)
    x = _axis(width, corners) - origin[:, 0].view(-1, 1, 1)
    y = _axis(height, corners)[:, None] - origin[:, 1].view(-1, 1, 1)
    # Coordinates of the pixel along the two jittered edges, then the same along the fixed edges.
    along_first = (x * by.view(-1, 1, 1) - y * bx.view(-1, 1, 1)) / determinant
    along_second = (y * ax.view(-1, 1, 1) - x * ay.view(-1, 1, 1)) / determinant
    edges = fixed[1:] - fixed[0]  # (2, 2)
    source_x = fixed[0, 0] + along_first * edges[0, 0] + along_second * edges[1, 0]
    source_y = fixed[0, 1] + along_first * edges[0, 1] + along_second * edges[1, 1]
    return source_x, source_y


def _read(levels: Tensor, x: Tensor, y: Tensor, *, is_101: bool) -> Tensor:
    """Return ``levels`` (B, C, H, W) read bilinearly at pixel positions x, y (B, H, W).

    Outside, the image is reflected at the centres of its edge pixels (101) or at their outer edges.
    """
    H, W = levels.shape[-2:]
    grid = torch.stack([x, y], dim=-1)  # (B, H, W, 2)
    size = constant((W, H), grid.dtype, grid.device)
    grid = grid * (2 / (size - 1)) - 1 if is_101 else (grid * 2 + 1) / size - 1
    return F.grid_sample(levels, grid, padding_mode="reflection", align_corners=is_101)


def _draws(keys: Tensor, _: Constants, H: int, W: int) -> tuple[Tensor, ...]:
    corners = random.stream_keys(0, "corners", keys)
    return draws.uniforms(corners, 3, 2), draws.uniforms(keys, 2, H, W)


# The published code has 244 instead of 224; results depend on it, so it is kept.
_ELASTIC = 244.0

CORRUPTIONS = {
    "elastic_transform": Corruption(
        elastic_transform,
        # alpha_px, sigma_px of the smoothing, jitter_px of the affine map's corners
        published=tuple(
            (_ELASTIC * alpha, _ELASTIC * sigma, _ELASTIC * jitter)
            for alpha, sigma, jitter in (
                (2, 0.7, 0.1),
                (2, 0.08, 0.2),
                (0.05, 0.01, 0.02),
                (0.07, 0.01, 0.02),
                (0.12, 0.01, 0.02),
            )
        ),
        draw=_draws,
        scaled=scaled_elastic,
    ),
}
