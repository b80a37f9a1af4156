"""Compiled passes: equal logits, and no compiled pass of a changed network."""

import pytest
import torch
from torch import Tensor

from perturb.experiments.attacks.gradients import pgd
from perturb.experiments.lesions.surgery import without
from perturb.experiments.restricted_attention.attention import with_attention
from perturb.models.anatomy import anatomy
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.compiled import CompiledClassifier
from perturb.models.precision import autocast

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
