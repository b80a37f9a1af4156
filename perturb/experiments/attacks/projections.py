"""The least change of an image, within [0, 1], that reaches a hyperplane.

With the change of pixel i along sign_i no larger than its room r_i, the least one in the L-infinity
norm is min(t, r_i) and in the L2 norm min(t |w_i|, r_i), for the one t at which

    sum_i |w_i| change_i = c.

The left side rises with t in straight pieces that end where a pixel reaches its room, so t follows
from these ends, sorted, without iteration.

B images, N pixels.
"""

import torch
from torch import Tensor

from perturb.experiments.attacks.norms import LINF, Norm


def to_hyperplane(points: Tensor, weights: Tensor, values: Tensor, norm: Norm) -> Tensor:
    """Return the least moves after which the linear functions are 0, (B, C, H, W).

    If no move within [0, 1] is large enough, each pixel of nonzero weight moves to its end. Without
    any weight there is no move.

    Parameters
    ----------
    points : (B, C, H, W) in [0, 1].
    weights : gradients of the linear functions, as the points.
    values : of the functions at the points, (B,).
    """
    w = weights.flatten(1)
    scale = w.abs().amax(dim=1, keepdim=True)
    scale = torch.where(scale > 0, scale, 1)
    w, target = w / scale, values.abs()[:, None] / scale
    signs = -values.sign()[:, None] * w.sign()  # along which the function approaches 0
    pixels = points.flatten(1)
    room = torch.where(signs > 0, 1 - pixels, pixels)
    # In L2 a weight whose square is 0 beside the largest counts as 0: room / weight may overflow.
    speed = (w != 0).to(w.dtype) if norm is LINF else torch.where(w * w > 0, w.abs(), 0)
    ends = torch.where(speed > 0, room / torch.where(speed > 0, speed, 1), 0)
    t = _reaching(speed * w.abs(), ends, target)
    return (signs * torch.minimum(t * speed, room)).reshape(points.shape)


def _reaching(slopes: Tensor, ends: Tensor, target: Tensor) -> Tensor:
    """Return the least t with sum_i slopes_i min(t, ends_i) = target, (B, 1).

    It is the largest end if the sum stays below the target.

    Parameters
    ----------
    slopes, ends : (B, N), 0 or more.
    target : (B, 1), 0 or more.
    """
    ends, order = ends.sort(dim=1)
    slopes, target = slopes.gather(1, order).double(), target.double()
    ends = ends.double()
    # Before end j: what pixels have that reached their ends, and the slope of the others.
    reached = (slopes * ends).cumsum(dim=1)
    left = slopes.flip(1).cumsum(dim=1).flip(1)
    before = torch.cat([torch.zeros_like(target), reached[:, :-1]], dim=1)
    sums = before + left * ends  # at each end
    piece = torch.searchsorted(sums.contiguous(), target).clamp(max=ends.shape[1] - 1)
    rest, slope = (part.gather(1, piece) for part in (target - before, left))
    t = torch.where(slope > 0, rest / torch.where(slope > 0, slope, 1), 0)
    return torch.minimum(t, ends.gather(1, piece)).float()
