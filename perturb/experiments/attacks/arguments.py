"""Checks of the arguments of attacks, and of the values inside of them."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def checked(images: Tensor, targets: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return images and targets as tensors for gradients; a ValueError if they are invalid."""
    check_epsilon(epsilon)
    if images.dtype != torch.float32 or images.ndim != 4:
        raise ValueError(
            f"images are {images.dtype} {tuple(images.shape)}; allowed: float32 (B, 3, H, W)"
        )
    if targets.shape != images.shape[:1]:
        raise ValueError(
            f"targets have shape {tuple(targets.shape)}; allowed: one for each of {len(images)}"
        )
    lowest, highest = torch.stack(torch.aminmax(images)).tolist() if len(images) else (0, 1)
    if not (lowest >= 0 and highest <= 1):  # also refuses NaN
        raise ValueError(f"images lie in [{lowest:.4g}, {highest:.4g}]; allowed: [0, 1]")
    return ordinary(images.detach()), ordinary(targets)


def check_epsilon(epsilon: float, most: float = math.inf) -> None:
    """Raise a ValueError unless the radius of a ball is finite, 0 or more, and `most` at most."""
    if not (math.isfinite(epsilon) and 0 <= epsilon <= most):
        upper = f", at most {most:.4g}" if math.isfinite(most) else ""
        raise ValueError(f"epsilon is {epsilon}; allowed: a finite number of 0 or more{upper}")


def checked_keys(keys: Tensor | None, images: Tensor) -> Tensor:
    """Return the keys for random draws; a ValueError if they are invalid."""
    if keys is None or keys.shape != images.shape[:1]:
        shape = None if keys is None else tuple(keys.shape)
        raise ValueError(f"keys are {shape}; random draws need one for each of {len(images)}")
    return keys


def check_at_least_one(**counts: int) -> None:
    """Raise a ValueError unless the counts are whole numbers of 1 or more."""
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} is {count}; allowed: a whole number of 1 or more")


def check_finite(logits: Tensor) -> None:
    """Raise a ValueError unless the logits are finite; the host waits for the device."""
    num_broken = int((~torch.isfinite(logits).all(dim=1)).sum())
    if num_broken:
        raise ValueError(f"logits of {num_broken} images are not finite")


def check_all_finite(flags: Sequence[Tensor]) -> None:
    """Raise a ValueError unless all flags, bool (), are true; the host waits once for all."""
    if not torch.stack(list(flags)).all():
        raise ValueError("logits or gradients are not finite; allowed: no NaN, no infinity")


def check_schedule(steps: int, step_size: float, restarts: int, *, is_random: bool) -> None:
    """Raise a ValueError unless these can be the steps and restarts of PGD."""
    check_at_least_one(steps=steps, restarts=restarts)
    if not (math.isfinite(step_size) and step_size >= 0):
        raise ValueError(f"step_size is {step_size}; allowed: a finite number of 0 or more")
    if restarts > 1 and not is_random:
        raise ValueError(f"restarts is {restarts}; allowed without random_start: 1, all are equal")


def ordinary(tensor: Tensor) -> Tensor:
    """Return the tensor, or a copy if it was made in inference mode."""
    return tensor.clone() if tensor.is_inference() else tensor
