"""Noise on weights and rounded weights: what they change, and that nothing of it stays."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Outcome, Setting
from perturb.experiments.weight_perturbation.evaluate import noise_outcomes, rounding_outcomes
from perturb.experiments.weight_perturbation.weights import with_noise, with_rounded_weights
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.precision import autocast
from perturb.models.timm_modules import find_maker

CPU = torch.device("cpu")
ARGUMENTS = {
    "vit": {"patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2},
    "resnet": {"layers": [2, 2], "channels": [16, 32], "num_groups": 4, "stem_channels": 8},
}
# Networks of timm that keep attention biases from one pass to the next.
KEEPING: dict[str, dict[str, Any]] = {
    "levit_128s": {
        **{"img_size": 64, "embed_dim": (16, 24), "key_dim": 8},
        **{"num_heads": (2, 3), "depth": (1, 1)},
    },
    "tiny_vit_5m_224": {
        **{"embed_dims": (8, 16, 16, 32), "depths": (1, 1, 1, 1)},
        **{"num_heads": (1, 2, 2, 2), "window_sizes": (2, 2, 2, 2)},
    },
    "efficientformer_l1": {"embed_dims": (8, 8, 16, 32), "depths": (1, 1, 1, 2), "num_vit": 1},
    "efficientformerv2_s0": {
        **{"img_size": 64, "embed_dims": (8, 8, 16, 32)},
        **{"depths": (1, 1, 1, 2), "num_vit": 1},
    },
    "efficientvit_m0": {
        **{"img_size": 64, "embed_dim": (16, 16, 32)},
        **{"depth": (1, 1, 1), "num_heads": (2, 2, 2)},
    },
}


def _classifier_of(network: nn.Module, side: int = 32) -> Classifier:
    with torch.no_grad():  # a fresh head is all zeros, and so are fresh attention biases
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return Classifier(network, Preprocessing(side=side)).eval()


@pytest.fixture(params=["vit", "resnet"])
def classifier(request: pytest.FixtureRequest) -> Classifier:
    torch.manual_seed(0)
    return _classifier_of(build_network(request.param, ARGUMENTS[request.param], 12, 32))


@pytest.fixture
def images() -> Images:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return Images(pixels, torch.arange(4), torch.zeros(4, dtype=torch.int64))


def _weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _assert_restored(network: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    for name, value in network.state_dict().items():
        assert torch.equal(value, weights[name]), name


def _both(classifier: Classifier, images: Images) -> Iterator[Outcome]:
    options = {"seeds": 2}
    yield from noise_outcomes(classifier, images, Setting(("gaussian",), 0.1, 7, options))
    yield from rounding_outcomes(classifier, images, Setting(("symmetric",), 3, 7))


def test_noise_of_size_0_is_the_classifier_itself(classifier: Classifier, images: Images) -> None:
    with torch.inference_mode():
        clean = classifier(images.pixels)
    setting = Setting(("gaussian",), 0, 7, {"seeds": 1})
    [outcome] = noise_outcomes(classifier, images, setting)
    assert torch.equal(outcome.logits, clean)


def test_noise_of_size_0_keeps_the_sign_of_zeros() -> None:
    layer = nn.Linear(4, 4)
    with torch.no_grad():
        layer.weight[:2] = torch.tensor([[-0.0], [0.0]])
    before = layer.weight.detach().clone()
    with with_noise(layer, 0, seed=1, sample=1):
        assert torch.equal(layer.weight.view(torch.int32), before.view(torch.int32))
    assert torch.equal(layer.weight.view(torch.int32), before.view(torch.int32))


def test_weights_are_the_same_bits_afterwards(classifier: Classifier, images: Images) -> None:
    weights = _weights(classifier.network)
    with torch.inference_mode():
        clean = classifier(images.pixels)
    for outcome in _both(classifier, images):
        assert not torch.equal(outcome.logits, clean)
        _assert_restored(classifier.network, weights)
    with pytest.raises(RuntimeError, match="stop"), with_noise(classifier, 0.1, seed=1, sample=1):
        raise RuntimeError("stop")
    _assert_restored(classifier.network, weights)


@pytest.mark.parametrize("name", KEEPING)
def test_no_changed_bias_stays_in_networks_that_keep_theirs(name: str) -> None:
    maker = find_maker(name)
    assert maker is not None
    torch.manual_seed(0)
    side = KEEPING[name].get("img_size", 224 if name == "efficientformer_l1" else 64)
    classifier = _classifier_of(maker(pretrained=False, num_classes=5, **KEEPING[name]), side)
    pixels = torch.rand(2, 3, side, side)
    biases = [w for n, w in classifier.named_parameters() if n.endswith("attention_biases")]
    assert biases
    assert all(weight.any() for weight in biases)

    def draw(sample: int) -> torch.Tensor:
        with with_noise(classifier.network, 0.5, seed=7, sample=sample):
            return classifier(pixels)

    with torch.inference_mode():
        # The first pass is a noisy one: with none before it, the biases that stay are noisy.
        first, clean, second = draw(2), classifier(pixels), draw(1)
        weights = _weights(classifier)
        assert torch.equal(draw(2), first)
        assert torch.equal(classifier(pixels), clean)
        assert torch.equal(draw(1), second)
        assert not torch.equal(first, second)
        fresh = maker(pretrained=False, num_classes=5, **KEEPING[name])
        fresh.load_state_dict(classifier.network.state_dict())
        assert torch.equal(Classifier(fresh, classifier.preprocessing).eval()(pixels), clean)
    _assert_restored(classifier, weights)
    assert not any(module.training for module in classifier.modules())


def test_modules_stay_in_the_mode_they_were_in() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()
    network[0].train()
    with with_noise(network, 0.1, seed=1, sample=1):
        assert [module.training for module in network.modules()] == [False, True, False]
    assert [module.training for module in network.modules()] == [False, True, False]


def test_noise_has_the_size_that_is_asked_for(classifier: Classifier) -> None:
    clean = _weights(classifier.network)
    with with_noise(classifier.network, 0.2, seed=7, sample=1):
        noisy = _weights(classifier.network)
    for name, weight in classifier.network.named_parameters():
        change, spread = noisy[name] - clean[name], weight.std(correction=0)
        if weight.numel() > 500:
            assert change.std().item() == pytest.approx(0.2 * spread.item(), rel=0.1), name
            assert change.mean().abs() < 0.03 * spread, name


def test_draws_differ_by_sample_and_seed_and_not_by_batch(
    classifier: Classifier, images: Images
) -> None:
    def logits(seed: int, pixels: torch.Tensor = images.pixels) -> list[torch.Tensor]:
        setting = Setting(("gaussian",), 0.1, seed, {"seeds": 2})
        part = Images(pixels, images.keys[: len(pixels)], images.targets[: len(pixels)])
        return [outcome.logits for outcome in noise_outcomes(classifier, part, setting)]

    first, second = logits(7)
    assert not torch.equal(first, second)
    assert not torch.equal(first, logits(8)[0])
    torch.testing.assert_close(logits(7, images.pixels[:2])[0], first[:2])


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
def test_rounded_weights_lie_on_a_grid_for_each_output_channel(
    classifier: Classifier, bits: int
) -> None:
    clean = _weights(classifier.network)
    with with_rounded_weights(classifier.network, bits):
        rounded = _weights(classifier.network)
    layers = {
        f"{name}.weight"
        for name, module in classifier.network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    }
    assert layers
    for name, weight in rounded.items():
        if name not in layers:
            assert torch.equal(weight, clean[name]), name
            continue
        rows, before = weight.flatten(1), clean[name].flatten(1)
        largest = before.abs().amax(dim=1, keepdim=True)
        torch.testing.assert_close(rows.abs().amax(dim=1, keepdim=True), largest)
        steps = rows / largest * (2 ** (bits - 1) - 1)
        torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)
        nearest = (before - rows).abs() <= largest / (2 ** (bits - 1) - 1) / 2 * 1.001
        assert nearest.all(), name


def test_a_channel_of_zeros_stays() -> None:
    layer = nn.Sequential(nn.Linear(3, 2))
    with torch.no_grad():
        layer[0].weight[0] = 0  # type: ignore[index]
    with with_rounded_weights(layer, 3):
        assert layer.state_dict()["0.weight"][0].tolist() == [0, 0, 0]


def test_noise_is_on_what_a_parametrised_weight_is_computed_from() -> None:
    network = nn.Sequential(weight_norm(nn.Linear(3, 2, bias=False)))
    before = network[0].weight.detach().clone()
    with with_noise(network, 0.5, seed=1, sample=1):
        assert (network[0].weight != before).all()
    assert torch.equal(network[0].weight, before)


def test_weights_that_cannot_be_rounded_are_named() -> None:
    network = nn.Sequential(nn.Linear(3, 3), weight_norm(nn.Linear(3, 2)))
    with pytest.raises(ValueError, match=r"layer '1' of Sequential has no parameter `weight`; all"):
        with_rounded_weights(network, 4)
    with pytest.raises(ValueError, match="LayerNorm has no linear layer and no convolution"):
        with_rounded_weights(nn.LayerNorm(3), 4)


def test_a_weight_that_layers_share_is_rounded() -> None:
    network = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5))
    network[0].weight = network[1].weight  # type: ignore[assignment]
    before = network[1].weight.detach().clone()
    with with_rounded_weights(network, 2):
        assert not torch.equal(network[1].weight, before)


def test_changed_weights_are_seen_in_bfloat16(classifier: Classifier, images: Images) -> None:
    """Autocast keeps weights in another precision: those of the change, not older ones."""
    with torch.inference_mode(), autocast("bfloat16", CPU):
        clean = classifier(images.pixels)
        for outcome in _both(classifier, images):
            assert not torch.equal(outcome.logits, clean)
        assert torch.equal(classifier(images.pixels), clean)


def test_a_negative_size_of_noise_is_named(classifier: Classifier, images: Images) -> None:
    with pytest.raises(ValueError, match=r"scale of weight_noise is -0\.1"):
        list(noise_outcomes(classifier, images, Setting(("gaussian",), -0.1, 7)))


@pytest.mark.parametrize(
    ("bits", "message"),
    [(1, "bits of weight_rounding is 1; allowed: a whole number, 2 to 16"), (2.5, "whole")],
)
def test_mistakes_in_rounding_are_named(
    classifier: Classifier, images: Images, bits: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        list(rounding_outcomes(classifier, images, Setting(("symmetric",), bits, 7)))
