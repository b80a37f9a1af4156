"""Compiled passes: equal logits, and no compiled pass of a changed network."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perturb.experiments.attacks.gradients import pgd
from perturb.experiments.lesions.surgery import without
from perturb.experiments.restricted_attention.attention import with_attention
from perturb.experiments.weight_perturbation.weights import with_noise
from perturb.models.anatomy import anatomy
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.compiled import CompiledClassifier, padded_size
from perturb.models.precision import autocast, hold_in_bfloat16

ARGUMENTS = {"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2}


@pytest.fixture(scope="module")
def plain() -> Classifier:
    torch.manual_seed(1)
    network = build_network("vit", ARGUMENTS, 12, 32)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return Classifier(network, Preprocessing(32, mean=(0.4, 0.5, 0.6))).eval()


@pytest.fixture(scope="module")
def compiled(plain: Classifier) -> Classifier:
    return CompiledClassifier(plain, backend="eager")


def _pixels(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("count", [4, 1, 3])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_logits_are_those_of_the_plain_classifier(
    count: int, precision: str, plain: Classifier, compiled: Classifier
) -> None:
    with torch.inference_mode(), autocast(precision, torch.device("cpu")):
        wanted, found = plain(_pixels(count)), compiled(_pixels(count))
    assert found.dtype == wanted.dtype
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_it_is_the_same_network(plain: Classifier, compiled: Classifier) -> None:
    assert compiled.network is plain.network
    assert anatomy(compiled.network).num_blocks == 2
    assert [name for name, _ in compiled.named_parameters()] == [
        name for name, _ in plain.named_parameters()
    ]
    assert not compiled.training


def test_changes_of_the_network_act(plain: Classifier, compiled: Classifier) -> None:
    pixels, mask = _pixels(4), torch.eye(17, dtype=torch.bool)
    mask[0] = True
    with torch.inference_mode():
        whole = compiled(pixels)
        with without(compiled, [1]):
            assert torch.equal(compiled(pixels), plain(pixels))
            assert not torch.allclose(compiled(pixels), whole, atol=1e-3)
        with with_attention(compiled, mask):
            assert torch.equal(compiled(pixels), plain(pixels))
            assert not torch.allclose(compiled(pixels), whole, atol=1e-3)
        assert torch.equal(compiled(pixels), whole)


def test_changed_weights_act_in_compiled_passes(plain: Classifier, compiled: Classifier) -> None:
    pixels = _pixels(4)
    with torch.inference_mode():
        whole = compiled(pixels)
        with with_noise(compiled.network, 0.1, seed=1, sample=1):
            assert torch.allclose(compiled(pixels), plain(pixels), rtol=1e-4, atol=1e-5)
            assert not torch.allclose(compiled(pixels), whole, atol=1e-3)
        assert torch.equal(compiled(pixels), whole)


def test_batches_have_few_sizes() -> None:
    sizes = {largest: [padded_size(n + 1, largest) for n in range(largest)] for largest in (7, 250)}
    assert sorted(set(sizes[250])) == [16, 32, 64, 128, 250]
    assert sizes[250] == sorted(sizes[250])
    assert all(size >= count for count, size in enumerate(sizes[250], start=1))
    assert set(sizes[7]) == {7}


class _Counting:
    """A backend of `torch.compile` that counts the graphs that it is given."""

    def __init__(self) -> None:
        self.num_graphs = 0

    def __call__(self, graph: Any, _: object) -> Callable[..., Any]:
        self.num_graphs += 1
        forward: Callable[..., Any] = graph.forward
        return forward


NETWORKS: dict[str, dict[str, Any]] = {
    "vit": ARGUMENTS | {"depth": 1},
    "resnet": {"layers": [1], "channels": [16], "num_groups": 4, "stem_channels": 8},
}
SIZES = (256, 250, 128, 77, 40, 17, 16, 3, 1, 256)


def _dense(family: str) -> Classifier:
    torch.manual_seed(1)
    network = build_network(family, NETWORKS[family], 12, 32)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
            parameter.requires_grad_(False)
    return Classifier(network, Preprocessing(32)).eval()


@torch.inference_mode()
@pytest.mark.parametrize("precision", ["float32", "pure_bfloat16"])
@pytest.mark.parametrize("family", NETWORKS)
def test_fewer_images_are_no_reason_to_compile_again(family: str, precision: str) -> None:
    """The padding changes no logits, and adds none."""
    backend, plain = _Counting(), _dense(family)
    if precision == "pure_bfloat16":
        hold_in_bfloat16(plain.network)
    compiled = CompiledClassifier(plain, backend)
    for count in SIZES:
        wanted, found = plain(_pixels(count)), compiled(_pixels(count))
        assert found.shape == wanted.shape
        assert torch.allclose(
            found, wanted, rtol=1e-4, atol=1e-5 if precision == "float32" else 1e-2
        )
    # Full batches, and all others; at most one for each size of a padded batch.
    assert backend.num_graphs == 2 < len({padded_size(count, 256) for count in SIZES})


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize("family", NETWORKS)
def test_gradients_of_padded_batches_are_those_of_the_images(family: str) -> None:
    backend, plain = _Counting(), _dense(family)
    compiled = CompiledClassifier(plain, backend)
    for number, count in enumerate(SIZES):
        # An attack's pixels are in either memory format.
        layout = torch.channels_last if number % 2 else torch.contiguous_format
        pixels = (_pixels(count).float() / 255).contiguous(memory_format=layout).requires_grad_()
        wanted, found = (
            torch.autograd.grad(model(pixels).logsumexp(dim=1).sum(), pixels)[0]
            for model in (plain, compiled)
        )
        assert found.shape == pixels.shape
        assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-6)
    assert backend.num_graphs == 2


@torch.inference_mode()
def test_the_networks_of_a_job_are_all_compiled() -> None:
    """Dynamo compiles eight graphs of one function, and then silently no more."""
    backend = _Counting()
    for depth in range(1, 10):
        layers = [nn.Conv2d(3, 3, 1) for _ in range(depth)]
        network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        classifier = Classifier(network, Preprocessing(32), num_classes=3).eval()
        CompiledClassifier(classifier, backend)(_pixels(2))
        assert backend.num_graphs == depth


# Dynamo looks for it, and hides the warning from all but those who make errors of warnings.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_gradients_pass(plain: Classifier, compiled: Classifier) -> None:
    pixels = _pixels(4).float() / 255
    targets = torch.arange(4)
    attacked = [pgd(model, pixels, targets, 4 / 255, steps=2) for model in (plain, compiled)]
    assert not torch.equal(attacked[0], pixels)
    assert torch.allclose(*attacked, atol=1e-3)


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_compilation_on_cuda(plain: Classifier) -> None:
    device = torch.device("cuda")
    pixels = _pixels(4).to(device)
    classifier = plain.to(device)
    with torch.inference_mode():
        difference = CompiledClassifier(classifier)(pixels) - classifier(pixels)
    plain.cpu()
    assert difference.abs().max() < 1e-3
