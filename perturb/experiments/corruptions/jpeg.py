"""JPEG encoding and decoding as tensor operations, to the bytes of libjpeg-turbo.

Entropy coding is lossless and left out: what remains is colour conversion, 2 x 2 means of chroma,
the integer cosine transform ("islow"), quantisation and their inverses [1]_. Every intermediate
result is a whole number that its type holds exactly, matrix products in float64 included, so that
no byte depends on the order of a sum, on fused multiplications or on the device.

The cosine transform is linear between two roundings: each of its passes is a product with an 8 x 8
matrix of 13-bit constants.

B images, H W pixels, P blocks of 8 x 8; in arrays of blocks, float64 (8, P, 8), rows of a block
come first.

References
----------
.. [1] Wallace, "The JPEG Still Picture Compression Standard", CACM 1991.
"""

import io
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from perturb.experiments.corruptions.exact import constant, upper_half

_BITS = 16  # of the fixed-point constants of colour conversion
_HALF = 1 << (_BITS - 1)
# Weights of red, green and blue. Chroma is signed here, as is luma less 128.
_LUMA = (19595, 38470, 7471)
_CHROMA = ((-11059, -21709, 32768), (32768, -27439, -5329))
# Weights of blue and red chroma in red, green and blue.
_COLOURS = ((0, 91881), (-22554, -46802), (116130, 0))

# Cosines times sqrt(2) in 13 bits, of the 8 frequencies at the first 4 samples; the last bits of
# some differ because libjpeg computes them as sums of rounded constants.
_COSINES = (
    (8192, 8192, 8192, 8192),
    (11363, 9633, 6437, 2260),
    (10703, 4433, -4433, -10703),
    (9633, -2259, -11362, -6436),
    (8192, -8192, -8192, 8192),
    (6437, -11362, 2261, 9633),
    (4433, -10704, 10704, -4433),
    (2260, -6436, 9633, -11363),
)
# Bits that each pass removes: 13 of the constants, with 2 more bits kept between the passes.
_FORWARD_SHIFTS = (11, 15)
_INVERSE_SHIFTS = (11, 18)
_SCALE = 8  # of coefficients before quantisation


def jpeg_pass(images: Tensor, quality: int) -> Tensor:
    """Return uint8 (B, 3, H, W) encoded as JPEG, chroma 4:2:0, and decoded again.

    Parameters
    ----------
    images : uint8 (B, 3, H, W), sides of 16 px or more.
    quality : 1 to 95, Pillow's scale.
    """
    H, W = images.shape[-2:]
    padded = _padded(images)
    height, width = padded.shape[-2:]
    num_luma = len(images) * height * width // 64
    shape = (8, num_luma * 3 // 2, 8)  # a quarter as many blocks in each of two planes of chroma
    blocks = torch.empty(shape, dtype=torch.float64, device=images.device)
    luma = _planes(blocks[:, :num_luma], height, width)
    luma.copy_(_weighted(padded, _LUMA, _HALF - (128 << _BITS)).view(luma.shape))
    chroma = _planes(blocks[:, num_luma:], height // 2, width // 2)
    chroma.copy_(_small_chroma(padded, H).view(chroma.shape))
    blocks = _inverse_cosines(_quantised(_cosines(blocks), quality, num_luma))
    luma = _samples(blocks[:, :num_luma], height, width)[:, :H, :W]
    chroma = _samples(blocks[:, num_luma:], height // 2, width // 2)
    half = chroma[:, : (H + 1) // 2, : (W + 1) // 2]
    return _rgb(luma, _enlarged(half).view(len(images), 2, H + H % 2, W + W % 2)[..., :H, :W])


def _padded(images: Tensor) -> Tensor:
    """Return the images with their last pixels repeated up to whole blocks of 16 x 16."""
    for dim in (-2, -1):
        length = images.shape[dim]
        if length % 16:
            whole = torch.arange(-(-length // 16) * 16, device=images.device)
            images = images.index_select(dim, whole.clamp_(max=length - 1))
    return images


def _weighted(images: Tensor, weights: tuple[int, ...], offset: int) -> Tensor:
    """Return int16 (B, H, W), the weighted sum of channels and an offset, divided by 2**16."""
    total = constant((offset,), torch.int32, images.device)
    for channel, weight in enumerate(weights):
        if weight:
            total = torch.add(total, images[:, channel], alpha=weight)
    return upper_half(total)


def _small_chroma(images: Tensor, height: int) -> Tensor:
    """Return int16 (B, 2, H / 2, W / 2): means of 2 x 2, rounded up in every second column.

    ``height`` is that of the image: rows of means are repeated below it, not rows of pixels.
    """
    B, _, H, W = images.shape
    rows = torch.empty((B, 2, H // 2, W), dtype=torch.int16, device=images.device)
    for index, weights in enumerate(_CHROMA):
        chroma = _weighted(images, weights, _HALF - 1)  # less than half, as in libjpeg
        torch.add(chroma[:, ::2], chroma[:, 1::2], out=rows[:, index])
    means = rows[..., ::2] + rows[..., 1::2]
    means.view(B, 2, H // 2, W // 4, 2).add_(constant((1, 2), torch.int16, images.device))
    means.bitwise_right_shift_(2)
    num_rows = (height + 1) // 2
    if num_rows == H // 2:
        return means
    return means.index_select(
        -2, torch.arange(H // 2, device=means.device).clamp_(max=num_rows - 1)
    )


def _planes(blocks: Tensor, height: int, width: int) -> Tensor:
    """Return a view of blocks, (8, P, 8), as planes (..., H / 8, 8, W) to write to or read from."""
    return blocks.view(8, -1, height // 8, width).permute(1, 2, 0, 3)


def _samples(blocks: Tensor, height: int, width: int) -> Tensor:
    """Return the planes of blocks as int16 (N, H, W) in -128 to 127."""
    planes = _planes(blocks, height, width)
    samples = torch.empty(planes.shape, dtype=torch.int16, device=blocks.device)
    return samples.copy_(planes).clamp_(-128, 127).view(-1, height, width)


@lru_cache(maxsize=8)
def _cosine_matrix(shift: int, device: torch.device) -> Tensor:
    """Return the transform, float64 (8 frequencies, 8 samples), divided by a power of two."""
    half = np.array(_COSINES, dtype=np.float64)
    signs = np.where(np.arange(8) % 2, -1, 1)[:, None]  # odd frequencies are odd about the centre
    matrix = np.concatenate([half, signs * half[:, ::-1]], axis=1) / (1 << shift)
    return torch.from_numpy(matrix).to(device)


def _rounded(scaled: Tensor) -> Tensor:
    """Return whole numbers, halves rounded up; ``scaled`` is overwritten."""
    return scaled.add_(0.5).floor_()


def _cosines(blocks: Tensor) -> Tensor:
    """Return the coefficients of samples times 8: rows of samples first, then columns."""
    along, across = (_cosine_matrix(shift, blocks.device) for shift in _FORWARD_SHIFTS)
    passed = _rounded(blocks.view(-1, 8) @ along.T)
    return _rounded(across @ passed.view(8, -1)).view(blocks.shape)


def _inverse_cosines(blocks: Tensor) -> Tensor:
    """Return the samples of coefficients: columns first, then rows."""
    across, along = (_cosine_matrix(shift, blocks.device) for shift in _INVERSE_SHIFTS)
    passed = _rounded(across.T @ blocks.view(8, -1))
    return _rounded(passed.view(-1, 8) @ along).view(blocks.shape)


def _quantised(blocks: Tensor, quality: int, num_luma: int) -> Tensor:
    """Return coefficients times 8 as multiples of their steps, halves rounded away from zero."""
    steps, reciprocals = _steps(quality, blocks.device)
    parts = (blocks[:, :num_luma], blocks[:, num_luma:])
    for part, reciprocal in zip(parts, reciprocals, strict=True):
        part.mul_(reciprocal)
    blocks.round_()
    for part, step in zip(parts, steps, strict=True):
        part.mul_(step)
    return blocks


@lru_cache(maxsize=16)
def _steps(quality: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the quantisation steps, float64 (2, 8, 1, 8) of luma and chroma, and reciprocals.

    Reciprocals are of 8 steps, and too large by 2**-30: exact halves, which torch rounds to even,
    go away from zero, and no other quotient, at least 1 / 4080 from a half, crosses one.
    """
    stream = io.BytesIO()
    Image.new("RGB", (16, 16)).save(stream, "JPEG", quality=quality)
    tables = Image.open(stream, formats=("JPEG",)).quantization  # type: ignore[attr-defined]
    steps = np.array([tables[0], tables[1]], dtype=np.float64).reshape(2, 8, 1, 8)
    reciprocals = (1 + 2.0**-30) / (_SCALE * steps)
    return torch.from_numpy(steps).to(device), torch.from_numpy(reciprocals).to(device)


def _enlarged(planes: Tensor) -> Tensor:
    """Return int16 (N, h, w) twice as high and wide, 3/4 of the nearer sample and 1/4 of the other.

    Sums of columns are not rounded; those along rows are divided by 16 with an offset of 8 in even
    and 7 in odd columns.
    """
    N, h, w = planes.shape
    sums = torch.empty((N, h, 2, w), dtype=planes.dtype, device=planes.device)
    _add_neighbours(planes, -2, sums.unbind(2))
    sums = sums.view(N, 2 * h, w)
    enlarged = torch.empty((N, 2 * h, w, 2), dtype=planes.dtype, device=planes.device)
    _add_neighbours(sums, -1, enlarged.unbind(3))
    enlarged.add_(constant((8, 7), planes.dtype, planes.device)).bitwise_right_shift_(4)
    return enlarged.view(N, 2 * h, 2 * w)


def _add_neighbours(planes: Tensor, dim: int, results: tuple[Tensor, ...]) -> None:
    """Write 3 x + the sample before, and 3 x + the one after; edges are repeated."""
    length = planes.shape[dim]
    before, after = results
    for result, kept, moved, edge in (
        (before, 1, 0, 0),
        (after, 0, 1, length - 1),
    ):
        inner = result.narrow(dim, kept, length - 1)
        neighbours = planes.narrow(dim, moved, length - 1)
        torch.add(neighbours, planes.narrow(dim, kept, length - 1), alpha=3, out=inner)
        torch.mul(planes.narrow(dim, edge, 1), 4, out=result.narrow(dim, edge, 1))


def _rgb(luma: Tensor, chroma: Tensor) -> Tensor:
    """Return uint8 (B, 3, H, W) of signed luma (B, H, W) and chroma (B, 2, H, W)."""
    B, H, W = luma.shape
    images = torch.empty((B, 3, H, W), dtype=torch.uint8, device=luma.device)
    for channel, weights in enumerate(_COLOURS):
        change = _weighted(chroma, weights, _HALF + (128 << _BITS))
        images[:, channel] = (change + luma).clamp_(0, 255)
    return images
