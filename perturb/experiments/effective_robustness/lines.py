"""A straight line on probit axes through the accuracies of models, also where these are 0 or 1.

Least squares through probits need a stand-in for the probit of an accuracy of 0, and take it for
known: the line bends towards the stand-ins. So the line is that of probit regression, the binomial
likelihood of the right predictions: an accuracy of 0 is what a model of low accuracy often has, and
weighs as little as it says.

References
----------
.. [1] Finney, "Probit Analysis", 1947.
.. [2] Papke, Wooldridge, "Econometric Methods for Fractional Response Variables", Journal of
   Applied Econometrics 11, 1996: the same likelihood for fractions.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr

Values = np.ndarray

_MOST_STEPS = 200
_HALF_LOG_2_PI = 0.5 * np.log(2 * np.pi)


@dataclass(frozen=True)
class Line:
    """A line y = Phi(intercept + slope * x), and how it follows the points.

    of_x, of_y : derivatives of intercept and slope by each point's x and y, (2, M).
    """

    intercept: float
    slope: float
    of_x: Values
    of_y: Values

    @property
    def coefficients(self) -> Values:
        """Intercept and slope, (2,)."""
        return np.array([self.intercept, self.slope])


def line_through(x: Values, y: Values, weights: Values) -> Line:
    """Return the line of the highest likelihood: sum of w (y log Phi + (1 - y) log(1 - Phi)).

    Parameters
    ----------
    x : on the probit axis, (M,).
    y : accuracies, (M,). At least two that are neither 0 nor 1, at unlike x, make the line exist.
    weights : of the points; 0 leaves one out.

    Raises
    ------
    RuntimeError
        if the search does not end.
    """
    centre = float((weights * x).sum() / weights.sum())
    scale = float(np.sqrt((weights * (x - centre) ** 2).sum() / weights.sum()))
    level, tilt = _likeliest(np.stack([np.ones_like(x), (x - centre) / scale]), y, weights)
    found = np.array([level - tilt * centre / scale, tilt / scale])
    return _line(found, np.stack([np.ones_like(x), x]), y, weights)


def _likeliest(design: Values, y: Values, weights: Values) -> Values:
    """Return the coefficients of the rows of a design (2, M), by Newton's method."""
    found = np.zeros(2)
    highest = _likelihood(found @ design, y, weights)
    for _ in range(_MOST_STEPS):
        at = found @ design
        score = design @ (weights * _pull(at) * (y - ndtr(at)))
        step = -np.linalg.solve((design * _bend(at, y, weights)) @ design.T, score)
        # The likelihood is concave: a step that is short enough raises it.
        while (value := _likelihood((found + step) @ design, y, weights)) < highest - 1e-13:
            step = step / 2
        found, highest = found + step, value
        if np.abs(step).max() < 1e-10 * (1 + np.abs(found).max()):
            return found
    raise RuntimeError(f"no line through {np.count_nonzero(weights)} points in {_MOST_STEPS} steps")


def _line(found: Values, design: Values, y: Values, weights: Values) -> Line:
    """Return the line with its derivatives, from the equation that its score is zero."""
    at = found @ design
    pull, bend = _pull(at), _bend(at, y, weights)
    follow = -np.linalg.inv((design * bend) @ design.T)
    score_by_x = design * bend * found[1]
    score_by_x[1] += weights * pull * (y - ndtr(at))
    of_x, of_y = follow @ score_by_x, follow @ (design * weights * pull)
    return Line(float(found[0]), float(found[1]), of_x, of_y)


def _likelihood(at: Values, y: Values, weights: Values) -> float:
    return float((weights * (y * log_ndtr(at) + (1 - y) * log_ndtr(-at))).sum())


def _bend(at: Values, y: Values, weights: Values) -> Values:
    """Return the second derivative of each point's likelihood by its place: 0 or less."""
    pull = _pull(at)
    by_at = -at * pull - pull**2 * (1 - 2 * ndtr(at))
    bend: Values = weights * (by_at * (y - ndtr(at)) - pull * _density(at))
    return bend


def _density(at: Values) -> Values:
    density: Values = np.exp(-(at**2) / 2 - _HALF_LOG_2_PI)
    return density


def _pull(at: Values) -> Values:
    """Return the density over Phi (1 - Phi), also where all three are too small for a number."""
    pull: Values = np.exp(-(at**2) / 2 - _HALF_LOG_2_PI - log_ndtr(at) - log_ndtr(-at))
    return pull
