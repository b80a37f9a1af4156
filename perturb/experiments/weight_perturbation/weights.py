"""Noisy or rounded weights of a network within a ``with`` statement.

Noise measures the flatness of the minimum of the loss: it is the same relative change of every
tensor, as in studies of generalisation [1]_. Rounding is that of deployment: symmetric, with one
scale for each output channel of a linear layer or convolution, as in post-training quantisation
[2]_; biases, norms, embeddings and activations stay in floating point.

References
----------
.. [1] Keskar et al., "On Large-Batch Training for Deep Learning: Generalization Gap and Sharp
   Minima", ICLR 2017.
.. [2] Nagel et al., "A White Paper on Neural Network Quantization", arXiv:2106.08295, 2021.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor, nn

from perturb.random import normal, stream_keys

# A parameter's name and value -> its value within the statement.
Change = Callable[[str, Tensor], Tensor]

FEWEST_BITS = 2
MOST_BITS = 16


@contextmanager
def with_weights(network: nn.Module, change: Change) -> Iterator[None]:
    """Change the parameters of a network, and restore them bit for bit.

    Parameters
    ----------
    change : returns a parameter's value; the parameter itself if it does not change.
    """
    kept: list[tuple[Tensor, Tensor]] = []
    try:
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                weight = parameter.detach()
                changed = change(name, weight)
                kept.append((weight, weight.clone()))
                weight.copy_(changed)
        torch.clear_autocast_cache()  # it may hold the weights in another precision
        yield
    finally:
        with torch.no_grad():
            for weight, value in kept:
                weight.copy_(value)
        torch.clear_autocast_cache()


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

    def noisy(name: str, weight: Tensor) -> Tensor:
        key = torch.zeros(1, dtype=torch.int64, device=weight.device)
        keys = stream_keys(seed, f"weight_noise/{sample}/{name}", key)
        noise = normal(keys, weight.numel()).view(weight.shape)
        return weight + scale * weight.std(correction=0) * noise.to(weight.dtype)

    return with_weights(network, noisy)


def with_rounded_weights(network: nn.Module, bits: int) -> AbstractContextManager[None]:
    """Return a statement in which the weights of linear layers and convolutions are rounded.

    Each output channel has 2^(bits - 1) - 1 steps to either side of 0; its largest weight keeps
    its value. No number of bits is the identity: float32 has 24 bits of its own.

    Raises
    ------
    ValueError
        for fewer than 2 bits or more than 16.
    """
    if not FEWEST_BITS <= bits <= MOST_BITS:
        raise ValueError(f"bits is {bits}; allowed: {FEWEST_BITS} to {MOST_BITS}")
    layers = (nn.Linear, nn.Conv2d)
    names = {
        f"{name}.weight" for name, module in network.named_modules() if isinstance(module, layers)
    }

    def rounded(name: str, weight: Tensor) -> Tensor:
        return _rounded(weight, 2 ** (bits - 1) - 1) if name in names else weight

    return with_weights(network, rounded)


def _rounded(weight: Tensor, num_steps: int) -> Tensor:
    """Return a weight (out, ...) on a grid of steps for each output channel."""
    largest = weight.abs().flatten(1).amax(dim=1).view(-1, *[1] * (weight.ndim - 1))
    step = largest / num_steps
    on_grid = (weight / step).round_() * step
    return torch.where(step > 0, on_grid, weight)  # a channel of zeros has no step
