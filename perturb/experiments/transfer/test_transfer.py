"""Transfer attacks: examples of one model, predicted by others."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perturb.datasets.store import Images
from perturb.datasets.synthetic.generated import generate
from perturb.evaluation.outcome import Outcome, Setting
from perturb.experiments.attacks.gradients import pgd
from perturb.experiments.transfer.examples import examples_against, outcome_on
from perturb.models.classifier import Classifier, Preprocessing

EPSILON = 8 / 255


class Templates(nn.Module):
    """Logits by similarity to random images: linear, so that one PGD step finds the worst case."""

    num_classes = 12

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weights = nn.Parameter(torch.randn(12, 3, 32, 32, generator=generator) / 50)
        self.num_passes = 0

    def forward(self, images: Tensor) -> Tensor:
        self.num_passes += 1
        return torch.einsum("bchw,kchw->bk", images, self.weights)


def make_classifier(seed: int) -> Classifier:
    return Classifier(Templates(seed), Preprocessing(side=32)).eval()


def make_images(count: int = 40) -> Images:
    batch = generate("target", "test", 5, torch.arange(count))
    return Images(batch.images, torch.arange(count) * 7919, batch.targets)


def outcomes(
    source: Classifier, targets: dict[str, Classifier], images: Images, **options: Any
) -> dict[str, Outcome]:
    severity, seed = options.pop("severity", EPSILON), options.pop("seed", 3)
    examples = examples_against(source, images, Setting(("source",), severity, seed, options))
    return {id: outcome_on(target, "source", images, examples) for id, target in targets.items()}


def accuracy(logits: Tensor, images: Images) -> float:
    return (logits.argmax(dim=1) == images.targets).double().mean().item()


def test_every_target_sees_the_examples_of_the_source() -> None:
    source, other, images = make_classifier(0), make_classifier(1), make_images()
    found = outcomes(source, {"itself": source, "other": other}, images)
    assert list(found) == ["itself", "other"]
    clean = images.pixels.float() / 255
    adversarial = pgd(source, clean, images.targets, EPSILON)
    for name, target in (("itself", source), ("other", other)):
        outcome = found[name]
        assert (outcome.condition, outcome.sample) == ("source", 0)
        assert torch.equal(outcome.logits, target(adversarial))
        assert not outcome.logits.requires_grad
        distance = outcome.added["distance"]
        assert distance.dtype == torch.float32
        assert torch.equal(distance, (adversarial - clean).abs().amax(dim=(1, 2, 3)))
        assert distance.min() > 0
        assert distance.max() <= EPSILON


def test_images_that_the_source_gets_wrong_are_attacked_too() -> None:
    source, images = make_classifier(0), make_images()
    with torch.no_grad():
        logits = source(images.pixels)
    is_wrong = logits.argmax(dim=1) != images.targets
    assert is_wrong.any()
    found = outcomes(source, {"itself": source}, images)["itself"]
    assert (found.added["distance"][is_wrong] > 0.9 * EPSILON).all()
    assert accuracy(found.logits, images) < accuracy(logits, images)


def test_examples_are_made_once() -> None:
    source, targets = make_classifier(0), {name: make_classifier(1) for name in "abc"}
    outcomes(source, targets, make_images(), steps=5)
    assert source.network.num_passes == 5
    assert [target.network.num_passes for target in targets.values()] == [1, 1, 1]


def test_epsilon_0_shows_the_clean_images_bit_for_bit() -> None:
    source, target, images = make_classifier(0), make_classifier(1), make_images()
    found = outcomes(source, {"t": target}, images, severity=0.0)["t"]
    assert torch.equal(found.logits, target(images.pixels))
    assert not found.added["distance"].any()


def test_batch_and_order_change_nothing_also_with_random_starts() -> None:
    source, target, images = make_classifier(0), make_classifier(1), make_images()
    options = {"random_start": True, "restarts": 2, "steps": 3, "relative_step": 0.5}
    whole = outcomes(source, {"t": target}, images, **options)["t"]
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    for rows in order.split(17):
        part = Images(images.pixels[rows], images.keys[rows], images.targets[rows])
        cut = outcomes(source, {"t": target}, part, **options)["t"]
        torch.testing.assert_close(cut.logits, whole.logits[rows], rtol=1e-4, atol=1e-4)
    for change in ({"random_start": False, "restarts": 1}, {"seed": 4}, {"relative_step": 0.1}):
        other = outcomes(source, {"t": target}, images, **(options | change))["t"]
        assert not torch.equal(other.logits, whole.logits)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"severity": -1.0}, "epsilon is -1.0"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_refusals_name_the_value(change: dict[str, Any], message: str) -> None:
    source = make_classifier(0)
    with pytest.raises(ValueError, match=message):
        outcomes(source, {"t": source}, make_images(2), **change)


def test_logits_that_are_not_finite_are_refused() -> None:
    source, target = make_classifier(0), make_classifier(1)
    with torch.no_grad():
        target.network.weights[0] = torch.nan
    with pytest.raises(ValueError, match="logits of 4 images are not finite"):
        outcomes(source, {"t": target}, make_images(4))
