"""FGSM and PGD: bounds, side effects and success criterion."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Evaluator, Outcome, Setting
from perturb.experiments.attacks import gradients
from perturb.experiments.attacks.evaluate import (
    attack_ensemble_outcomes,
    fgsm_outcomes,
    pgd_outcomes,
)
from perturb.experiments.attacks.gradients import fgsm, pgd
from tests.attacked_networks import make_case, make_classifier, make_images, num_right

STAGES = ("apgd_ce", "apgd_dlr", "square")
EVALUATORS: dict[str, tuple[Evaluator, tuple[str, ...], dict[str, Any]]] = {
    "fgsm": (fgsm_outcomes, ("fgsm",), {}),
    "pgd": (pgd_outcomes, ("pgd",), {"steps": 4}),
    "restarts": (pgd_outcomes, ("pgd",), {"steps": 3, "random_start": True, "restarts": 3}),
    "attack_ensemble": (attack_ensemble_outcomes, STAGES, {"steps": 4, "queries": 6, "targets": 2}),
}
Case = tuple[Any, Tensor, Tensor, Tensor]
RANDOM = {"random_start": True, "restarts": 2}


def _outcomes(name: str, classifier: Any, images: Images, epsilon: float) -> list[Outcome]:
    evaluator, conditions, options = EVALUATORS[name]
    return list(evaluator(classifier, images, Setting(conditions, epsilon, 5, options)))


def _grey(case: Case) -> Tensor:
    return case[1]


def _fractions(case: Case) -> Tensor:
    return torch.rand(case[1].shape, generator=torch.Generator().manual_seed(2)) ** 8


def _extremes(case: Case) -> Tensor:
    values = torch.tensor([0.0, 1.0, 1e-30, 1e-8, 0.5, 1 - 2**-24])
    return values[torch.arange(case[1].numel()) % len(values)].reshape(case[1].shape)


@pytest.mark.parametrize("make", [_grey, _fractions, _extremes])
@pytest.mark.parametrize("epsilon", [1e-9, 1 / 255, 0.01, 8 / 255, 0.3, 2.0])
@pytest.mark.parametrize("options", [{"steps": 1, "step_size": 9.0}, {"steps": 3}, RANDOM])
def test_no_pixel_leaves_the_ball(
    make: Callable[[Case], Tensor], epsilon: float, options: dict[str, Any]
) -> None:
    case = make_case("linear", 3)
    images = make(case)
    found = pgd(case[0], images, case[2], epsilon, keys=case[3], **options)
    assert found.dtype == torch.float32
    assert found.min() >= 0
    assert found.max() <= 1
    assert (found - images).abs().max() <= epsilon
    assert (found - images).abs().max().item() <= epsilon
    assert (found.double() - images.double()).abs().max().item() <= epsilon


@pytest.mark.parametrize("epsilon", [1 / 255, 0.01, 0.3])
def test_a_full_step_ends_a_rounding_short_of_epsilon_at_most(epsilon: float) -> None:
    classifier, images, targets, _ = make_case("linear", 3)
    distance = (fgsm(classifier, images, targets, epsilon) - images).abs()
    is_inside = (images > epsilon) & (images < 1 - epsilon)
    assert (distance[is_inside] >= epsilon - 2**-23).all()


def test_fgsm_is_the_sign_of_a_gradient_known_by_hand() -> None:
    classifier, images, targets, _ = make_case("linear", 4)
    weights = classifier.network.weights.detach()
    probabilities = classifier(images).softmax(dim=1)
    probabilities[torch.arange(4), targets] -= 1
    gradient = (probabilities @ weights).detach().reshape(images.shape)
    expected = (images + 0.02 * gradient.sign()).clamp(0, 1)
    torch.testing.assert_close(fgsm(classifier, images, targets, 0.02), expected)


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_more_steps_find_a_higher_loss(kind: str) -> None:
    classifier, images, targets, _ = make_case(kind)

    def loss(pixels: Tensor) -> float:
        return gradients.cross_entropy(classifier(pixels), targets).mean().item()

    one, eight = fgsm(classifier, images, targets, 0.02), pgd(classifier, images, targets, 0.02)
    assert loss(images) < loss(one) < loss(eight)


@pytest.mark.parametrize("kind", ["vit", "resnet"])
@pytest.mark.parametrize("options", [{}, {"step_size": 0.5}, RANDOM])
def test_epsilon_0_returns_the_images(kind: str, options: dict[str, Any]) -> None:
    classifier, images, targets, keys = make_case(kind)
    images[0, 0, 0, 0] = -0.0
    found = pgd(classifier, images, targets, 0.0, keys=keys, **options)
    assert torch.equal(found.view(torch.int32), images.view(torch.int32))
    assert found.data_ptr() != images.data_ptr()


@pytest.mark.parametrize("kind", ["linear", "vit", "resnet"])
@pytest.mark.parametrize("options", [{}, RANDOM])
def test_nothing_is_left_behind(kind: str, options: dict[str, Any]) -> None:
    classifier, images, targets, keys = make_case(kind)
    for number, parameter in enumerate(classifier.parameters()):
        parameter.requires_grad_(number % 2 == 0)
    asks = [parameter.requires_grad for parameter in classifier.parameters()]
    before = images.clone()
    found = pgd(classifier, images, targets, 0.05, keys=keys, **options)
    assert [parameter.requires_grad for parameter in classifier.parameters()] == asks
    assert all(parameter.grad is None for parameter in classifier.parameters())
    assert torch.equal(images, before)
    assert not images.requires_grad
    assert not found.requires_grad


@pytest.mark.parametrize("kind", ["nan", "infinite", "nan gradient"])
@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_what_is_not_finite_is_refused_and_weights_are_as_before(
    kind: str, attack: Callable[..., Tensor]
) -> None:
    classifier = make_classifier(kind)
    images = torch.full((2, 3, 16, 16), 0.5)
    with pytest.raises(ValueError, match="not finite"):
        attack(classifier, images, torch.tensor([0, 1]), 0.1)
    assert all(parameter.requires_grad for parameter in classifier.parameters())


@pytest.mark.parametrize("name", EVALUATORS)
@pytest.mark.parametrize("kind", ["nan", "infinite", "nan gradient"])
def test_evaluators_refuse_what_is_not_finite(name: str, kind: str) -> None:
    classifier = make_classifier(kind)
    images = make_images(make_classifier("linear"))
    if kind == "nan gradient":
        images = make_images(classifier)
    with pytest.raises(ValueError, match="not finite"):
        _outcomes(name, classifier, images, 0.1)


_IMAGES = torch.full((2, 3, 16, 16), 0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epsilon": -0.1}, "epsilon is -0.1; allowed: a finite number of 0 or more"),
        ({"epsilon": float("nan")}, "epsilon is nan"),
        ({"epsilon": float("inf")}, "epsilon is inf"),
        ({"steps": 0}, "steps is 0; allowed: a whole number of 1 or more"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"step_size": -1.0}, "step_size is -1.0"),
        ({"step_size": float("nan")}, "step_size is nan"),
        ({"restarts": 0, "random_start": True}, "restarts is 0"),
        ({"restarts": 2}, "restarts is 2; allowed without random_start: 1"),
        ({"random_start": True, "keys": None}, "keys are None; random draws need one for each of"),
        ({"random_start": True, "keys": torch.arange(3)}, r"keys are \(3,\)"),
        ({"images": _IMAGES + 0.6}, r"images lie in \[1.1, 1.1\]; allowed: \[0, 1\]"),
        ({"images": _IMAGES - 0.6}, r"images lie in \[-0.1, -0.1\]"),
        ({"images": _IMAGES * float("nan")}, "images lie in"),
        ({"images": (_IMAGES * 255).to(torch.uint8)}, "images are torch.uint8"),
        ({"images": _IMAGES.double()}, "images are torch.float64"),
        ({"images": _IMAGES[0]}, r"images are torch.float32 \(3, 16, 16\)"),
        ({"targets": torch.tensor([0])}, r"targets have shape \(1,\)"),
    ],
)
def test_wrong_arguments_are_named(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "images": _IMAGES,
        "targets": torch.tensor([0, 1]),
        "epsilon": 0.1,
        "keys": torch.arange(2),
    }
    with pytest.raises(ValueError, match=message):
        pgd(make_classifier("linear"), **(arguments | changes))


@pytest.mark.parametrize("epsilon", [-0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", EVALUATORS)
def test_evaluators_refuse_a_wrong_epsilon_even_if_no_image_is_correct(
    name: str, epsilon: float
) -> None:
    classifier = make_classifier("linear")
    with pytest.raises(ValueError, match="epsilon is"):
        _outcomes(name, classifier, make_images(classifier, num_wrong=12), epsilon)


# ------------------------------------------------------------------------------ random starts


def test_a_start_depends_on_seed_and_key_alone() -> None:
    # The images of a blind classifier have no gradient and stay at their random start.
    classifier, images, targets, keys = make_case("blind")

    def start(rows: Tensor, seed: int = 0) -> Tensor:
        return pgd(
            classifier,
            images[rows],
            targets[rows],
            0.1,
            keys=keys[rows],
            seed=seed,
            random_start=True,
        )

    everything = start(torch.arange(12))
    shuffled = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(start(shuffled), everything[shuffled])
    assert torch.equal(start(torch.tensor([4])), everything[4:5])
    assert not torch.equal(start(torch.arange(12), seed=1), everything)
    moves = everything - images
    assert 0.09 < moves.abs().max() <= 0.1
    assert moves.mean().abs() < 0.01
    assert len(moves.flatten(1).unique(dim=0)) == 12


def test_an_image_that_a_restart_broke_is_left_alone() -> None:
    classifier, images, targets, keys = make_case("linear")
    options: dict[str, Any] = {"steps": 1, "step_size": 0.015, "random_start": True, "keys": keys}
    once = pgd(classifier, images, targets, 0.04, **options)
    often = pgd(classifier, images, targets, 0.04, restarts=5, **options)
    is_broken = classifier(once).argmax(dim=1) != targets
    assert 0 < is_broken.sum() < 12
    assert torch.equal(once[is_broken], often[is_broken])
    assert not (once[~is_broken] == often[~is_broken]).flatten(1).all(dim=1).any()


# -------------------------------------------------------------------------------- evaluation


@pytest.mark.parametrize("kind", ["vit", "resnet"])
@pytest.mark.parametrize("name", EVALUATORS)
def test_epsilon_0_gives_the_clean_logits(name: str, kind: str) -> None:
    classifier = make_classifier(kind)
    images = make_images(classifier, num_wrong=5)
    with torch.inference_mode():
        clean = classifier(images.pixels)
    for outcome in _outcomes(name, classifier, images, 0.0):
        assert torch.equal(outcome.logits, clean)
        assert (outcome.added["distance"] == 0).all()


@pytest.mark.parametrize("kind", ["linear", "saturated", "quantised", "vit", "resnet"])
@pytest.mark.parametrize("epsilon", [0.002, 0.05])
@pytest.mark.parametrize("name", EVALUATORS)
def test_accuracy_never_exceeds_that_on_clean_images(name: str, epsilon: float, kind: str) -> None:
    classifier = make_classifier(kind)
    images = make_images(classifier, num_wrong=5)
    with torch.inference_mode():
        clean = classifier(images.pixels)
    is_right = clean.argmax(dim=1) == images.targets
    assert is_right.sum() == 7
    outcomes = _outcomes(name, classifier, images, epsilon)
    assert [(o.condition, o.sample) for o in outcomes] == [(c, 0) for c in EVALUATORS[name][1]]
    for outcome in outcomes:
        assert outcome.logits.dtype == torch.float32
        assert not outcome.logits.requires_grad
        assert torch.equal(outcome.logits[:5], clean[:5])
        still_right = outcome.logits.argmax(dim=1) == images.targets
        assert not (still_right & ~is_right).any()
        distance, norm = outcome.added["distance"], outcome.added["gradient_norm"]
        assert (distance[:5] == 0).all()
        assert (distance <= epsilon).all()
        assert norm[:5].isnan().all()
        assert norm[5:].isfinite().all()
        is_right = still_right  # later attacks run on these only


def test_the_verdict_is_that_of_the_final_images() -> None:
    classifier = make_classifier("resnet")
    images = make_images(classifier, num_wrong=3)
    (outcome,) = _outcomes("pgd", classifier, images, 0.02)
    clean = images.pixels.float() / 255
    found = clean.clone()
    found[3:] = pgd(classifier, clean[3:], images.targets[3:], 0.02, steps=4, step_size=0.0025)
    with torch.inference_mode():
        assert torch.equal(outcome.logits[3:], classifier(found[3:]))
        assert torch.equal(outcome.logits[:3], classifier(clean)[:3])
    assert torch.equal(outcome.added["distance"], (found - clean).abs().amax(dim=(1, 2, 3)))


@pytest.mark.parametrize("name", EVALUATORS)
def test_a_wrong_image_stays_wrong_even_if_the_classifier_is_fickle(name: str) -> None:
    classifier = make_classifier("blind")
    images = make_images(classifier, num_wrong=5)
    right = torch.nn.functional.one_hot(images.targets, classifier.num_classes).float()
    num_calls = 0

    def clean_once(_: object, inputs: tuple[Tensor], logits: Tensor) -> Tensor:
        nonlocal num_calls
        num_calls += 1
        return right if num_calls > 1 and len(inputs[0]) == 12 else logits

    classifier.register_forward_hook(clean_once)
    for outcome in _outcomes(name, classifier, images, 0.1):
        assert (outcome.logits.argmax(dim=1) != images.targets)[:5].all()
    assert num_calls > 1


@pytest.mark.parametrize(("name", "passes"), [("fgsm", 1), ("pgd", 4)])
def test_gradients_are_computed_of_correct_images_only_and_once_per_step(
    name: str, passes: int
) -> None:
    classifier = make_classifier("resnet")
    images = make_images(classifier, num_wrong=5)
    sizes: list[tuple[int, bool]] = []
    classifier.register_forward_hook(
        lambda _, inputs, __: sizes.append((len(inputs[0]), torch.is_grad_enabled()))
    )
    _outcomes(name, classifier, images, 0.01)
    # one prediction before, the attack, one prediction after of what was attacked
    assert sizes == [(12, False)] + [(7, True)] * passes + [(7, False)]


@pytest.mark.parametrize("name", EVALUATORS)
@pytest.mark.parametrize("kind", ["blind", "detached"])
def test_a_model_that_ignores_its_input_keeps_its_accuracy_and_says_why(
    name: str, kind: str
) -> None:
    classifier = make_classifier(kind)
    images = make_images(classifier, num_wrong=4)
    for outcome in _outcomes(name, classifier, images, 0.3):
        assert (outcome.logits.argmax(dim=1) == images.targets).sum() == 8
        assert (outcome.added["gradient_norm"][4:] == 0).all()
        assert outcome.added["gradient_norm"][:4].isnan().all()


@pytest.mark.parametrize("kind", ["vit", "resnet"])
@pytest.mark.parametrize("name", EVALUATORS)
def test_verdicts_do_not_depend_on_the_batch(name: str, kind: str) -> None:
    classifier = make_classifier(kind)
    images = make_images(classifier, num_wrong=2)
    together = _outcomes(name, classifier, images, 0.01)
    for i in range(12):
        one = Images(images.pixels[i : i + 1], images.keys[i : i + 1], images.targets[i : i + 1])
        for outcome, alone in zip(together, _outcomes(name, classifier, one, 0.01), strict=True):
            assert outcome.logits[i].argmax() == alone.logits[0].argmax()
            torch.testing.assert_close(
                outcome.added["gradient_norm"][i],
                alone.added["gradient_norm"][0],
                equal_nan=True,
                rtol=1e-4,
                atol=1e-7,
            )


@pytest.mark.parametrize("name", EVALUATORS)
def test_attacks_work_where_gradients_are_off(name: str) -> None:
    classifier = make_classifier("vit")
    images = make_images(classifier, num_wrong=2)
    outside = _outcomes(name, classifier, images, 0.05)
    with torch.inference_mode():
        copy = Images(images.pixels.clone(), images.keys.clone(), images.targets.clone())
        inside = _outcomes(name, classifier, copy, 0.05)
    for one, other in zip(outside, inside, strict=True):
        assert torch.equal(one.logits, other.logits)
    assert num_right(classifier, images.pixels, images.targets) == 10


@pytest.mark.parametrize("name", EVALUATORS)
def test_nothing_stands_nothing_is_attacked(name: str) -> None:
    classifier = make_classifier("resnet")
    images = make_images(classifier, num_wrong=12)
    for outcome in _outcomes(name, classifier, images, 0.1):
        with torch.inference_mode():
            assert torch.equal(outcome.logits, classifier(images.pixels))
        assert outcome.added["gradient_norm"].isnan().all()
