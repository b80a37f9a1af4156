"""Named random draws for a batch of images: each name has its own, independent stream."""

from dataclasses import dataclass

import torch
from torch import Tensor

from perturb.random import integers, normal, stream_keys, uniform

Bound = float | Tensor


@dataclass(frozen=True)
class Draws:
    """The draws of the images ``keys`` (B,) under a seed and a stream name.

    Values are float64 and rounded to float32 once at the end, so that the vector width of the
    processor does not change the result.
    """

    seed: int
    stream_name: str
    keys: Tensor

    def uniform(self, name: str, low: Bound = 0.0, high: Bound = 1.0) -> Tensor:
        """Return float64 (B,) from U[low, high)."""
        unit = uniform(self.stream(name), 1, torch.float64)[:, 0]
        return low + unit * (high - low)

    def symmetric(self, name: str, limit: Bound) -> Tensor:
        """Return float64 (B,) from U[-limit, limit)."""
        return self.uniform(name, -1.0, 1.0) * limit

    def normal(self, name: str) -> Tensor:
        """Return float64 (B,) from N(0, 1)."""
        return normal(self.stream(name), 1, torch.float64)[:, 0]

    def integers(self, name: str, high: int) -> Tensor:
        """Return int64 (B,) from {0, ..., high - 1}."""
        return integers(self.stream(name), 1, high)[:, 0]

    def coin(self, name: str, probability: Bound) -> Tensor:
        """Return bool (B,), true with the given probability."""
        return self.uniform(name) < probability

    def stream(self, name: str) -> Tensor:
        """Return the keys of the stream of a name, int64 (B,)."""
        return stream_keys(self.seed, f"{self.stream_name}/{name}", self.keys)
