"""Counts of kernels and synchronisations, on operations whose counts are known."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.device_counts import counted


@pytest.mark.parametrize(
    ("use", "kernels"),
    [
        (lambda x: x * 2 + 1, 2),
        (lambda x: x[1:].T.flatten().view(-1, 1)[:, 0].expand(2, -1), 1),  # flatten of T copies
        (lambda x: x.float(), 0),
        (lambda x: x.double(), 1),
        (lambda x: torch.empty_like(x).mul_(x), 1),
        (lambda x: x.index_select(0, torch.zeros(2, dtype=torch.int64)), 2),
        (lambda x: torch.nn.functional.relu(x, inplace=False), 1),
    ],
)
def test_kernels(use: Callable[[Tensor], Tensor], kernels: int) -> None:
    x = torch.ones(3, 4)
    with counted() as counts:
        use(x)
    assert (counts.kernels, counts.syncs) == (kernels, 0), counts


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: x.to("cpu"),
        lambda x: x.numpy(),
        lambda x: bool(x.any()),
        lambda x: int(x.sum()),
        lambda x: float(x.sum()),
        lambda x: x[x > 0],
        lambda x: x.clone().__setitem__(x > 0, 0.5 * torch.ones(12)),
        lambda x: x.nonzero(),
        lambda x: x.masked_select(x > 0),
        lambda x: x.unique(),
        lambda x: torch.equal(x, x),
        lambda x: x.repeat_interleave(torch.ones(12, dtype=torch.int64)),
        lambda x: 3 if x.sum() > 2 else 4,
    ],
)
def test_a_synchronisation_counts_once(use: Callable[[Tensor], object]) -> None:
    x = torch.ones(3, 4)
    with torch.inference_mode(), counted() as counts:
        use(x.flatten() if x.ndim else x)
    assert counts.syncs == 1, counts


def test_no_synchronisation() -> None:
    x = torch.ones(3, 4)
    with counted() as counts:
        torch.where(x > 0, x, 0).masked_fill_(x > 2, 0.0).to(x.device)
        x.gather(1, x.long())
        torch.isfinite(x).all()
    assert counts.syncs == 0, counts
    assert counts.uploads == 0


def test_uploads() -> None:
    with counted() as counts:
        torch.tensor([1.0, 2.0])
        torch.from_numpy(torch.ones(2).numpy())
        torch.as_tensor(torch.ones(2))
        torch.zeros(2)
    assert counts.uploads == 2


def test_a_backward_pass_is_counted() -> None:
    x = torch.ones(4, requires_grad=True)
    with counted() as counts:
        torch.autograd.grad((x * x).sum(), x)
    assert counts.operations["mul"] >= 3
    assert counts.syncs == 0
