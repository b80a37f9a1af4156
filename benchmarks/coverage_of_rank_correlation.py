"""Simulated coverage of the interval of a rank correlation over models.

Usage: ``python -m benchmarks.coverage_of_rank_correlation`` (some ten minutes of one core), with
``--every`` a line for each case. A study draws M models, of true accuracies that have a given
Spearman's rho in their population, and n images that each model gets right or wrong: probits of
ability and of the images' difficulty, of which most is common to all models. In some cases both
test sets are of the same images, which keep most of their difficulty. Printed are, over the cases
of as many models and images, the least fraction of studies whose 95 % interval covers the rho of
the population (of the same images also where it is 0), the largest fraction that contradicts "above
0.5" although rho is 0.5 or more, and the largest that supports it although rho is 0.
"""

import argparse
import sys
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import stats

from perturb.experiments.claims.spearman import Values
from perturb.experiments.claims.statistics import rank_correlation

_THRESHOLD = 0.5
# Of the variance of an image's difficulty, the part that all models share.
_COMMON = 0.7
_MEANS = {"clean": 0.9, "perturbed": 0.2}


@dataclass(frozen=True)
class Case:
    """A population of models and images."""

    num_models: int
    num_images: int
    rho: float
    spread: float  # standard deviation of the models' abilities, in probits
    # Of the variance of the images' difficulty, what they keep when perturbed; None: other images.
    kept: float | None = None


def _cases() -> list[Case]:
    rhos = (0.0, 0.5, 0.8, 0.94, 0.97, 0.99, 1.0)
    few = product((5, 7, 8, 10, 12, 15, 30), (200, 2000), rhos, (0.05, 0.2, 0.6))
    many = product((7, 10, 15, 30), (50_000,), (0.5, 0.94, 0.97, 0.99, 1.0), (0.3,))
    same = product((7, 15, 30), (240,), (0.0, 0.5, 0.8), (0.02, 0.05, 0.3))
    return [
        *(Case(*values) for values in (*few, *many)),
        *(Case(*values, kept=0.9) for values in same),
    ]


def _difficulty(random: np.random.Generator, case: Case) -> Values:
    """Return how easy each image is for each model, (images, models)."""
    shared = random.standard_normal((case.num_images, 1), dtype=np.float32)
    own = random.standard_normal((case.num_images, case.num_models), dtype=np.float32)
    return np.asarray(np.float32(np.sqrt(_COMMON / (1 - _COMMON))) * shared + own)


def _perturbed(random: np.random.Generator, clean: Values, case: Case) -> Values:
    """Return the same for the perturbed test set."""
    other = _difficulty(random, case)
    if case.kept is None:
        return other
    return np.asarray(np.sqrt(case.kept) * clean + np.sqrt(1 - case.kept) * other)


def _answers(ability: Values, easy: Values, mean: float, case: Case) -> Values:
    """Return whether each model gets each image right, (images, models)."""
    level = (mean + case.spread * ability) / np.sqrt(1 - _COMMON)
    right: Values = (level.astype(np.float32) + easy > 0).astype(float)
    return right


def simulated(case: Case, num_studies: int, seed: int = 0) -> dict[str, float]:
    """Return the fractions of studies that cover, contradict and support."""
    random = np.random.default_rng(seed)
    pearson = 2 * np.sin(np.pi * case.rho / 6)
    counts = dict.fromkeys(("covers", "covers_drawn", "contradicts", "supports"), 0)
    for _ in range(num_studies):
        clean = random.standard_normal(case.num_models)
        rest = random.standard_normal(case.num_models)
        perturbed = pearson * clean + np.sqrt(max(0.0, 1 - pearson**2)) * rest
        easy = _difficulty(random, case)
        found = rank_correlation(
            _answers(clean, easy, _MEANS["clean"], case),
            _answers(perturbed, _perturbed(random, easy, case), _MEANS["perturbed"], case),
            same_images=case.kept is not None,
        )
        if not found.has_interval:
            continue
        low, high = found.interval
        drawn = stats.spearmanr(clean, perturbed).statistic
        counts["covers"] += low <= case.rho <= high
        counts["covers_drawn"] += low <= drawn <= high
        counts["contradicts"] += high < _THRESHOLD
        counts["supports"] += low > _THRESHOLD
    return {name: count / num_studies for name, count in counts.items()}


def _studies(case: Case, most: int) -> int:
    """Return a number of studies that keeps those of many images short."""
    return most if case.num_images <= 2000 else most // 2


def _lines(found: dict[Case, dict[str, float]]) -> list[str]:
    """Return a line for each case."""
    lines = [
        "| models | images | kept | spread | rho | covers | of drawn models | contradicts "
        "| supports |"
    ]
    lines.append("|---" * 9 + "|")
    for case, values in found.items():
        sizes = (case.num_models, f"{case.num_images:,}", case.kept or "")
        given = (*sizes, case.spread, case.rho)
        cells = [*map(str, given), *(f"{value:.3f}" for value in values.values())]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _worst(found: dict[Case, dict[str, float]]) -> list[str]:
    """Return a line for each number of models and images."""
    lines = ["| models | images | covers | contradicts | supports at rho 0 |", "|---" * 5 + "|"]
    for size in dict.fromkeys(map(_size, found)):
        cases = {case: values for case, values in found.items() if _size(case) == size}
        above = [values for case, values in cases.items() if case.rho >= _THRESHOLD]
        covered = list(cases.values()) if size[2] else above
        none = [values["supports"] for case, values in cases.items() if case.rho == 0]
        cells = [
            f"{min(values['covers'] for values in covered):.3f}",
            f"{max(values['contradicts'] for values in above):.3f}",
            f"{max(none):.3f}" if none else "",
        ]
        lines.append(f"| {size[0]} | {size[1]:,}{size[2]} | {' | '.join(cells)} |")
    return lines


def _size(case: Case) -> tuple[int, int, str]:
    """Return the numbers of models and images, and what there is to say of the images."""
    return case.num_models, case.num_images, "" if case.kept is None else ", the same"


def main() -> None:
    """Write the table to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--every", action="store_true", help="a line for each case")
    asked = parser.parse_args()
    found = {case: simulated(case, _studies(case, asked.studies)) for case in _cases()}
    lines = _lines(found) if asked.every else _worst(found)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
