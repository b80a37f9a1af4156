"""Per-image randomness that depends on (seed, stream, image key, slot) and on nothing else.

With a generator that advances from image to image, an image's draws change with the batch, the
order or the number of workers. Here every draw is a hash of its own coordinates, computed
with integer tensor operations, so that the same image gets the same perturbation in any batch, on
any worker and on any device.

The hash is the output function of SplitMix64 [1]_, applied to a key that was itself mixed from the
seed, the name of the stream (which perturbation, which severity) and the image key, plus a
per-slot multiple of the golden-ratio increment: slot by slot it *is* a SplitMix64 sequence.

References
----------
.. [1] Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
"""

import hashlib
import math

import torch
from torch import Tensor

# SplitMix64's constants, as the signed 64-bit integers that torch holds.
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)


def image_key(image_id: str) -> int:
    """Return a 63-bit key of an image id, the same on every machine and in every Python."""
    digest = hashlib.blake2b(image_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def stream_keys(seed: int, stream: str, image_keys: Tensor) -> Tensor:
    """Return one 64-bit key an image for the named stream of draws.

    Parameters
    ----------
    seed : the study's seed.
    stream : what the draws are for, e.g. ``"gaussian_noise/3"``; other names, other draws.
    image_keys : int64 (B,).

    Returns
    -------
    int64 (B,), on the device of ``image_keys``.
    """
    return _finalise(image_keys ^ image_key(f"{seed}/{stream}"))


def run_seed(seed: int, run: int) -> int:
    """Return the seed of a run of a training: of the first run, that of the study.

    Parameters
    ----------
    seed : the study's seed.
    run : from 1.
    """
    if run < 1:
        raise ValueError(f"run is {run}; allowed: 1 and more")
    return seed if run == 1 else image_key(f"{seed}/run {run} of a training")


def bits(keys: Tensor, num_slots: int) -> Tensor:
    """Return int64 (B, num_slots) of 64 random bits each; row b depends on ``keys[b]`` alone."""
    slots = torch.arange(1, num_slots + 1, device=keys.device, dtype=torch.int64)
    return _finalise(keys[:, None] + slots * _GOLDEN)


def uniform(keys: Tensor, num_slots: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return draws from U[0, 1), shape (B, num_slots); never 1, also after rounding."""
    if dtype == torch.float64:
        return _shift(bits(keys, num_slots), 11).to(dtype).mul_(2.0**-53)
    return _shift(bits(keys, num_slots), 40).to(dtype).mul_(2.0**-24)


def normal(keys: Tensor, num_slots: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return draws from N(0, 1), shape (B, num_slots), by Box-Muller on the halves of one hash."""
    pairs = bits(keys, (num_slots + 1) // 2)
    # The half-open [0, 1) becomes (0, 1]: the logarithm below must stay finite.
    radius = _shift(pairs, 32).add_(1).to(dtype).mul_(2.0**-32)
    angle = pairs.bitwise_and_(0xFFFFFFFF).to(dtype).mul_(2.0**-32 * 2.0 * math.pi)
    radius = radius.log().mul_(-2.0).sqrt_()
    draws = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)
    return draws[:, :num_slots]


def integers(keys: Tensor, num_slots: int, high: int) -> Tensor:
    """Return int64 draws from {0, ..., high - 1}, shape (B, num_slots).

    Multiply-shift on 31 bits: the bias is below ``high / 2**31``.
    """
    if not 0 < high <= 1 << 31:
        raise ValueError(f"high is {high}; allowed: 1 to 2**31")
    return (_shift(bits(keys, num_slots), 33) * high) >> 31


def _finalise(state: Tensor) -> Tensor:
    """SplitMix64's output function, in place: three times faster than with new tensors."""
    state.bitwise_xor_(_shift(state, 30)).mul_(_MIX_1)
    state.bitwise_xor_(_shift(state, 27)).mul_(_MIX_2)
    return state.bitwise_xor_(_shift(state, 31))


def _shift(value: Tensor, distance: int) -> Tensor:
    """Logical right shift; torch's own is arithmetic and would smear the sign bit."""
    return (value >> distance).bitwise_and_((1 << (64 - distance)) - 1)
