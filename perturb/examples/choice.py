"""The choice of images on which models differ, from their answers; nothing is random.

Legend: M models, N images.
"""

from collections.abc import Iterator
from itertools import combinations, permutations, product

import numpy as np

from perturb.examples.answers import Answers, Array

# Images that one model has right and another wrong, for each two models and each way round.
_NUM_OF_PAIR = 4
_NUM_WORST = 8  # of each model
# Limits of the number of images: one for all, and more for each model.
_NUM_FOR_ALL, _NUM_FOR_EACH, _NUM_MOST = 120, 8, 600


def num_shown(num_models: int) -> int:
    """Return the largest number of images for a number of models."""
    return min(_NUM_FOR_ALL + _NUM_FOR_EACH * num_models, _NUM_MOST)


def chosen(answers: Answers, limit: int) -> list[int]:
    """Return the columns of the images to show, at most `limit`.

    A third of them are the images on which the answers are split most evenly. Each model adds its
    worst ones. Then each pair of models that has fewer than four images which only the first has
    right, or only the second, adds those of the most confident answers. The next most evenly split
    images fill the rest.
    """
    split = most_split(answers)
    found = dict.fromkeys(split[: limit // 3])
    of_models = [rows.tolist() for rows in worst(answers)]
    for place in range(_NUM_WORST):
        found |= dict.fromkeys(rows[place] for rows in of_models if place < len(rows))
    found = dict.fromkeys(list(found)[:limit])
    found |= dict.fromkeys(_of_pairs(answers, list(found), limit - len(found)))
    return list(found | dict.fromkeys(split))[:limit]


def most_split(answers: Answers) -> list[int]:
    """Return the images that some model gets right and another wrong, most evenly split first.

    Of images that are split alike, those with the most confident answers come first.
    """
    num_right = answers.is_correct.sum(axis=0)
    score = num_right * (len(answers.models) - num_right)
    order = np.lexsort((-answers.confidences.mean(axis=0), -score))
    return [int(image) for image in order if score[image]]


def worst(answers: Answers) -> Iterator[Array]:
    """Yield the images of each model's most confident wrong answers, the most confident first."""
    for is_correct, confidences in zip(answers.is_correct, answers.confidences, strict=True):
        order = np.argsort(-np.where(is_correct, -1.0, confidences), kind="stable")
        yield order[: min(_NUM_WORST, int((~is_correct).sum()))]


def _of_pairs(answers: Answers, found: list[int], most: int) -> Iterator[int]:
    """Yield at most `most` more images, for pairs of models in turn.

    A pair is a model with the right and one with the wrong answer: each two models are two pairs.
    """
    right = answers.is_correct
    is_taken = np.zeros(right.shape[1], bool)
    is_taken[found] = True
    counts = right[:, found].astype(int) @ (~right[:, found]).astype(int).T  # (M, M)
    pairs = list(permutations(range(len(answers.models)), 2))
    for wanted, (first, second) in product(range(1, _NUM_OF_PAIR + 1), pairs):
        if most <= 0:
            return
        if counts[first, second] >= wanted:
            continue
        image = _best_of_pair(answers, first, second, is_taken)
        if image is not None:
            is_taken[image] = True
            counts += right[:, image, None] & ~right[:, image]
            most -= 1
            yield image


def _best_of_pair(answers: Answers, first: int, second: int, is_taken: Array) -> int | None:
    """Return the image that only the first has right, of the most confident answers; or None."""
    is_split = answers.is_correct[first] & ~answers.is_correct[second] & ~is_taken
    if not is_split.any():
        return None
    confidence = answers.confidences[first] + answers.confidences[second]
    return int(np.where(is_split, confidence, -1.0).argmax())


def pair_counts(answers: Answers) -> list[list[str | int]]:
    """Return on how many images of each dataset only one of two models is right.

    Returns
    -------
    a list for each pair and dataset: first model, second model, number of images that only the
    first has right, number that only the second has right, dataset.
    """
    found: list[list[str | int]] = []
    for dataset, columns in answers.slices().items():
        right = answers.is_correct[:, columns].astype(np.float64)
        only = np.rint(right @ (1 - right).T).astype(int)  # (M, M): row right, column wrong
        for first, second in combinations(range(len(answers.models)), 2):
            counts = int(only[first, second]), int(only[second, first])
            found.append([answers.models[first], answers.models[second], *counts, dataset])
    return found
