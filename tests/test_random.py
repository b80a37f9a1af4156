"""Randomness: a function of seed, stream, key and slot, and random enough."""

import math
import subprocess
import sys

import pytest
import torch

from perturb import random

KEYS = torch.arange(2000)


def test_bits_are_splitmix64() -> None:
    # The first outputs of SplitMix64 from the state 1234567, as Vigna's reference code prints them.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    found = random.bits(torch.tensor([1234567]), 3)[0].tolist()
    assert [value % 2**64 for value in found] == expected


def test_draws_depend_on_their_own_key_alone() -> None:
    keys = random.stream_keys(7, "noise", KEYS)
    order = torch.randperm(len(keys), generator=torch.Generator().manual_seed(0))
    draws = random.normal(keys, 9)
    assert torch.equal(random.normal(keys[order], 9), draws[order])
    assert torch.equal(
        torch.cat([random.normal(keys[i : i + 1], 9) for i in range(20)]), draws[:20]
    )
    assert torch.equal(random.uniform(keys, 9)[:, :4], random.uniform(keys, 4))


@pytest.mark.parametrize(("seed", "stream"), [(8, "noise"), (7, "blur")])
def test_other_seed_or_stream_gives_other_draws(seed: int, stream: str) -> None:
    here = random.uniform(random.stream_keys(7, "noise", KEYS), 1).flatten()
    there = random.uniform(random.stream_keys(seed, stream, KEYS), 1).flatten()
    assert abs(torch.corrcoef(torch.stack([here, there]))[0, 1]) < 0.1
    assert not torch.equal(here, there)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distributions(dtype: torch.dtype) -> None:
    keys = random.stream_keys(1, "test", KEYS)
    uniform = random.uniform(keys, 500, dtype)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    error = 4 / math.sqrt(uniform.numel())  # four standard errors of a unit variance
    assert abs(uniform.mean() - 0.5) < error
    assert abs(uniform.var() - 1 / 12) < error
    normal = random.normal(keys, 501, dtype)
    assert normal.shape == (2000, 501)
    assert torch.isfinite(normal).all()
    assert abs(normal.mean()) < error
    assert abs(normal.var() - 1) < 2 * error
    counts = torch.bincount(random.integers(keys, 500, 7).flatten(), minlength=7)
    assert abs(counts / counts.sum() - 1 / 7).max() < error


def test_image_key_is_the_same_in_every_process() -> None:
    code = "from perturb.random import image_key; print(image_key('n01440764/a.JPEG'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == random.image_key("n01440764/a.JPEG") < 2**63


@pytest.mark.parametrize("high", [0, -1, 2**31 + 1])
def test_integers_refuses_an_impossible_range(high: int) -> None:
    with pytest.raises(ValueError, match="high is"):
        random.integers(KEYS, 1, high)
