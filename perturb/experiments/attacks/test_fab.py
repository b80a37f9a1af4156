"""FAB, and the projection to a hyperplane within the box that its steps are made of."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor

from perturb.evaluation.outcome import Setting
from perturb.evaluation.stages import StagedEvaluator
from perturb.experiments.attacks.attack_ensemble import fab
from perturb.experiments.attacks.evaluate import (
    attack_ensemble_l2_outcomes,
    attack_ensemble_outcomes,
)
from perturb.experiments.attacks.norms import L2, LINF, NORMS, Norm
from perturb.experiments.attacks.projections import to_hyperplane
from tests.attacked_networks import make_case, make_classifier, make_images, num_right


def _moved(points: list[float], weights: list[float], value: float, norm: Norm) -> list[float]:
    rows = (torch.tensor(row).reshape(1, 1, 1, -1) for row in (points, weights))
    found = to_hyperplane(*rows, torch.tensor([value]), norm)
    return [round(move, 6) for move in found.flatten().tolist()]


@pytest.mark.parametrize(
    ("norm", "points", "weights", "value", "expected"),
    [
        ("Linf", [0.5, 0.5], [1.0, 1.0], 0.5, [-0.25, -0.25]),
        ("Linf", [0.5, 0.5], [1.0, -3.0], 0.8, [-0.2, 0.2]),
        ("Linf", [0.5, 0.5], [1.0, -3.0], -0.8, [0.2, -0.2]),
        # The first pixel is at its end after 0.1, the second takes over.
        ("Linf", [0.1, 0.5], [1.0, 1.0], 0.5, [-0.1, -0.4]),
        ("L2", [0.5, 0.5], [2.0, 1.0], 1.0, [-0.4, -0.2]),
        ("L2", [0.2, 0.9], [2.0, 1.0], 1.0, [-0.2, -0.6]),
        ("L2", [0.0, 0.9], [2.0, -1.0], 0.05, [0.0, 0.05]),
        # Out of reach: all pixels at their ends; a pixel without weight stays.
        ("Linf", [0.1, 0.5, 0.3], [1.0, 1.0, 0.0], 5.0, [-0.1, -0.5, 0.0]),
        ("L2", [0.1, 0.5, 0.3], [1.0, -1.0, 0.0], 5.0, [-0.1, 0.5, 0.0]),
        ("Linf", [0.1, 0.5], [0.0, 0.0], 1.0, [0.0, 0.0]),
        ("L2", [0.1, 0.5], [0.0, 0.0], 1.0, [0.0, 0.0]),
        ("L2", [0.1, 0.5], [1.0, 1.0], 0.0, [0.0, 0.0]),
        # Weights so small beside others that room / weight, or the weight's square, is no float32.
        ("L2", [0.5, 0.5, 0.5], [1.0, 1e-41, -1e-45], 0.25, [-0.25, 0.0, 0.0]),
        ("L2", [0.5, 0.5, 0.5], [1e-4, 1e-30, 1e-20], 1e-5, [-0.1, 0.0, 0.0]),
        ("L2", [0.5, 0.5], [2e-41, 1e-41], 1e-41, [-0.4, -0.2]),
        ("Linf", [0.5, 0.5], [1.0, 1e-41], 0.25, [-0.25, -0.25]),
    ],
)
def test_projections_by_hand(
    norm: str, points: list[float], weights: list[float], value: float, expected: list[float]
) -> None:
    assert _moved(points, weights, value, NORMS[norm]) == pytest.approx(expected, abs=1e-6)


def _planes(count: int = 12, num_pixels: int = 15) -> tuple[Tensor, Tensor, Tensor]:
    """Return points, weights and values of planes that some moves within the box reach."""
    generator = torch.Generator().manual_seed(5)
    points = torch.rand(count, 1, 1, num_pixels, generator=generator)
    weights = torch.randn(points.shape, generator=generator)
    others = torch.rand(points.shape, generator=generator)
    return points, weights, (weights * (points - others)).sum(dim=(1, 2, 3))


def test_no_move_in_linf_is_shorter_than_the_projection() -> None:
    points, weights, values = _planes()
    moves = to_hyperplane(points, weights, values, LINF)
    torch.testing.assert_close((weights * moves).sum(dim=(1, 2, 3)), -values, rtol=0, atol=1e-5)
    for x, w, value, move in zip(points, weights, values, moves, strict=True):
        # Least t with -t <= d <= t, w d = -value and x + d in the box: a linear program.
        x, w = x.flatten().double().numpy(), w.flatten().double().numpy()
        ones, unit = np.ones((len(x), 1)), np.eye(len(x))
        least = linprog(
            [*np.zeros(len(x)), 1],
            A_ub=np.block([[unit, -ones], [-unit, -ones]]),
            b_ub=np.zeros(2 * len(x)),
            A_eq=[[*w, 0]],
            b_eq=[-float(value)],
            bounds=[*zip(-x, 1 - x, strict=True), (0, None)],
        )
        assert float(move.abs().max()) == pytest.approx(least.fun, abs=1e-5)


def test_no_move_in_l2_is_shorter_than_the_projection() -> None:
    points, weights, values = _planes()
    moves = to_hyperplane(points, weights, values, L2)
    torch.testing.assert_close((weights * moves).sum(dim=(1, 2, 3)), -values, rtol=0, atol=1e-5)
    after = points + moves
    is_free = (after > 1e-6) & (after < 1 - 1e-6)
    # Optimal exactly if free pixels move by one multiple of their weights, and those at an end
    # would move further by it.
    ratios = torch.where(is_free, moves / weights, torch.nan)
    multiple = ratios.nanmedian(dim=3, keepdim=True).values
    torch.testing.assert_close(
        moves, (points + multiple * weights).clamp(0, 1) - points, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("norm", [LINF, L2])
@pytest.mark.parametrize(("share", "num_left"), [(1.02, 0), (0.999, 3)])
def test_fab_finds_the_nearest_adversarial_image_of_a_linear_network(
    norm: Norm, share: float, num_left: int
) -> None:
    classifier, images, targets, _ = make_case("linear", 3)
    logits = classifier(images).detach()
    weights = classifier.network.weights.detach()
    distances = []
    for aim in range(logits.shape[1]):
        w = (weights[targets] - weights[aim]).reshape(images.shape)
        value = logits.gather(1, targets[:, None])[:, 0] - logits[:, aim]
        distance = norm.size(to_hyperplane(images, w, value, norm))
        distances.append(distance.masked_fill(targets == aim, torch.inf))
    nearest = torch.stack(distances).amin(dim=0)
    found = [
        fab(
            classifier,
            images[i : i + 1],
            targets[i : i + 1],
            share * nearest[i].item(),
            steps=30,
            norm=norm,
        )
        for i in range(len(images))
    ]
    assert num_right(classifier, torch.cat(found), targets) == num_left


@pytest.mark.parametrize("norm", [LINF, L2])
@pytest.mark.parametrize("kind", ["vit", "resnet", "quantised", "blind"])
def test_what_is_found_is_adversarial_and_in_the_ball(norm: Norm, kind: str) -> None:
    classifier, images, targets, _ = make_case(kind)
    epsilon = 0.01 if norm is LINF else 0.15
    found = fab(classifier, images, targets, epsilon, steps=20, num_targets=5, norm=norm)
    is_moved = (found != images).flatten(1).any(dim=1)
    assert (classifier(found).argmax(dim=1) != targets).equal(is_moved)
    assert is_moved.any() == (kind in ("vit", "resnet"))
    assert (norm.size(found - images) <= epsilon).all()
    assert 0 <= found.min() <= found.max() <= 1
    assert all(parameter.grad is None for parameter in classifier.parameters())


class _Far(torch.nn.Module):
    """The second class is the most likely other one, and out of reach; the third is near."""

    def forward(self, pixels: Tensor) -> Tensor:
        above = pixels.mean(dim=(1, 2, 3)) - 0.5
        return torch.stack([0 * above + 1, 0.9 + 0.01 * above, 0.5 + 10 * above], dim=1)


@pytest.mark.parametrize(("num_targets", "num_left"), [(1, 2), (2, 0), (50, 0)])
def test_more_targets_break_more(num_targets: int, num_left: int) -> None:
    images, targets = torch.full((2, 3, 4, 4), 0.5), torch.tensor([0, 0])
    found = fab(_Far(), images, targets, 0.1, steps=5, num_targets=num_targets)
    assert int((_Far()(found).argmax(dim=1) == targets).sum()) == num_left


@pytest.mark.parametrize(
    ("options", "message"), [({"steps": 0}, "steps"), ({"num_targets": 0}, "num_")]
)
def test_wrong_arguments_are_named(options: dict[str, int], message: str) -> None:
    classifier, images, targets, _ = make_case("linear")
    with pytest.raises(ValueError, match=f"{message}.* is 0"):
        fab(classifier, images, targets, 0.1, **options)


@pytest.mark.parametrize("kind", ["nan", "infinite", "nan gradient"])
def test_what_is_not_finite_is_refused(kind: str) -> None:
    _, images, targets, _ = make_case("linear")
    with pytest.raises(ValueError, match="not finite"):
        fab(make_classifier(kind), images, targets, 0.1)


@pytest.mark.parametrize(
    ("evaluator", "epsilon"),
    [(attack_ensemble_outcomes, 0.003), (attack_ensemble_l2_outcomes, 0.1)],
)
def test_fab_of_the_ensemble_attacks_what_still_stands(
    evaluator: StagedEvaluator, epsilon: float
) -> None:
    classifier = make_classifier("resnet")
    images = make_images(classifier, num_wrong=2)
    options = {"steps": 4, "targets": 5, "queries": 10}
    found = {}
    for conditions in (("fab",), ("apgd_ce", "fab", "square")):
        for outcome in evaluator(classifier, images, Setting(conditions, epsilon, 0, options)):
            is_correct = outcome.logits.argmax(dim=1) == images.targets
            found[len(conditions), outcome.condition] = is_correct
    pixels = images.pixels.float() / 255
    norm = LINF if evaluator is attack_ensemble_outcomes else L2
    alone = fab(classifier, pixels, images.targets, epsilon, steps=4, num_targets=5, norm=norm)
    clean = classifier(pixels).argmax(dim=1) == images.targets
    assert clean.sum() == 10
    assert found[1, "fab"].equal(clean & (classifier(alone).argmax(dim=1) == images.targets))
    assert (found[3, "fab"] <= found[3, "apgd_ce"]).all()
    assert (found[3, "square"] <= found[3, "fab"]).all()
    assert found[3, "fab"].equal(found[3, "apgd_ce"] & found[1, "fab"])
