"""Attacks in the L2 ball, its projection, and the squares of its random search."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from perturb.evaluation.outcome import Setting
from perturb.experiments.attacks.attack_ensemble import apgd_ce, apgd_dlr, fab, square
from perturb.experiments.attacks.evaluate import attack_ensemble_l2_outcomes
from perturb.experiments.attacks.norms import L2, LINF, norm_of
from perturb.experiments.attacks.squares import L2Squares, _bump, _hill
from tests.attacked_networks import make_case, make_classifier, make_images, num_right

CPU = torch.device("cpu")
ATTACKS: dict[str, tuple[Callable[..., Tensor], dict[str, Any]]] = {
    "apgd_ce": (apgd_ce, {"steps": 6}),
    "apgd_dlr": (apgd_dlr, {"steps": 6, "num_targets": 2}),
    "square": (square, {"queries": 12}),
    "fab": (fab, {"steps": 6, "num_targets": 2}),
}


def _attacked(
    name: str, classifier: Any, images: Tensor, targets: Tensor, epsilon: float, **changed: Any
) -> Tensor:
    attack, options = ATTACKS[name]
    given = {**options, **changed}
    if name == "fab":
        given = {key: value for key, value in given.items() if key not in ("keys", "seed")}
    return attack(classifier, images, targets, epsilon, norm=L2, **given)


# ------------------------------------------------------------------------------------ the L2 ball


def test_a_point_outside_goes_to_the_surface_and_into_the_box() -> None:
    image = torch.tensor([0.5, 0.5, 0.9]).reshape(1, 1, 1, 3)
    ball = L2.ball(image, 0.5)
    for point, expected in (
        ([0.8, 0.1, 0.9], [0.8, 0.1, 0.9]),  # at 0.5: on the surface
        ([1.1, -0.3, 0.9], [0.8, 0.1, 0.9]),  # at 1
        ([0.5, 0.5, 1.9], [0.5, 0.5, 1.0]),  # the box ends before the ball
        ([0.6, 0.5, 0.9], [0.6, 0.5, 0.9]),
    ):
        found = ball.clip_(torch.tensor(point).reshape(1, 1, 1, 3))
        torch.testing.assert_close(found.flatten(), torch.tensor(expected), rtol=0, atol=1e-6)


def test_a_direction_has_length_1_whatever_the_gradient() -> None:
    gradients = torch.tensor([3e-30, 4e-30, 3e20, 4e20, 0, 0]).reshape(3, 1, 1, 2)
    expected = torch.tensor([[0.6, 0.8], [0.6, 0.8], [0, 0]])
    torch.testing.assert_close(L2.direction(gradients).flatten(1), expected)


def test_random_moves_have_norm_1() -> None:
    images = torch.zeros(40, 3, 8, 8)
    for norm in (LINF, L2):
        moves = norm.random_move(torch.arange(40), images)
        torch.testing.assert_close(norm.size(moves), torch.ones(40))
        assert moves.mean().abs() < 0.05


def test_an_unknown_norm_is_named() -> None:
    with pytest.raises(ValueError, match="norm is 'L1'; allowed: Linf, L2"):
        norm_of("L1")


# ------------------------------------------------------------------------------------- all attacks


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("kind", ["linear", "quantised", "vit", "resnet"])
@pytest.mark.parametrize("epsilon", [0.01, 0.3, 8.0])
def test_no_image_leaves_the_ball(name: str, kind: str, epsilon: float) -> None:
    classifier, images, targets, keys = make_case(kind, 4)
    before = images.clone()
    found = _attacked(name, classifier, images, targets, epsilon, keys=keys)
    assert torch.equal(images, before)
    assert found.dtype == torch.float32
    assert 0 <= found.min() <= found.max() <= 1
    lengths = (found.double() - images.double()).flatten(1).norm(dim=1)
    assert (lengths <= epsilon).all()
    if name != "fab" and epsilon < 1:  # what FAB breaks is the nearest, else it changes nothing
        assert (lengths > 0.5 * epsilon).all()
    assert all(parameter.requires_grad for parameter in classifier.parameters())


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("kind", ["blind", "linear", "quantised"])
def test_an_image_gets_the_same_attack_in_any_batch(name: str, kind: str) -> None:
    classifier, images, targets, keys = make_case(kind)

    def attacked(rows: Tensor, seed: int = 0) -> Tensor:
        given = {"keys": keys[rows], "seed": seed}
        return _attacked(name, classifier, images[rows], targets[rows], 0.3, **given)

    everything = attacked(torch.arange(12))
    shuffled = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(attacked(shuffled), everything[shuffled], rtol=0, atol=1e-6)
    torch.testing.assert_close(attacked(torch.tensor([4])), everything[4:5], rtol=0, atol=1e-6)
    assert torch.equal(attacked(torch.arange(12), seed=1), everything) == (name == "fab")


@pytest.mark.parametrize("name", ATTACKS)
def test_epsilon_0_and_no_images_return_the_images(name: str) -> None:
    classifier, images, targets, keys = make_case("vit")
    assert torch.equal(_attacked(name, classifier, images, targets, 0.0, keys=keys), images)
    none = _attacked(name, classifier, images[:0], targets[:0], 0.1, keys=keys[:0])
    assert none.shape == (0, 3, 16, 16)


@pytest.mark.parametrize(("kind", "epsilon"), [("linear", 0.2), ("resnet", 0.05), ("vit", 0.1)])
def test_a_larger_ball_breaks_more(kind: str, epsilon: float) -> None:
    classifier, images, targets, keys = make_case(kind)
    for name in ("apgd_ce", "apgd_dlr", "fab"):
        few, more = (
            num_right(
                classifier,
                _attacked(name, classifier, images, targets, share * epsilon, keys=keys),
                targets,
            )
            for share in (1, 4)
        )
        assert more < few, name


def test_apgd_reaches_the_nearest_boundary_of_a_linear_network() -> None:
    classifier, images, targets, keys = make_case("linear")
    images = 0.4 + 0.2 * images  # far from the box
    targets = classifier(images).argmax(dim=1)
    weights = classifier.network.weights.detach()
    margins = classifier(images).gather(1, targets[:, None]) - classifier(images)
    lengths = (weights[targets][:, None] - weights).norm(dim=2)
    nearest = (margins / lengths.clamp(min=1e-9)).masked_fill(lengths == 0, torch.inf).amin(dim=1)
    for share, is_left in ((1.02, False), (0.999, True)):
        for i in range(4):
            row = slice(i, i + 1)
            epsilon = share * nearest[i].item()
            given = {"keys": keys[row], "steps": 30, "num_targets": 5}
            found = _attacked("apgd_dlr", classifier, images[row], targets[row], epsilon, **given)
            assert bool((classifier(found).argmax(dim=1) == targets[row]).all()) == is_left


def test_the_ensemble_records_lengths() -> None:
    classifier = make_classifier("resnet")
    images = make_images(classifier, num_wrong=1)
    options = {"steps": 3, "queries": 5, "targets": 2}
    conditions = ("apgd_ce", "apgd_dlr", "fab", "square")
    settings = [Setting(conditions, epsilon, 0, options) for epsilon in (0.1, 0.0)]
    attacked, unchanged = (
        list(attack_ensemble_l2_outcomes(classifier, images, setting)) for setting in settings
    )
    correct = [int((one.logits.argmax(dim=1) == images.targets).sum()) for one in attacked]
    assert correct == sorted(correct, reverse=True)
    assert correct[0] < 11
    distance = attacked[0].added["distance"]
    assert distance[0] == 0
    assert ((distance[1:] > 0.05) & (distance[1:] <= 0.1)).all()
    clean = classifier(images.pixels)
    assert all(torch.equal(one.logits, clean) for one in unchanged)


def test_a_length_that_no_change_has_is_refused() -> None:
    classifier = make_classifier("linear")
    images = make_images(classifier)  # of 16 px: sqrt(3) * 16 is 27.71
    setting = Setting(("square",), 27.8, 0, {"queries": 2})
    with pytest.raises(ValueError, match=r"epsilon is 27.8; allowed: .* 0 or more, at most 27.71"):
        list(attack_ensemble_l2_outcomes(classifier, images, setting))


# ------------------------------------------------------------------------------------------ Square


def test_a_hill_falls_in_square_rings() -> None:
    heights = _hill(3, 5, CPU)
    assert heights.norm() == pytest.approx(1)
    # 1 + 1/4 + 1/9 in the middle, 1/4 + 1/9 in the first ring, 1/9 in the second.
    rings = torch.tensor([[2, 1, 1, 1, 2], [2, 1, 0, 1, 2], [2, 1, 1, 1, 2]])
    expected = torch.tensor([1 + 1 / 4 + 1 / 9, 1 / 4 + 1 / 9, 1 / 9])[rings]
    torch.testing.assert_close(heights, expected / expected.norm())


@pytest.mark.parametrize("side", [1, 2, 3, 8, 13])
def test_a_bump_is_a_hill_above_a_hollow(side: int) -> None:
    bump = _bump(side, CPU)
    assert bump.shape == (side, side)
    assert bump.norm() == pytest.approx(1)
    assert (bump[: side // 2] > 0).all()
    assert (bump[side // 2 :] < 0).all()
    if side > 1:
        assert bump[: side // 2].norm() == pytest.approx(0.5**0.5)


@pytest.mark.parametrize("shape", [(16, 16), (9, 20), (3, 3)])
def test_proposals_use_the_whole_ball_and_change_two_windows(shape: tuple[int, int]) -> None:
    images = torch.full((6, 3, *shape), 0.5)
    squares = L2Squares.of(images, 0.2)
    best = squares.first(0, torch.arange(6))
    torch.testing.assert_close(L2.size(best - images), torch.full((6,), 0.2), rtol=1e-4, atol=0)
    assert ((best - images).abs() > 0).float().mean() > 0.4
    generator = torch.Generator().manual_seed(0)
    for progress in (0.0, 0.01, 0.5, 0.9):
        draws = torch.rand(6, squares.num_draws, generator=generator)
        proposed = squares.next(best, draws, progress)
        torch.testing.assert_close(
            L2.size(proposed - images), torch.full((6,), 0.2), rtol=1e-4, atol=0
        )
        assert not torch.equal(proposed, best)
    # Of 3 px, both windows: what lies outside keeps its direction.
    changed = (proposed - images) / (best - images)
    if shape == (16, 16):
        for ratios in changed:
            values = ratios[ratios.isfinite()].round(decimals=3)
            assert (values == values.mode().values).float().mean() > 0.8


def test_square_lowers_the_margin_in_l2() -> None:
    classifier, images, targets, keys = make_case("quantised")

    def margin(pixels: Tensor) -> Tensor:
        logits = classifier(pixels).detach()
        others = logits.scatter(1, targets[:, None], -torch.inf).amax(dim=1)
        return logits.gather(1, targets[:, None])[:, 0] - others

    few, more = (
        margin(_attacked("square", classifier, images, targets, 0.2, keys=keys, queries=queries))
        for queries in (1, 60)
    )
    assert (more <= few).all()
    assert more.mean() < few.mean() < margin(images).mean() + 0.5
