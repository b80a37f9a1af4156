"""Samples whose truth is known, for `benchmarks.coverage`: sums over the images of many studies.

Each case is one setting: how many images, how accurate, how alike the predictions on one image are.
Its columns hold one value a simulated study.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import special

Columns = dict[str, "np.ndarray | float"]
_SEVERITIES = 5


@dataclass(frozen=True)
class Case:
    """Simulated studies of one setting.

    Attributes
    ----------
    setting : what is simulated, for the report.
    truth : the value that intervals should hold.
    columns : sums over the images of each study, by the names that the intervals use.
    """

    setting: str
    truth: float
    columns: Columns


def clustered(random: np.random.Generator, studies: int) -> Iterator[Case]:
    """Yield accuracies over m predictions an image, whose correlation is rho (beta-binomial)."""
    grid = product((0.5, 0.8, 0.95, 0.99, 0.998), (72, 240, 1000), (15, 75), (0.1, 0.5, 0.9))
    for p, n, m, rho in grid:
        spread = (1 - rho) / rho
        chance = random.beta(p * spread, (1 - p) * spread, (studies, n))
        k = random.binomial(m, chance)
        setting = f"accuracy {p:g}, {n} images, {m} predictions, correlation {rho:g}"
        sums: Columns = {"k": k.sum(1), "k2": (k**2).sum(1), "n": float(n), "m": float(m)}
        yield Case(setting, p, sums)


def unequal(random: np.random.Generator, studies: int) -> Iterator[Case]:
    """Yield the same for images with different numbers of predictions, 1 to 9."""
    for p, n, rho in product((0.5, 0.9, 0.99), (72, 240, 1000), (0.1, 0.5, 0.9)):
        spread = (1 - rho) / rho
        m = random.integers(1, 10, (studies, n))
        k = random.binomial(m, random.beta(p * spread, (1 - p) * spread, (studies, n)))
        sums: Columns = {"k": k.sum(1), "m": m.sum(1), "n": float(n)}
        sums |= {"kk": (k**2).sum(1), "km": (k * m).sum(1), "mm": (m**2).sum(1)}
        yield Case(f"accuracy {p:g}, {n} images, correlation {rho:g}", p, sums)


def pairs(random: np.random.Generator, studies: int) -> Iterator[Case]:
    """Yield differences of two models with one prediction an image, alike or one-sided."""
    shares = (0.5, 0.75, 1.0)
    for n, discordant, share in product(
        (72, 240, 1000, 50_000), (0.001, 0.01, 0.03, 0.1, 0.3), shares
    ):
        if n * discordant < 0.5:
            continue
        odds = [discordant * share, discordant * (1 - share), 1 - discordant]
        plus, minus, _ = random.multinomial(n, odds, studies).T
        setting = f"{n} images, {discordant:g} discordant, {share:g} of them one way"
        yield Case(setting, odds[0] - odds[1], _contrast(plus - minus, plus + minus, n))


def means(random: np.random.Generator, studies: int) -> Iterator[Case]:
    """Yield differences of two models that each predict an image m times."""
    alike = ((1.0, 0.1), (2.0, 1.0), (5.0, 3.0))
    for n, m, p, (common, own) in product((72, 240), (15, 75), (0.5, 0.8, 0.95, 0.99), alike):
        accuracies = np.array([p + (1 - p) / 4, p - (1 - p) / 4])
        chance = _chances(random, accuracies, (studies, n), common, own)
        k = random.binomial(m, chance)
        d = (k[..., 0] - k[..., 1]) / m
        setting = f"accuracy {p:g}, {n} images, {m} predictions, deviations {common:g}, {own:g}"
        yield Case(setting, float(accuracies[0] - accuracies[1]), _sums(d, 1))


def slopes(random: np.random.Generator, studies: int) -> Iterator[Case]:
    """Yield slopes of log10(error) over four models, by the delta method."""
    weights = np.array([-0.7, -0.2, 0.2, 0.7])
    for n, p, (common, own) in product((240, 1000), (0.5, 0.8, 0.9), ((1.0, 0.5), (3.0, 2.0))):
        accuracies = p + (1 - p) * np.array([-0.3, -0.1, 0.1, 0.3])
        wrong = random.random((studies, n, 4)) > _chances(
            random, accuracies, (studies, n), common, own
        )
        errors = np.maximum(wrong.mean(1), 0.5 / n)
        slope = np.log10(errors) @ weights
        lines = weights / (errors * np.log(10))
        d = np.einsum("snm,sm->sn", wrong - wrong.mean(1, keepdims=True), lines)
        highest = np.maximum(lines, 0).sum(1) - (lines * errors).sum(1)
        lowest = np.minimum(lines, 0).sum(1) - (lines * errors).sum(1)
        columns = _sums(d, 1) | {"estimate": slope, "reach": np.maximum(highest, -lowest)}
        setting = f"accuracy {p:g}, {n} images, deviations {common:g}, {own:g}"
        yield Case(setting, float(np.log10(1 - accuracies) @ weights), columns)


def corruption_errors(random: np.random.Generator, studies: int) -> Iterator[Case]:
    """Yield CE of a model over a reference measured on the same images at five severities."""
    for n, error, reference in product((72, 240, 1000), (0.05, 0.2, 0.5), (0.3, 0.6)):
        accuracies = 1 - np.array([error, reference])
        chance = 1 - _chances(random, accuracies, (studies, n), 1.5, 1.0)
        wrong = random.binomial(_SEVERITIES, chance)
        means_ = wrong.mean(1)
        ce = means_[:, 0] / means_[:, 1]
        d = (wrong[..., 0] - ce[:, None] * wrong[..., 1]) / means_[:, 1:]
        own = wrong[..., 0] / means_[:, 1:]
        columns = _sums(d, 1) | {"estimate": ce, "deviation": own.std(1, ddof=1)}
        columns["reach"] = _SEVERITIES / means_[:, 1] * np.maximum(1, ce)
        setting = f"error {error:g}, reference {reference:g}, {n} images"
        yield Case(setting, error / reference, columns)


def relative_errors(random: np.random.Generator, studies: int) -> Iterator[Case]:
    """Yield relative CE over a measured reference, of the studies in which it has an interval."""
    for n, (clean, corrupted) in product((240, 1000), ((0.13, 0.18), (0.13, 0.25), (0.1, 0.4))):
        errors = np.array([0.2, clean, 0.3, corrupted])
        chance = 1 - _chances(random, 1 - errors, (studies, n), 1.5, 0.0)
        wrong = random.binomial(np.array([1, 1, _SEVERITIES, _SEVERITIES]), chance)
        added = wrong[..., 2:] - _SEVERITIES * wrong[..., :2]
        # Nothing bounds the ratio of the others.
        error = added[..., 1].std(1, ddof=1) / np.sqrt(n)
        added = added[added[..., 1].mean(1) > special.ndtri(0.975) * error]
        above, below = added[..., 0].mean(1), added[..., 1].mean(1)
        centred = added - added.mean(1, keepdims=True)
        products = np.einsum("sij,sik->sjk", centred, centred) / (n * (n - 1))
        ratio = above / below
        d = (added[..., 0] - ratio[:, None] * added[..., 1]) / below[:, None]
        columns = _sums(d, 1) | {"estimate": ratio, "deviation": d.std(1, ddof=1), "below": below}
        columns |= {"va": products[:, 0, 0], "cov": products[:, 0, 1], "vb": products[:, 1, 1]}
        columns["reach"] = _SEVERITIES / below * (1 + np.abs(ratio))
        setting = f"reference {clean:g} to {corrupted:g}, {n} images"
        yield Case(setting, 0.1 / (corrupted - clean), columns)


def draws(random: np.random.Generator, studies: int) -> Iterator[Case]:
    """Yield accuracies over random draws, such as of masks, that differ in how much they harm."""
    for n, count, p, spread in product(
        (240, 2000), (2, 3, 10, 25), (0.5, 0.9, 0.99), (0.02, 0.1, 0.3)
    ):
        few = min(studies, 40_000_000 // (n * count))
        difficulty = 1.5 * random.standard_normal((few, n, 1), np.float32)
        harm = spread * random.standard_normal((few, 1, count), np.float32)
        total = np.sqrt(1 + 1.5**2 + spread**2)
        chance = special.ndtr(np.float32(special.ndtri(p) * total) + difficulty + harm)
        right = random.random((few, n, count), np.float32) < chance
        k = right.sum(2)
        columns: Columns = {"k": k.sum(1), "k2": (k**2).sum(1), "n": float(n), "m": float(count)}
        columns["draws"] = right.mean(1).var(1, ddof=1) / count
        setting = f"accuracy {p:g}, {n} images, {count} draws, deviation {spread:g}"
        yield Case(setting, p, columns)


def runs(random: np.random.Generator, studies: int) -> Iterator[Case]:
    """Yield differences of two networks that were trained several times."""
    for n, count, p, spread in product((240, 2000), (2, 3, 5), (0.5, 0.9), (0.02, 0.1, 0.3)):
        few = min(studies, 20_000_000 // (n * count))
        difficulty = 1.5 * random.standard_normal((few, n, 1, 1), np.float32)
        luck = spread * random.standard_normal((few, 1, 2, count), np.float32)
        total = np.sqrt(1 + 1.5**2 + spread**2)
        chance = special.ndtr(np.float32(special.ndtri(p) * total) + difficulty + luck)
        right = random.random((few, n, 2, count), np.float32) < chance
        d = right[:, :, 0].mean(2) - right[:, :, 1].mean(2)
        variances = right.mean(1).var(2, ddof=1) / count
        parts = (variances**2 / (count - 1)).sum(1)
        columns = _sums(d, 1) | {"runs": variances.sum(1), "parts": parts}
        yield Case(f"accuracy {p:g}, {n} images, {count} runs, deviation {spread:g}", 0, columns)


def values(random: np.random.Generator, studies: int) -> Iterator[Case]:
    """Yield means of values of any size, such as correlations of layers."""
    for n in (5, 10, 30, 100):
        drawn = random.standard_normal((studies, n))
        columns: Columns = {"estimate": drawn.mean(1), "deviation": drawn.std(1, ddof=1)}
        yield Case(f"{n} images", 0, columns | {"n": float(n)})


def _chances(
    random: np.random.Generator,
    accuracies: np.ndarray,
    shape: tuple[int, int],
    common: float,
    own: float,
) -> np.ndarray:
    """Return each model's chance on each image: a probit with the image's and its own deviation."""
    total = np.sqrt(1 + common**2 + own**2)
    effects = common * random.standard_normal((*shape, 1)) + own * random.standard_normal(
        (*shape, len(accuracies))
    )
    chances: np.ndarray = special.ndtr(special.ndtri(accuracies) * total + effects)
    return chances


def _sums(d: np.ndarray, reach: float) -> Columns:
    squares = d**2
    return {
        "d": d.sum(1),
        "d2": squares.sum(1),
        "d4": (squares**2).sum(1),
        "n": float(d.shape[1]),
        "reach": float(reach),
    }


def _contrast(d: np.ndarray, d2: np.ndarray, n: int) -> Columns:
    return {"d": d, "d2": d2, "d4": d2, "n": float(n), "reach": 1.0}
