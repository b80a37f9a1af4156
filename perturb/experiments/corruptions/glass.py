"""Glass blur: the sequential sweep of pixel copies, computed in parallel by pointer doubling.

The published code sweeps the pixels from the lower right to the upper left and "swaps" each with a
neighbour drawn at random. Both sides of its swap are views of the array, so it **copies**:
x[p] = x[q]. If q is later in raster order, it is already rewritten in this sweep, and the value is
that of q's source. Each pixel thus points to another; pointer doubling follows the pointers to
their ends, which gives the sweep's result in about five gathers.

B images, I iterations, P = H W pixels.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from perturb import random
from perturb.experiments.corruptions import device_filters, filters
from perturb.experiments.corruptions.blur import is_published_size
from perturb.experiments.corruptions.corruption import Corruption
from perturb.experiments.corruptions.exact import upper_half
from perturb.experiments.corruptions.scaling import Constants, scaled_glass

_DOUBLINGS = 7  # of the length of a chain that is followed


def draw_offsets(keys: Tensor, constants: Constants, height: int, width: int) -> Tensor:
    """Return (dy, dx) of each iteration and pixel, int8 (B, I, 2, H, W), from {-d, ..., d - 1}.

    Where only a fraction of the pixels takes part (see the constants), the others have (0, 0).
    """
    _, max_delta, iterations, share = constants
    shape = (int(iterations), 2, height, width)
    num_offsets = int(iterations) * 2 * height * width
    # 16 bits are enough to choose one of at most 2 d values: four draws from one hash.
    words = random.bits(keys, (num_offsets + 3) // 4).view(torch.int16)[:, :num_offsets]
    wide = (words.to(torch.int32) & 0xFFFF).mul_(2 * int(max_delta)).view(-1, *shape)
    offsets = upper_half(wide).to(torch.int8).sub_(int(max_delta))
    if share < 1:
        # The remainder of the 16 bits of dy is uniform too, and selects the pixels that take part.
        takes_part = (wide[:, :, :1] & 0xFFFF) < share * 0x10000
        offsets = offsets * takes_part
    return offsets


def follow(jumps: Tensor) -> Tensor:
    """Return the end of each chain of jumps, int32, by pointer doubling."""
    while True:
        doubled = jumps.index_select(0, jumps)
        if torch.equal(doubled, jumps):
            return jumps
        jumps = doubled


def follow_far(jumps: Tensor) -> Tensor:
    """Return the end of each chain of at most 128 jumps, without a comparison on the host.

    A draw continues a chain with a probability below 1/2, so that no more than one pixel in 10**38
    has a longer one.
    """
    for _ in range(_DOUBLINGS):
        jumps = jumps.index_select(0, jumps)
    return jumps


def glass_blur(
    images: Tensor,
    constants: Constants,
    offsets: Tensor,
    *,
    blurred_bytes: Callable[[Tensor, np.ndarray], Tensor] = filters.blurred_bytes,
    ends: Callable[[Tensor], Tensor] = follow,
) -> Tensor:
    """Return blur > bytes > shuffle > blur > bytes; ``offsets`` int8 (B, I, 2, H, W): (dy, dx)."""
    sigma, max_delta, _, _ = constants
    B, C, H, W = images.shape
    taps = filters.blur_taps(sigma, is_published_size(images))
    sources = sweep_sources(offsets, int(max_delta), ends)  # (B, P)
    index = sources.long()[:, None].expand(B, C, H * W)
    shuffled = blurred_bytes(images, taps).view(B, C, H * W).gather(2, index)
    return blurred_bytes(shuffled.view(B, C, H, W), taps)


def sweep_sources(
    offsets: Tensor, max_delta: int, ends: Callable[[Tensor], Tensor] = follow
) -> Tensor:
    """Return the source of each pixel in the image before all sweeps, int32 (B, P)."""
    B, num_iterations, _, H, W = offsets.shape
    pixels = torch.arange(H * W, device=offsets.device, dtype=torch.int32)
    # The sweep does not change rows and columns 0..d and those above H - d, W - d.
    moves = torch.zeros(H, W, dtype=torch.bool, device=offsets.device)
    moves[max_delta + 1 : H - max_delta + 1, max_delta + 1 : W - max_delta + 1] = True
    steps = offsets[:, :, 0].to(torch.int32) * W + offsets[:, :, 1]  # (B, I, H, W)
    copied = pixels + (steps * moves).view(B, num_iterations, H * W)  # (B, I, P)
    stops = copied
    if max_delta > 1:  # else offsets are -1 and 0, and no source comes later
        # A pixel later in raster order is already rewritten, so its pointer is followed; any other
        # ends the chain.
        jumps = torch.maximum(copied, pixels)
        dtype = torch.int32 if copied.numel() < 1 << 31 else torch.int64
        base = torch.arange(B * num_iterations, device=offsets.device, dtype=dtype) * (H * W)
        last = ends((jumps + base.view(B, -1, 1)).flatten())
        stops = copied.flatten().index_select(0, last).view(B, num_iterations, H * W)
    sources = stops[:, 0]
    row = (torch.arange(B, device=offsets.device) * (H * W)).view(B, 1)
    for iteration in range(1, num_iterations):
        index = (stops[:, iteration] + row).flatten()
        sources = sources.flatten().index_select(0, index).view(B, H * W)
    return sources


def _draws(keys: Tensor, constants: Constants, H: int, W: int) -> tuple[Tensor, ...]:
    return (draw_offsets(keys, constants, H, W),)


CORRUPTIONS = {
    "glass_blur": Corruption(
        glass_blur,
        # sigma_px, largest displacement_px, iterations, probability that a pixel takes part
        published=((0.7, 1, 2, 1), (0.9, 2, 1, 1), (1, 2, 3, 1), (1.1, 3, 2, 1), (1.5, 4, 2, 1)),
        draw=_draws,
        scaled=scaled_glass,
        on_device=partial(glass_blur, blurred_bytes=device_filters.blurred_bytes, ends=follow_far),
    ),
}
