"""Class-balanced subsets of a dataset, for costly perturbations.

Images are drawn by a hash of their ids: the subset does not depend on the order of the dataset, and
a smaller subset lies within a larger one. Classes take turns until the subset is full.
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
    image_ids, targets : ids and classes of all images, in the order of the rows.
    num_images : size of the subset; None for all images.
    seed : seed of the study.

    Raises
    ------
    ValueError
        if `num_images` is not between 1 and the number of images.
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
