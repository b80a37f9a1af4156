"""Layers that a study removes: each one, or distinct random sets that keep the first."""

from collections import Counter
from typing import Any

import pytest

from perturb.experiments.lesions.plans import head_sets, lesion_sets, removable_blocks
from perturb.models.anatomy import anatomy
from perturb.models.architectures import build_network


@pytest.mark.parametrize(
    ("removable", "n", "samples", "num_sets"),
    [
        ((0, 1, 2, 3), 0, 25, 1),
        ((0, 1, 2, 3), 1, 2, 4),  # each one, for any number of samples
        ((1, 4), 1, 25, 2),
        ((0, 1, 2, 3), 2, 25, 3),
        ((0, 1, 2, 3), 3, 25, 1),
        ((1, 2, 4, 5), 2, 25, 6),
        (range(12), 5, 25, 25),
        (range(12), 11, 25, 1),
        (range(24), 12, 7, 7),
        ((0,), 1, 25, 1),
    ],
)
def test_sets_are_random_different_and_keep_the_first(
    removable: tuple[int, ...], n: int, samples: int, num_sets: int
) -> None:
    sets = lesion_sets(removable, n, samples, 3, "block")
    assert sets == lesion_sets(removable, n, samples, 3, "block")
    assert len(set(sets.values())) == len(sets) == num_sets
    for blocks in sets.values():
        assert len(set(blocks)) == n
        assert set(blocks) <= set(removable)
        assert list(blocks) == sorted(blocks)
        assert n == 1 or 0 not in blocks
    if n == 1:
        assert sets == {index: (index,) for index in removable}
    if n > 1:
        assert list(sets) == list(range(1, num_sets + 1))


def test_sets_depend_on_seed_condition_and_number() -> None:
    first = lesion_sets(range(12), 4, 25, 0, "block")
    assert first != lesion_sets(range(12), 4, 25, 1, "block")
    assert first != lesion_sets(range(12), 4, 25, 0, "mlp")
    # Fewer samples are the first ones of many.
    assert lesion_sets(range(12), 4, 5, 0, "block") == {s: first[s] for s in range(1, 6)}
    # Fixed values: a study that is run elsewhere must have the same draws.
    assert {s: first[s] for s in (1, 2, 25)} == {
        1: (3, 7, 8, 9),
        2: (1, 4, 8, 9),
        25: (7, 9, 10, 11),
    }


def test_every_set_is_drawn_equally_often() -> None:
    counts = Counter(
        lesion_sets(range(6), 2, 1, seed, "block")[1] for seed in range(2000)
    )  # of ten sets
    assert len(counts) == 10
    assert all(140 <= count <= 260 for count in counts.values())  # 200, within 4.5 deviations


def test_heads_are_counted_block_by_block() -> None:
    assert head_sets(2, 3) == {0: (0, 0), 1: (0, 1), 2: (0, 2), 3: (1, 0), 4: (1, 1), 5: (1, 2)}


def test_plans_know_the_blocks_of_the_default_networks(default_config: dict[str, Any]) -> None:
    for entry in default_config["architectures"].values():
        # As the configuration completes them.
        patches = {key: entry[key] for key in ("patch_size",) if key in entry}
        arguments = entry["arguments"] | patches
        network = build_network(entry["family"], arguments, 12, 32)
        removable = removable_blocks(entry["family"], arguments)
        assert removable == anatomy(network).removable
    with pytest.raises(ValueError, match="family is 'vgg'; allowed: vit, resnet"):
        removable_blocks("vgg", {})
