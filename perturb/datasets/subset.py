"""Which images of a data set a costly perturbation is evaluated on.

A subset that is drawn by a hash of the images' own ids stays the same when the data set is listed
in another order, and a smaller subset lies within a larger one: results of different sizes refer
to nested images. It takes as many images of each class as there are, in turn.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence


def balanced_subset(
    image_ids: Sequence[str], targets: Sequence[int], num_images: int | None, seed: int
) -> list[int]:
    """Return the rows of a class-balanced subset, in ascending order.

    Parameters
    ----------
    image_ids, targets : of all images, in the order of the rows.
    num_images : size of the subset; None for all.
    seed : the study's seed.

    Raises
    ------
    ValueError
        if there are fewer images than are asked for, or none are.
    """
    if num_images is None:
        return list(range(len(image_ids)))
    if not 0 < num_images <= len(image_ids):
        raise ValueError(f"images is {num_images}; allowed: 1 to {len(image_ids)}, all there are")
    rows_of: dict[int, list[int]] = defaultdict(list)
    ranks = [_rank(seed, image_id) for image_id in image_ids]
    for row in sorted(range(len(image_ids)), key=ranks.__getitem__):
        rows_of[targets[row]].append(row)
    in_turn = [
        (place, target, row) for target, rows in rows_of.items() for place, row in enumerate(rows)
    ]
    return sorted(row for _, _, row in sorted(in_turn)[:num_images])


def _rank(seed: int, image_id: str) -> bytes:
    return hashlib.blake2b(f"{seed}/subset/{image_id}".encode(), digest_size=16).digest()
