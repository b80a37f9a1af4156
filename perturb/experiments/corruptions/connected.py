"""Connected pixels: those that touch a strong one through weak ones, over eight neighbours.

B images, H W pixels, N = (H + 2) (W + 2) cells with a border.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def grow(strong: Tensor, weak: Tensor) -> Tensor:
    """Return the weak pixels that are connected to a strong one, bool (B, H, W), step by step.

    Every strong pixel is a weak one too.
    """
    while True:
        grown = strong.clone()
        for dim in (-2, -1):  # first vertically, then the result horizontally
            kept, source = grown.shape[dim] - 1, grown.clone()
            grown.narrow(dim, 0, kept).logical_or_(source.narrow(dim, 1, kept))
            grown.narrow(dim, 1, kept).logical_or_(source.narrow(dim, 0, kept))
        grown &= weak
        if torch.equal(grown, strong):
            return strong
        strong = grown


def grow_by_labels(strong: Tensor, weak: Tensor) -> Tensor:
    """Return ``grow`` in a number of rounds that depends on the size alone.

    Every weak cell points to one of its component, all others to the last cell of the border. In a
    round the smallest cell that a neighbour points to replaces the pointer of a cell's target, and
    pointers are followed. A line that winds through the whole image, as a spiral or a snake, takes
    one or two rounds less than there are.
    """
    B, H, W = weak.shape
    width, num_cells = W + 2, (H + 2) * (W + 2)
    inner = slice(width + 1, num_cells - width - 1)  # from the first pixel to the last
    is_weak = F.pad(weak, (1, 1, 1, 1)).view(B, num_cells)
    cells = torch.arange(num_cells, device=weak.device)
    labels = torch.where(is_weak, cells, cells[-1])
    for _ in range(_num_rounds(num_cells)):
        nearest = torch.where(is_weak[:, inner], _smallest_around(labels, width), cells[-1])
        hooked = labels.scatter_reduce(1, labels[:, inner], nearest, "amin")
        hooked = hooked.gather(1, hooked)
        hooked = hooked.gather(1, hooked)
        labels = hooked.gather(1, hooked)
    is_strong = F.pad(strong.to(torch.uint8), (1, 1, 1, 1)).view(B, num_cells)
    reached = is_strong.scatter_reduce(1, labels, is_strong, "amax").gather(1, labels)
    return reached.view(B, H + 2, width)[:, 1:-1, 1:-1].bool()


def _smallest_around(labels: Tensor, width: int) -> Tensor:
    """Return the minimum over 3 x 3 cells, of the cells from the first pixel to the last."""
    for step in (1, width):
        length = labels.shape[1] - 2 * step
        before, after = labels.narrow(1, 0, length), labels.narrow(1, 2 * step, length)
        labels = torch.minimum(before, labels.narrow(1, step, length))
        torch.minimum(labels, after, out=labels)
    return labels


def _num_rounds(num_cells: int) -> int:
    return num_cells.bit_length() // 3 + 2
