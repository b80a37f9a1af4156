"""Class-balanced subsets: the same images whatever the order, smaller ones within larger ones."""

import random

import pytest

from perturb.datasets.subset import balanced_subset

IDS = [f"target/test/{index:06d}" for index in range(60)]
TARGETS = [index % 6 for index in range(60)]


@pytest.mark.parametrize("num_images", [1, 6, 13, 59, 60])
def test_classes_are_balanced(num_images: int) -> None:
    rows = balanced_subset(IDS, TARGETS, num_images, seed=1)
    assert len(rows) == len(set(rows)) == num_images
    assert rows == sorted(rows)
    counts = [sum(TARGETS[row] == target for row in rows) for target in range(6)]
    assert max(counts) - min(counts) <= 1


def test_order_of_the_images_changes_nothing() -> None:
    order = list(range(60))
    random.Random(3).shuffle(order)
    shuffled = balanced_subset(
        [IDS[row] for row in order], [TARGETS[row] for row in order], 20, seed=1
    )
    chosen = {IDS[order[row]] for row in shuffled}
    assert chosen == {IDS[row] for row in balanced_subset(IDS, TARGETS, 20, seed=1)}


def test_smaller_subsets_lie_within_larger_ones() -> None:
    sets = [set(balanced_subset(IDS, TARGETS, count, seed=1)) for count in (5, 20, 47)]
    assert sets[0] < sets[1] < sets[2]


def test_another_seed_draws_other_images() -> None:
    assert balanced_subset(IDS, TARGETS, 20, 1) != balanced_subset(IDS, TARGETS, 20, 2)


def test_a_class_with_few_images_gives_what_it_has() -> None:
    targets = [0] * 58 + [1, 1]
    rows = balanced_subset(IDS, targets, 10, seed=1)
    assert {58, 59} < set(rows)
    assert len(rows) == 10


def test_all_images_where_no_number_is_given() -> None:
    assert balanced_subset(IDS, TARGETS, None, seed=1) == list(range(60))


@pytest.mark.parametrize("num_images", [0, -1, 61])
def test_impossible_sizes_are_named(num_images: int) -> None:
    with pytest.raises(ValueError, match=f"images is {num_images}; allowed: 1 to 60"):
        balanced_subset(IDS, TARGETS, num_images, seed=1)
