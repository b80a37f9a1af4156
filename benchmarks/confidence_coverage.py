"""How often the intervals of the measures of confidence contain the truth, by simulation.

Run: ``python -m benchmarks.confidence_coverage``. Each study draws images, several predictions of
each, and compares all measures with those of a population of a million predictions.
"""

import argparse
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from perturb.experiments.confidence.calibration import (
    bins_of,
    calibration_error,
    plain_calibration_error,
)
from perturb.experiments.confidence.intervals import Estimate
from perturb.experiments.confidence.measures import (
    aurc,
    auroc,
    brier_score,
    log_loss,
    selective_error,
)
from perturb.experiments.confidence.predictions import Floats, Predictions

logger = logging.getLogger(__name__)

_ALIKE = 0.5  # correlation of confidence, and of chance, between predictions of one image
_POPULATION = 1_000_000


@dataclass(frozen=True)
class Kind:
    """A kind of model: mean and deviation of the logit of its confidence, and of its accuracy.

    slope, shift : logit of the accuracy = slope * logit of the confidence + shift.
    """

    mean: float
    deviation: float
    slope: float = 1.0
    shift: float = 0.0


KINDS = {
    "calibrated": Kind(2.0, 1.8),
    "overconfident": Kind(2.5, 2.0, 0.6, -0.3),
    "underconfident": Kind(1.0, 1.5, 1.5, 0.5),
    "nearly perfect": Kind(4.0, 1.5),
    "mostly wrong": Kind(0.0, 1.0, 0.7, -1.0),
}


def drawn(kind: Kind, num_images: int, per_image: int, random: np.random.Generator) -> Predictions:
    """Return the predictions of a model on images drawn at random."""

    def normal() -> Floats:
        of_image = np.repeat(random.standard_normal(num_images), per_image)
        own = random.standard_normal(num_images * per_image)
        return math.sqrt(_ALIKE) * of_image + math.sqrt(1 - _ALIKE) * own

    logit = kind.mean + kind.deviation * normal()
    chance = special.expit(kind.slope * logit + kind.shift)
    is_right = (special.ndtr(normal()) < chance).astype(float)
    confidence = special.expit(logit)
    probability = np.where(is_right == 1, confidence, (1 - confidence) / 3)
    image = np.repeat(np.arange(num_images), per_image)
    return Predictions(image, confidence, is_right, -np.log(np.maximum(probability, 1e-30)))


def measures(of: Predictions) -> Mapping[str, Estimate]:
    """Return all measures of some predictions."""
    return {
        "ECE": calibration_error(of, bins_of(of)),
        "Brier": brier_score(of),
        "NLL": log_loss(of),
        "AUROC": auroc(of),
        "AURC": aurc(of),
        "error at 50 %": selective_error(of, 0.5),
        "error at 80 %": selective_error(of, 0.8),
    }


def truth(
    kind: Kind, random: np.random.Generator, population: int = _POPULATION
) -> Mapping[str, float]:
    """Return the measures of a population, in which each image is predicted once."""
    of = drawn(kind, population, 1, random)
    found = {name: estimate.value for name, estimate in measures(of).items()}
    return found | {"ECE": plain_calibration_error(bins_of(of))}


def coverages(
    num_images: int, per_image: int, num_studies: int, seed: int
) -> Iterator[tuple[str, str, float, float, float]]:
    """Yield kind, measure, coverage, mean width, and mean of the estimates minus the truth."""
    random = np.random.default_rng(seed)
    for name, kind in KINDS.items():
        true = truth(kind, random)
        found = [measures(drawn(kind, num_images, per_image, random)) for _ in range(num_studies)]
        for measure, value in true.items():
            known = [each[measure] for each in found if not math.isnan(each[measure].value)]
            if known:
                inside = np.mean([each.low <= value <= each.high for each in known])
                width = np.mean([each.high - each.low for each in known])
                bias = np.mean([each.value for each in known]) - value
                yield name, measure, float(inside), float(width), float(bias)


def main() -> None:
    """Print the coverage of each measure and kind of model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--per-image", type=int, default=1)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logger.info("%d images, %d predictions of each", given.images, given.per_image)
    for row in coverages(given.images, given.per_image, given.studies, given.seed):
        logger.info("%-16s %-14s coverage %.3f  width %.3f  bias %+.4f", *row)


if __name__ == "__main__":
    main()
