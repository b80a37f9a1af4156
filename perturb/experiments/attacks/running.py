"""A run of steps or queries on images that all fit into memory, without those that it misled."""

from collections.abc import Sequence
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from perturb.experiments.attacks.arguments import check_all_finite


class State(Protocol):
    """State of a run for B images."""

    @property
    def best(self) -> Tensor:
        """The images to return, (B, 3, H, W)."""

    @property
    def is_misled(self) -> Tensor:
        """Images that are predicted incorrectly, bool (B,)."""

    def at(self, rows: Tensor) -> Self:
        """Return the state of some images."""


class Run(Protocol):
    """A run that is divided into spans of steps."""

    @property
    def classifier(self) -> nn.Module:
        """The network attacked."""

    @property
    def spans(self) -> Sequence[range]:
        """The steps between which misled images are left out."""

    @property
    def advanced(self) -> Any:
        """A function (state, *parts, span) -> state, and whether all was finite, bool ()."""


def best_after(run: Run, state: State, *parts: Tensor) -> Tensor:
    """Return the best images after all spans; the host waits once a span.

    Parameters
    ----------
    state : of B images before the first span.
    parts : what each span is given of the images, each (B, ...).

    Raises
    ------
    ValueError
        if a logit or a gradient is not finite.
    """
    rows = torch.arange(len(state.best), device=state.best.device)
    result, flags = state.best.clone(), []
    for span in run.spans:
        state, is_finite = run.advanced(state, *parts, span)
        flags.append(is_finite)
        result[rows] = state.best
        still_correct = (~state.is_misled).nonzero()[:, 0]
        if len(still_correct) == 0:
            break
        if len(still_correct) < len(rows):
            rows, *parts_left = (part[still_correct] for part in (rows, *parts))
            state, parts = state.at(still_correct), tuple(parts_left)
    check_all_finite(flags)
    return result
