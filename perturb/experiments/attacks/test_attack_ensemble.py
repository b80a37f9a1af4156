"""APGD, the targeted DLR loss and Square: effect on masked gradients, and parts."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Setting
from perturb.evaluation.stages import StagedEvaluator
from perturb.experiments.attacks import gradients
from perturb.experiments.attacks.apgd import apgd, checkpoints
from perturb.experiments.attacks.attack_ensemble import apgd_ce, apgd_dlr, square, targeted_dlr
from perturb.experiments.attacks.balls import ball
from perturb.experiments.attacks.evaluate import (
    attack_ensemble_l2_outcomes,
    attack_ensemble_outcomes,
    pgd_outcomes,
)
from perturb.experiments.attacks.norms import L2, LINF, Norm
from perturb.experiments.attacks.square import Search
from perturb.experiments.attacks.squares import SCHEDULE, _side
from tests.attacked_networks import make_case, make_classifier, make_images, num_right

ATTACKS: dict[str, tuple[Callable[..., Tensor], dict[str, Any]]] = {
    "apgd_ce": (apgd_ce, {"steps": 6}),
    "apgd_dlr": (apgd_dlr, {"steps": 6, "num_targets": 2}),
    "square": (square, {"queries": 12}),
}
STAGES = tuple(ATTACKS)


def _num_correct(kind: str, epsilon: float, **options: int) -> dict[str, int]:
    """Return the number of 12 images correct after PGD and after each stage of the ensemble."""
    classifier = make_classifier(kind)
    images = make_images(classifier)
    found = {}
    pgd = Setting(("pgd",), epsilon, 0)
    ensemble = Setting(STAGES, epsilon, 0, options)
    for evaluator, setting in ((pgd_outcomes, pgd), (attack_ensemble_outcomes, ensemble)):
        for outcome in evaluator(classifier, images, setting):
            is_correct = outcome.logits.argmax(dim=1) == images.targets
            found[outcome.condition] = int(is_correct.sum())
    return found


# ---------------------------------------------------------------------------- masked gradients


def test_dlr_breaks_what_saturates() -> None:
    still_correct = _num_correct("saturated", 0.1)
    assert still_correct["pgd"] == 12
    assert still_correct["apgd_dlr"] == 0


def test_square_breaks_what_rounds_its_input() -> None:
    still_correct = _num_correct("quantised", 0.04, queries=300)
    assert still_correct["pgd"] == 12
    assert still_correct["apgd_dlr"] > 6
    assert still_correct["square"] < still_correct["apgd_dlr"] - 3


@pytest.mark.parametrize(("kind", "epsilon"), [("linear", 0.02), ("resnet", 0.004), ("vit", 0.01)])
def test_the_ensemble_is_no_weaker_than_pgd(kind: str, epsilon: float) -> None:
    still_correct = _num_correct(kind, epsilon)
    assert 0 < still_correct["pgd"] < 12
    assert (
        still_correct["square"]
        <= still_correct["apgd_dlr"]
        <= still_correct["apgd_ce"]
        <= still_correct["pgd"]
    )


def test_more_restarts_and_targets_break_more() -> None:
    classifier, images, targets, keys = make_case("quantised")
    few = apgd_dlr(classifier, images, targets, 0.1, keys=keys, steps=1, num_targets=1)
    more = apgd_dlr(
        classifier, images, targets, 0.1, keys=keys, steps=1, num_targets=9, restarts=20
    )
    assert num_right(classifier, more, targets) < num_right(classifier, few, targets)


# ------------------------------------------------------------------------- what all have in common


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("kind", ["linear", "quantised", "vit", "resnet"])
@pytest.mark.parametrize("epsilon", [1 / 255, 0.01, 0.3])
def test_no_pixel_leaves_the_ball(name: str, kind: str, epsilon: float) -> None:
    classifier, images, targets, keys = make_case(kind, 4)
    attack, options = ATTACKS[name]
    before = images.clone()
    found = attack(classifier, images, targets, epsilon, keys=keys, **options)
    assert torch.equal(images, before)
    assert found.dtype == torch.float32
    assert found.min() >= 0
    assert found.max() <= 1
    distance = (found.double() - images.double()).abs().amax(dim=(1, 2, 3))
    assert (distance <= epsilon).all()
    assert (distance > 0.5 * epsilon).all()
    assert all(parameter.requires_grad for parameter in classifier.parameters())
    assert all(parameter.grad is None for parameter in classifier.parameters())


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("kind", ["blind", "linear", "quantised"])
def test_an_image_gets_the_same_attack_in_any_batch(name: str, kind: str) -> None:
    classifier, images, targets, keys = make_case(kind)
    attack, options = ATTACKS[name]

    def attacked(rows: Tensor, seed: int = 0) -> Tensor:
        return attack(
            classifier,
            images[rows],
            targets[rows],
            0.02,
            keys=keys[rows],
            seed=seed,
            **options,
        )

    everything = attacked(torch.arange(12))
    shuffled = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(attacked(shuffled), everything[shuffled], rtol=0, atol=1e-7)
    torch.testing.assert_close(attacked(torch.tensor([4])), everything[4:5], rtol=0, atol=1e-7)
    assert not torch.equal(attacked(torch.arange(12), seed=1), everything)


@pytest.mark.parametrize("name", ATTACKS)
def test_epsilon_0_and_no_images_return_the_images(name: str) -> None:
    classifier, images, targets, keys = make_case("vit")
    attack, options = ATTACKS[name]
    assert torch.equal(attack(classifier, images, targets, 0.0, keys=keys, **options), images)
    none = attack(classifier, images[:0], targets[:0], 0.1, keys=keys[:0], **options)
    assert none.shape == (0, 3, 16, 16)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("apgd_ce", {"steps": 0}, "steps is 0"),
        ("apgd_ce", {"restarts": 0}, "restarts is 0"),
        ("apgd_ce", {"keys": None}, "keys are None"),
        ("apgd_ce", {"epsilon": -1.0}, "epsilon is -1.0"),
        ("apgd_dlr", {"num_targets": 0}, "num_targets is 0"),
        ("apgd_dlr", {"num_targets": "all"}, "num_targets is all"),
        ("square", {"queries": 0}, "queries is 0"),
        ("square", {"epsilon": float("nan")}, "epsilon is nan"),
    ],
)
def test_wrong_arguments_are_named(name: str, changes: dict[str, Any], message: str) -> None:
    classifier, images, targets, keys = make_case("linear")
    attack, options = ATTACKS[name]
    arguments = {"epsilon": 0.1, "keys": keys} | options | changes
    with pytest.raises(ValueError, match=message):
        attack(classifier, images, targets, **arguments)


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("kind", ["nan", "infinite"])
def test_what_is_not_finite_is_refused(name: str, kind: str) -> None:
    _, images, targets, keys = make_case("linear")
    attack, options = ATTACKS[name]
    with pytest.raises(ValueError, match="not finite"):
        attack(make_classifier(kind), images, targets, 0.1, keys=keys, **options)


# ------------------------------------------------------------------------------------ the DLR loss


def test_the_dlr_loss_is_the_published_ratio() -> None:
    logits = torch.tensor([[5.0, 1.0, 3.0, 2.0, 0.0]])
    for aim, expected in ((2, -2 / 3.5), (3, -3 / 3.5), (1, -4 / 3.5)):
        found = targeted_dlr(logits, torch.tensor([[0, aim]]))
        torch.testing.assert_close(found, torch.tensor([expected]))
    broken = targeted_dlr(logits, torch.tensor([[2, 0]]))
    torch.testing.assert_close(broken, torch.tensor([2 / 3.5]))


def test_the_dlr_loss_does_not_see_scale_and_shift() -> None:
    logits = torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[1, 4]]).expand(50, 2)
    expected = targeted_dlr(logits, labels)
    torch.testing.assert_close(targeted_dlr(logits * 1000 + 17, labels), expected)


def test_three_classes_suffice_and_two_are_refused() -> None:
    found = targeted_dlr(torch.tensor([[4.0, 1.0, 2.0]]), torch.tensor([[0, 2]]))
    torch.testing.assert_close(found, torch.tensor([-2 / 3]))
    _, images, targets, keys = make_case("linear")
    with pytest.raises(ValueError, match="classifier has 2 classes; allowed by the DLR loss: 3"):
        apgd_dlr(make_classifier("linear", 2), images, targets % 2, 0.1, keys=keys)


def test_two_classes_are_attacked_without_the_loss_that_needs_three() -> None:
    classifier = make_classifier("linear", 2)
    setting = Setting(("apgd_ce", "square"), 0.1, 2021, {"steps": 3, "queries": 5})
    images = make_images(classifier)
    outcomes = list(attack_ensemble_outcomes(classifier, images, setting))
    assert [outcome.condition for outcome in outcomes] == ["apgd_ce", "square"]
    clean = classifier(images.pixels).argmax(dim=1) == images.targets
    after = [outcome.logits.argmax(dim=1) == images.targets for outcome in outcomes]
    assert clean.sum() > after[0].sum() >= after[1].sum()


def test_no_logit_differs_no_dlr_loss() -> None:
    assert targeted_dlr(torch.zeros(1, 5), torch.tensor([[0, 1]])).item() == 0


def test_dlr_tries_the_most_likely_classes_first() -> None:
    classifier, images, targets, keys = make_case("saturated")
    first = apgd_dlr(classifier, images, targets, 0.2, keys=keys, steps=10, num_targets=1)
    runner_up = classifier(images).topk(2, dim=1).indices[:, 1]
    assert (classifier(first).argmax(dim=1) == runner_up).float().mean() > 0.8


# -------------------------------------------------------------------------------------------- APGD


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(100, (22, 41, 57, 70, 80, 87, 93, 99)), (20, (5, 9, 12, 14, 16, 18, 19, 20)), (1, (1,) * 8)],
)
def test_checkpoints_are_those_of_the_paper(steps: int, expected: tuple[int, ...]) -> None:
    assert checkpoints(steps) == expected


def test_a_step_is_halved_where_the_loss_oscillates() -> None:
    # The loss depends on one pixel row: it is highest where it is 0.53, between the ends of the
    # ball.
    images, visited = torch.full((1, 3, 16, 16), 0.5), []

    def loss(logits: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG001
        return -(logits[:, 0] - 0.53).abs()

    class Mean(torch.nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            value = pixels.mean(dim=(1, 2, 3))
            visited.append(value.item())
            return torch.stack([value, value - 1], dim=1)

    found = apgd(
        Mean(), images, torch.tensor([[0]]), epsilon=0.1, loss=loss, start=images, steps=60
    )
    assert abs(visited[1] - 0.6) < 1e-6  # the first step reaches the end of the ball
    assert abs(found.mean().item() - 0.53) < 0.003
    assert abs(visited[-1] - 0.53) < 0.01
    assert max(abs(value - 0.53) for value in visited[:10]) > 0.05


def test_apgd_finds_a_higher_loss_than_pgd_in_as_many_steps() -> None:
    classifier, images, targets, _ = make_case("resnet")
    with gradients.frozen(classifier):
        found = apgd(
            classifier,
            images,
            targets[:, None],
            epsilon=0.002,
            loss=lambda logits, labels: gradients.cross_entropy(logits, labels[:, 0]),
            start=images,
            steps=40,
        )
    plain = gradients.pgd(classifier, images, targets, 0.002, steps=40, step_size=0.001)
    is_correct = classifier(found).argmax(dim=1) == targets
    assert is_correct.any()
    better = gradients.cross_entropy(classifier(found), targets)
    assert (better > gradients.cross_entropy(classifier(plain), targets) - 1e-3)[is_correct].all()


def test_a_broken_image_is_left_alone() -> None:
    classifier, images, targets, keys = make_case("linear")
    sizes: list[int] = []
    classifier.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    found = apgd_ce(classifier, images, targets, 0.015, keys=keys, steps=8)
    assert len(sizes) == 9
    assert sizes[0] == 12
    assert sizes == sorted(sizes, reverse=True)
    assert 12 > sizes[-1] >= num_right(classifier, found, targets) > 0


# ------------------------------------------------------------------------------------------ Square


def test_every_pixel_is_at_an_end_of_the_ball() -> None:
    classifier, images, targets, keys = make_case("resnet")
    found = square(classifier, images, targets, 0.02, keys=keys, queries=20)
    lowest, highest = ball(images, 0.02)
    assert ((found == lowest) | (found == highest)).all()


def test_the_first_query_is_of_stripes_and_further_ones_lower_the_margin() -> None:
    classifier, images, targets, keys = make_case("quantised")
    stripes = square(classifier, images, targets, 0.01, keys=keys, queries=1)
    _, highest = ball(images, 0.01)
    is_high = stripes == highest
    assert (is_high == is_high[:, :, :1]).all()
    assert 0.4 < is_high.float().mean() < 0.6

    def margin(pixels: Tensor) -> Tensor:
        logits = classifier(pixels).detach()
        others = logits.scatter(1, targets[:, None], -torch.inf).amax(dim=1)
        return logits.gather(1, targets[:, None])[:, 0] - others

    margins = [margin(stripes)]
    for queries in (2, 10, 60):
        found = square(classifier, images, targets, 0.01, keys=keys, queries=queries)
        margins.append(margin(found))
    assert (margins[-1] < margins[0]).all()
    assert margins[3].mean() < margins[2].mean() < margins[0].mean()


def test_a_square_that_does_not_lower_the_margin_is_not_kept() -> None:
    classifier, images, targets, keys = make_case("blind")
    one = square(classifier, images, targets, 0.1, keys=keys, queries=1)
    assert torch.equal(square(classifier, images, targets, 0.1, keys=keys, queries=30), one)


def test_square_makes_as_many_queries_as_asked_for_of_what_stands() -> None:
    classifier, images, targets, keys = make_case("quantised")
    sizes: list[int] = []
    classifier.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    found = square(classifier, images, targets, 0.05, keys=keys, queries=25)
    assert len(sizes) <= 25
    assert sizes == sorted(sizes, reverse=True)
    assert 12 > sizes[-1] >= num_right(classifier, found, targets) > 0


@pytest.mark.parametrize(
    ("scheduled", "queries", "num_halvings"),
    [
        # AutoAttack's: the schedule of 10,000 queries, of which 5,000 are made.
        (SCHEDULE, (10, 50, 200, 500, 1000, 2000, 4000), range(7)),
        (SCHEDULE, (11, 51, 201, 501, 1001, 2001, 4001, 4999), (*range(1, 8), 7)),
        # Scaled to the queries, it ends at smaller squares.
        (None, (5, 25, 100, 250, 500, 1000, 2000, 3000, 4000), range(9)),
        (None, (6, 26, 101, 251, 501, 1001, 2001, 3001, 4001, 4999), (*range(1, 10), 9)),
    ],
)
def test_squares_become_smaller_as_published(
    scheduled: int | None, queries: tuple[int, ...], num_halvings: range | tuple[int, ...]
) -> None:
    search = Search(make_classifier("linear"), 0.1, 5000, 0, LINF, scheduled)
    shares = [_side(224, 224, search.progress(query)) ** 2 / 224**2 for query in queries]
    assert shares == pytest.approx([0.8 / 2**halvings for halvings in num_halvings])


@pytest.mark.parametrize(
    ("evaluator", "norm"), [(attack_ensemble_outcomes, LINF), (attack_ensemble_l2_outcomes, L2)]
)
def test_only_the_standard_set_has_the_published_schedule(
    evaluator: StagedEvaluator, norm: Norm
) -> None:
    classifier, pixels, targets, keys = make_case("vit")
    images = Images(pixels, keys, targets)
    options = {"queries": 25}
    for scheduled, standard in ((None, False), (SCHEDULE, True)):
        setting = Setting(("square",), 0.002, 0, options | {"standard": standard})
        (found,) = evaluator(classifier, images, setting)
        expected, other = (
            classifier(
                square(
                    classifier,
                    pixels,
                    targets,
                    0.002,
                    keys=keys,
                    scheduled=given,
                    norm=norm,
                    **options,
                )
            )
            for given in (scheduled, SCHEDULE if scheduled is None else None)
        )
        torch.testing.assert_close(found.logits, expected)
        assert not torch.allclose(found.logits, other, atol=1e-4)
