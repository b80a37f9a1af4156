"""The masks of restricted attention, against masks made pair by pair."""

import pytest
import torch
from torch import Tensor

from perturb.experiments.restricted_attention.masks import (
    patch_attention_mask,
    permuted_masks,
    window_mask,
)

GRIDS = [(4, 4), (4, 8), (1, 6), (5, 3)]


def _window_by_hand(grid: tuple[int, int], distance: int, num_prefix: int) -> Tensor:
    """Return the mask of a window, computed for each pair of tokens."""
    num_tokens = num_prefix + grid[0] * grid[1]
    mask = torch.zeros(num_tokens, num_tokens, dtype=torch.bool)
    for one in range(num_tokens):
        for other in range(num_tokens):
            if one < num_prefix or other < num_prefix:
                mask[one, other] = True
                continue
            row, column = divmod(one - num_prefix, grid[1])
            other_row, other_column = divmod(other - num_prefix, grid[1])
            is_near = abs(row - other_row) <= distance and abs(column - other_column) <= distance
            mask[one, other] = is_near
    return mask


@pytest.mark.parametrize("num_prefix", [0, 1, 3])
@pytest.mark.parametrize("grid", GRIDS)
def test_windows_are_those_found_pair_by_pair(grid: tuple[int, int], num_prefix: int) -> None:
    for distance in range(max(grid) + 1):
        mask = window_mask(grid, distance, num_prefix)
        assert torch.equal(mask, _window_by_hand(grid, distance, num_prefix)), distance
        assert bool(mask.all()) == (distance >= max(grid) - 1)


@pytest.mark.parametrize("num_prefix", [0, 1, 3])
@pytest.mark.parametrize("distance", [0, 1, 2, 7])
def test_control_cuts_off_as_many_pairs_of_different_patches(
    distance: int, num_prefix: int
) -> None:
    window = window_mask((4, 8), distance, num_prefix)
    masks = permuted_masks(window, num_prefix, 3, seed=1, sample=1)
    assert masks.shape == (3, *window.shape)
    for mask in masks:
        assert mask.sum() == window.sum()
        assert mask[:num_prefix].all()
        assert mask[:, :num_prefix].all()
        assert mask.diagonal().all()
    if 0 < distance < 7:
        assert len({tuple(mask.flatten().tolist()) for mask in (window, *masks)}) == 4
        assert not torch.equal(masks[0], masks[0].T)


def test_controls_differ_by_seed_and_sample_alone() -> None:
    window = window_mask((4, 4), 1, 1)
    first = permuted_masks(window, 1, 2, seed=1, sample=1)
    assert torch.equal(first, permuted_masks(window.clone(), 1, 2, seed=1, sample=1))
    assert torch.equal(first, permuted_masks(window, 1, 3, seed=1, sample=1)[:2])
    for seed, sample in [(1, 2), (2, 1)]:
        assert not torch.equal(first, permuted_masks(window, 1, 2, seed=seed, sample=sample))
    wider = permuted_masks(window_mask((4, 4), 2, 1), 1, 2, seed=1, sample=1)
    assert (wider | ~first).all()  # all pairs kept by the narrow one's control
    assert (wider & ~first).any()


def test_every_pair_is_cut_off_equally_often() -> None:
    window = window_mask((4, 4), 1, 0)
    kept = permuted_masks(window, 0, 2000, seed=1, sample=1).double().mean(dim=0)
    others = kept[~torch.eye(16, dtype=torch.bool)]
    share = float(window.sum() - 16) / 240
    deviation = (share * (1 - share) / 2000) ** 0.5
    assert (others - share).abs().max() < 4.5 * deviation
    assert float(((others - share) / deviation).square().mean()) == pytest.approx(1, abs=0.4)


@pytest.mark.parametrize("num_prefix", [1, 3])
def test_patches_alone_see_themselves_and_the_prefix(num_prefix: int) -> None:
    mask = patch_attention_mask(6, num_prefix)
    for one in range(num_prefix + 6):
        for other in range(num_prefix + 6):
            allowed = one == other or one < num_prefix or other < num_prefix
            assert mask[one, other] == allowed


def test_masks_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="distance is -1; allowed: 0 or more"):
        window_mask((4, 4), -1, 1)
    with pytest.raises(ValueError, match="num_prefix is 0; allowed: 1 or more"):
        patch_attention_mask(16, 0)
