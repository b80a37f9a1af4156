"""Noisy or rounded weights of a network within a ``with`` statement.

Noise of the same relative size in every tensor measures the sensitivity to small changes of
weights; it is not Keskar's sharpness, a maximum over a box [1]_. Rounding is that of deployment:
symmetric, with one scale for each output channel of a linear layer or convolution, as in
post-training quantisation [2]_; biases, norms, embeddings and activations stay in floating point.
Of standardised convolutions the stored weights are rounded, before standardisation.

Buffers are not changed: batch norm keeps the running statistics of the unchanged network. Of
weights that are held in bfloat16 the float32 values are changed, and then rounded: small noise
would vanish between two bfloat16 numbers.

References
----------
.. [1] Keskar et al., "On Large-Batch Training for Deep Learning: Generalization Gap and Sharp
   Minima", ICLR 2017.
.. [2] Nagel et al., "A White Paper on Neural Network Quantization", arXiv:2106.08295, 2021.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from perturb.models.precision import drop_copies, exact_values
from perturb.random import normal, stream_keys

# A parameter's name and value -> its value within the statement.
Change = Callable[[str, Tensor], Tensor]

# The draws of so many samples are kept, of networks of at most so many weights: 2 GB.
_SAMPLES_KEPT = 5
_MOST_KEPT = 100_000_000

FEWEST_BITS = 2
MOST_BITS = 16

_ROUNDED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@contextmanager
def with_weights(network: nn.Module, change: Change) -> Iterator[None]:
    """Change the parameters of a network, and restore them bit for bit.

    Parameters
    ----------
    change : returns a parameter's value; the parameter itself if it does not change. A layer with a
        parametrised weight has the parameters that this weight is computed from.
    """
    kept: list[tuple[Tensor, Tensor]] = []
    exact = exact_values(network)
    try:
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                weight = parameter.detach()
                changed = change(name, exact.get(name, weight))
                kept.append((weight, weight.clone()))
                weight.copy_(changed)  # rounded, if it is held in bfloat16
        drop_copies(network)
        yield
    finally:
        with torch.no_grad():
            for weight, value in kept:
                weight.copy_(value)
        drop_copies(network)


def with_noise(
    network: nn.Module, scale: float, *, seed: int, sample: int
) -> AbstractContextManager[None]:
    """Return a statement in which each weight has Gaussian noise added.

    Parameters
    ----------
    scale : standard deviation of the noise over that of the parameter's tensor. 0 leaves every bit
        as it is. A tensor of equal values has no deviation and stays as it is, too.
    seed, sample : of the draws, which are the same for every scale.
    """

    sizes = tuple((name, weight.numel()) for name, weight in network.named_parameters())
    is_kept = sum(size for _, size in sizes) <= _MOST_KEPT

    def noisy(name: str, weight: Tensor) -> Tensor:
        if scale == 0:
            return weight  # a sum with 0 has no negative zeros
        draw = _Draw(seed, sample, weight.device)
        noise = _all_draws(draw, sizes)[name] if is_kept else draw.of(name, weight.numel())
        noise = noise.view(weight.shape).to(weight.dtype)
        return weight + scale * weight.std(correction=0) * noise

    return with_weights(network, noisy)


@dataclass(frozen=True)
class _Draw:
    """Noise of deviation 1, which depends on the seed, the sample and a parameter's name alone."""

    seed: int
    sample: int
    device: torch.device

    def of(self, name: str, count: int) -> Tensor:
        """Return the noise of a parameter, (count,)."""
        key = torch.zeros(1, dtype=torch.int64, device=self.device)
        keys = stream_keys(self.seed, f"weight_noise/{self.sample}/{name}", key)
        return normal(keys, count)[0]


# All batches and all sizes of the noise have the same draws.
@lru_cache(maxsize=_SAMPLES_KEPT)
def _all_draws(draw: _Draw, sizes: tuple[tuple[str, int], ...]) -> dict[str, Tensor]:
    """Return the noise of each parameter of a network."""
    return {name: draw.of(name, count) for name, count in sizes}


def with_rounded_weights(network: nn.Module, bits: int) -> AbstractContextManager[None]:
    """Return a statement in which the weights of linear layers and convolutions are rounded.

    Each output channel has 2^(bits - 1) - 1 steps to either side of 0; the largest of its stored
    weights keeps its value. No number of bits is the identity: float32 has 24 bits of its own.

    Raises
    ------
    ValueError
        for fewer than 2 bits or more than 16, a layer whose weight is parametrised, or a network
        without such layers.
    """
    if not FEWEST_BITS <= bits <= MOST_BITS:
        raise ValueError(f"bits is {bits}; allowed: {FEWEST_BITS} to {MOST_BITS}")
    names = _rounded_names(network)

    def rounded(name: str, weight: Tensor) -> Tensor:
        return _rounded(weight, 2 ** (bits - 1) - 1) if name in names else weight

    return with_weights(network, rounded)


def _rounded_names(network: nn.Module) -> set[str]:
    """Return the names of the weights of linear layers and convolutions."""
    found: set[int] = set()
    for name, module in network.named_modules():
        if not isinstance(module, _ROUNDED):
            continue
        weight = module._parameters.get("weight")
        if weight is None:
            raise ValueError(
                f"layer {name!r} of {type(network).__name__} has no parameter `weight`; allowed "
                "for weight_rounding: layers whose weights are not parametrised"
            )
        found.add(id(weight))
    if not found:
        raise ValueError(
            f"network {type(network).__name__} has no linear layer and no convolution; "
            "weight_rounding rounds their weights"
        )
    # A shared weight has the name of the first module that has it.
    return {name for name, weight in network.named_parameters() if id(weight) in found}


def _rounded(weight: Tensor, num_steps: int) -> Tensor:
    """Return a weight (out, ...) on a grid of steps for each output channel."""
    largest = weight.abs().flatten(1).amax(dim=1).view(-1, *[1] * (weight.ndim - 1))
    step = largest / num_steps
    on_grid = (weight / step).round_() * step
    return torch.where(step > 0, on_grid, weight)  # a channel of zeros has no step
