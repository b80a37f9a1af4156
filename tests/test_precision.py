"""bfloat16 inside networks, float32 for pixels, updates and all that follows from logits."""

import copy
import itertools
import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Setting
from perturb.experiments.attacks.gradients import frozen, loss_and_gradient, pgd
from perturb.experiments.lesions.surgery import without
from perturb.experiments.registry import FOLDER, perturbations
from perturb.experiments.registry import evaluator as evaluator_of
from perturb.experiments.registry import perturbation as perturbation_of
from perturb.experiments.restricted_attention.attention import with_attention
from perturb.experiments.weight_perturbation.weights import with_noise, with_rounded_weights
from perturb.models.anatomy import anatomy
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.compiled import CompiledClassifier
from perturb.models.precision import (
    autocast,
    check_native,
    exact_values,
    float32,
    hold_in_bfloat16,
    holds_bfloat16,
    resolve_precision,
    weights_in,
)
from perturb.models.precisions import PRECISIONS
from perturb.models.zoo import build_timm_network
from perturb.random import stream_keys, uniform
from perturb.severities import severity_id, severity_value

CPU = torch.device("cpu")
ARGUMENTS = {
    "vit": {"patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 2, "mlp_ratio": 2},
    "resnet": {"layers": [2, 2], "channels": [16, 32], "num_groups": 4, "stem_channels": 8},
}


def _classifier(family: str) -> Classifier:
    torch.manual_seed(1)
    network = build_network(family, ARGUMENTS[family], 12, 32)
    with torch.no_grad():  # a fresh head is all zeros
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return Classifier(network, Preprocessing(side=32)).eval()


def _images(classifier: Classifier, count: int = 6) -> Images:
    keys = torch.arange(count)
    pixels = uniform(stream_keys(1, "pixels", keys), 3 * 32 * 32).reshape(count, 3, 32, 32)
    pixels = (pixels * 256).to(torch.uint8)
    return Images(pixels, keys, classifier(pixels).argmax(dim=1))


def _settings() -> dict[str, tuple[float, dict[str, Any]]]:
    """Return severity and options of the golden numbers of each perturbation."""
    found = {"corruptions": (3.0, dict[str, Any]())}
    for path in FOLDER.glob("*/golden.json"):
        for name, golden in json.loads(path.read_text()).items():
            is_alone = name in perturbations() and name != "transfer"  # which takes two models
            if is_alone and path.parent.name != "corruptions":
                severity = severity_value(severity_id(golden["severity"]))
                found[name] = severity, golden["options"]
    return found


SETTINGS = _settings()
CASES = [("vit", name) for name in SETTINGS] + [
    ("resnet", name)
    for name in SETTINGS
    if name == "lesions" or perturbation_of(name).lacks is None
]


@pytest.mark.parametrize("rough_precision", ["bfloat16", "pure_bfloat16"])
@pytest.mark.parametrize(("family", "name"), CASES)
def test_every_perturbation_runs_in_bfloat16(family: str, name: str, rough_precision: str) -> None:
    """Logits are near those of float32, not the same, and the attacks' columns are float32."""
    classifier = _classifier(family)
    images = _images(classifier)
    severity, options = SETTINGS[name]
    conditions = perturbation_of(name).conditions or tuple(options["classes"])
    if family == "resnet" and name == "lesions":
        conditions = ("block",)
    conditions = ("fog", "gaussian_noise") if name == "corruptions" else conditions
    setting = Setting(conditions, severity, 2021, options)
    found = []
    for precision in ("float32", rough_precision):
        with autocast(precision, CPU), weights_in(precision, classifier.network):
            found.append(list(evaluator_of(name)(classifier, images, setting)))
    for exact, rough in zip(*found, strict=True):
        assert (exact.condition, exact.sample) == (rough.condition, rough.sample)
        scale = exact.logits.std()
        difference = (exact.logits - rough.logits.float()).abs().mean() / scale
        # Steps along signs and searches may end elsewhere; the others only see rounding.
        is_search = name in ("fgsm", "pgd", "attack_ensemble", "spatial")
        assert 0 < difference < (1.5 if is_search else 0.1), difference
        for value in rough.added.values():
            assert isinstance(value, str) or value.dtype != torch.bfloat16


@pytest.mark.parametrize("corruption", perturbation_of("corruptions").conditions)
def test_corrupted_pixels_do_not_depend_on_the_precision(corruption: str) -> None:
    seen: list[Tensor] = []

    class Watching(Classifier):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(images)
            return super().forward(images)

    plain = _classifier("vit")
    images = _images(plain)
    classifier = Watching(plain.network, plain.preprocessing).eval()
    for precision in ("float32", "bfloat16"):
        with autocast(precision, CPU):
            list(evaluator_of("corruptions")(classifier, images, Setting((corruption,), 3, 1, {})))
    assert torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("precision", ["bfloat16", "pure_bfloat16"])
@pytest.mark.parametrize("family", ARGUMENTS)
def test_attack_in_bfloat16_keeps_its_ball_and_its_pixels(family: str, precision: str) -> None:
    classifier = _classifier(family)
    images = _images(classifier)
    clean = images.pixels.float() / 255
    with autocast(precision, CPU), weights_in(precision, classifier.network):
        adversarial = pgd(classifier, clean, images.targets, 1 / 255, steps=8)
        with frozen(classifier):
            logits, losses, gradient = loss_and_gradient(
                classifier, clean, lambda logits: logits.logsumexp(dim=1)
            )
    assert adversarial.dtype == logits.dtype == losses.dtype == gradient.dtype == torch.float32
    distance = (adversarial.double() - clean.double()).abs().max().item()
    assert 0 < distance <= 1 / 255
    # Steps of an eighth of a gray level would vanish in bfloat16 near white.
    steps = ((adversarial - clean) * 255 * 8).round().unique()
    assert len(steps) > 3
    assert all(weight.grad is None for weight in classifier.parameters())
    with frozen(classifier):
        exact = loss_and_gradient(classifier, clean, lambda logits: logits.logsumexp(dim=1))[2]
    likeness = nn.functional.cosine_similarity(gradient.flatten(1), exact.flatten(1))
    # The norms of a narrow ResNet compute with few bits, too.
    is_rough = (family, precision) == ("resnet", "pure_bfloat16")
    assert likeness.min() > (0.8 if is_rough else 0.9)
    assert not torch.equal(gradient, exact)


@pytest.mark.parametrize("precision", ["bfloat16", "pure_bfloat16"])
@pytest.mark.parametrize("family", ARGUMENTS)
def test_weights_stay_as_they_are(family: str, precision: str) -> None:
    classifier = _classifier(family)
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    storages = {name: value.data_ptr() for name, value in classifier.state_dict().items()}

    def fail() -> None:
        with autocast(precision, CPU), weights_in(precision, classifier.network):
            classifier(_images(classifier).pixels)
            with with_noise(classifier.network, 0.1, seed=1, sample=1):
                classifier(_images(classifier).pixels)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    for name, value in classifier.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name])
        assert value.data_ptr() == storages[name]
    assert not holds_bfloat16(classifier.network)


@pytest.mark.parametrize("family", ARGUMENTS)
def test_all_is_bfloat16_in_pure_bfloat16_but_pixels_and_the_last_layer(family: str) -> None:
    classifier = _classifier(family)
    body = anatomy(classifier.network)
    heads = set(classifier.network.get_classifier().parameters())  # type: ignore[operator]
    hold_in_bfloat16(classifier.network)
    for weight in classifier.network.parameters():
        assert (weight.dtype == torch.float32) == (weight in heads)
    activations = body.embed(classifier, _images(classifier).pixels)
    for block in body.blocks:
        assert activations.dtype == torch.bfloat16
        activations = block(activations)
    assert body.head(activations).dtype == torch.float32


def test_noise_is_on_the_float32_values_of_weights() -> None:
    """Noise on bfloat16 weights would vanish, or be as coarse as their own rounding."""
    network = _classifier("vit").network
    exact = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    with with_noise(network, 1e-3, seed=1, sample=1):
        noisy = {name: weight.bfloat16() for name, weight in network.named_parameters()}
    with with_rounded_weights(network, 4):
        rounded = {name: weight.bfloat16() for name, weight in network.named_parameters()}
    hold_in_bfloat16(network)
    held = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    for name, value in exact_values(network).items():
        assert torch.equal(value, exact[name])
    for statement, expected in (
        (with_noise(network, 0, seed=1, sample=1), held),
        (with_noise(network, 1e-3, seed=1, sample=1), noisy),
        (with_rounded_weights(network, 4), rounded),
    ):
        with statement:
            for name, weight in network.named_parameters():
                assert torch.equal(weight.bfloat16(), expected[name].bfloat16()), name
        for name, weight in network.named_parameters():
            assert torch.equal(weight, held[name])


@torch.inference_mode()
def test_no_copy_of_weights_stays_in_networks_that_keep_them() -> None:
    """LeViT keeps its attention biases, which weights of another precision make again."""
    network = build_timm_network("levit_128s", 5, 224)
    classifier = Classifier(network, Preprocessing(224)).eval()
    pixels = torch.rand(1, 3, 224, 224)
    clean = classifier(pixels)
    with weights_in("pure_bfloat16", network):
        rough = classifier(pixels)
    assert 0 < (rough - clean).abs().mean() < 0.1 * clean.std()
    assert torch.equal(classifier(pixels), clean)


@torch.inference_mode()
@pytest.mark.parametrize("precision", ["bfloat16", "pure_bfloat16"])
@pytest.mark.parametrize("family", ARGUMENTS)
def test_logits_are_not_rounded_to_bfloat16(family: str, precision: str) -> None:
    """Stage by stage they are the same; names of weights and a copy's logits are too."""
    classifier = _classifier(family)
    pixels = _images(classifier).pixels
    body = anatomy(classifier.network)
    names = set(build_network(family, ARGUMENTS[family], 12, 32).state_dict())
    assert set(classifier.network.state_dict()) == names
    head = classifier.network.get_classifier()  # type: ignore[operator]
    seen: list[Tensor] = []
    with autocast(precision, CPU), weights_in(precision, classifier.network):
        handle = head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        logits = classifier(pixels)
        handle.remove()
        staged = body.head(body.run(body.embed(classifier, pixels)))
        copied = copy.deepcopy(classifier)(pixels)
        compiled = CompiledClassifier(classifier, backend="eager")(pixels)
    assert logits.dtype == torch.float32
    assert (logits != logits.bfloat16()).float().mean() > 0.9
    assert torch.equal(staged, logits)
    assert torch.equal(copied, logits)
    assert torch.equal(compiled, logits)
    features, weight = seen[0].float().flatten(1), head.weight.flatten(1)
    assert torch.allclose(logits, features @ weight.T + head.bias, atol=1e-5)
    assert not torch.equal(logits, classifier(pixels))  # the rest is in bfloat16


@torch.inference_mode()
@pytest.mark.parametrize(
    "name",
    ["deit_tiny_distilled_patch16_224", "mobilenetv3_small_050", "crossvit_tiny_240"],
)
def test_heads_of_other_kinds_are_exact(name: str) -> None:
    """Two heads, a layer of timm's own, a list of heads."""
    side = 240 if name.startswith("crossvit") else 32
    network = build_timm_network(name, 12, side)
    for parameter in network.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.1)
    classifier = Classifier(network, Preprocessing(side)).eval()
    with autocast("bfloat16", CPU):
        logits = classifier(torch.rand(2, 3, side, side))
    assert logits.dtype == torch.float32
    assert (logits != logits.bfloat16()).float().mean() > 0.8


def test_masks_and_lesions_act_in_bfloat16() -> None:
    """The fused kernel takes the mask; none may be ignored in silence."""
    classifier = _classifier("vit")
    images = _images(classifier)
    mask = torch.eye(17, dtype=torch.bool)
    mask[0] = True
    with torch.inference_mode(), autocast("bfloat16", CPU):
        whole = classifier(images.pixels).float()
        with with_attention(classifier, mask):
            restricted = classifier(images.pixels).float()
        with without(classifier, [1], "attention"):
            damaged = classifier(images.pixels).float()
    with torch.inference_mode(), with_attention(classifier, mask):
        exact = classifier(images.pixels)
    assert (restricted - whole).abs().mean() > 5 * (restricted - exact).abs().mean()
    assert (damaged - whole).abs().mean() > 5 * (restricted - exact).abs().mean()


def test_nothing_is_left_behind() -> None:
    product = torch.ones(2, 2)
    with autocast("bfloat16", CPU):
        assert (product @ product).dtype == torch.bfloat16
        with float32(CPU):
            assert (product @ product).dtype == torch.float32
    assert (product @ product).dtype == torch.float32


@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_tf32_on_cuda(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """float32 is float32: the flags are global, so they must also be put back after an error."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: torch.no_grad())
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32

    def fail() -> None:
        with autocast(precision, torch.device("cuda")):
            assert (cudnn.allow_tf32, matmul.allow_tf32) == (False, False)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (cudnn.allow_tf32, matmul.allow_tf32) == before


@pytest.mark.parametrize(
    ("precision", "device", "is_native", "expected"),
    [
        ("auto", "cpu", True, "float32"),
        ("auto", "cuda", True, "bfloat16"),
        ("auto", "cuda", False, "float32"),
        ("bfloat16", "cpu", False, "bfloat16"),
        ("float32", "cuda", True, "float32"),
        ("pure_bfloat16", "cpu", False, "pure_bfloat16"),
    ],
)
def test_auto_is_bfloat16_where_it_is_native(
    precision: str,
    device: str,
    is_native: bool,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: is_native)
    assert resolve_precision(precision, torch.device(device)) == expected


def test_auto_follows_the_weights_that_were_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    network, cuda = _classifier("vit").network, torch.device("cuda")
    assert resolve_precision("auto", cuda, network) == "bfloat16"
    with pytest.raises(ValueError, match="'pure_bfloat16', but the weights were loaded in float32"):
        resolve_precision("pure_bfloat16", cuda, network)
    hold_in_bfloat16(network)
    assert resolve_precision("auto", cuda, network) == "pure_bfloat16"
    with pytest.raises(ValueError, match="'bfloat16', but the weights were loaded in bfloat16"):
        resolve_precision("bfloat16", cuda, network)


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision is 'float16'; allowed: auto, float32, bfloat"):
        resolve_precision("float16", CPU)
    with (
        pytest.raises(ValueError, match="precision is 'auto'; allowed: float32, bfloat16"),
        autocast("auto", CPU),
    ):
        pass


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("family", ["vit", "resnet"])
def test_precisions_agree_on_cuda(family: str) -> None:
    device = torch.device("cuda")
    classifier = _classifier(family)
    pixels = _images(classifier).pixels
    with torch.inference_mode():
        wanted = classifier(pixels)
        classifier.to(device)
        with autocast("float32", device):
            exact = classifier(pixels.to(device)).cpu()
        with autocast("bfloat16", device):
            rough = classifier(pixels.to(device)).float().cpu()
    assert (exact - wanted).abs().max() < 1e-4 * wanted.abs().max()
    difference = (rough - wanted).abs().mean() / wanted.std()
    assert 0 < difference < 0.1
    assert math.isfinite(difference)


def test_a_gpu_that_would_emulate_bfloat16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Old GPU")
    gpu = torch.device("cuda")
    for precision in ("bfloat16", "pure_bfloat16"):
        with pytest.raises(ValueError, match=f"{precision}.*Old GPU.*allowed here: float32"):
            check_native(precision, gpu)
        check_native(precision, torch.device("cpu"))
    check_native("float32", gpu)


def test_memory_that_runs_out_leaves_the_weights_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = _classifier("vit").network
    before = {name: (tensor.dtype, tensor.clone()) for name, tensor in network.named_parameters()}
    real, count = torch.Tensor.to, itertools.count()

    def to(tensor: torch.Tensor, *arguments: object) -> torch.Tensor:
        if next(count) == 3:
            raise torch.OutOfMemoryError("no memory")
        return real(tensor, *arguments)

    monkeypatch.setattr(torch.Tensor, "to", to)
    with pytest.raises(torch.OutOfMemoryError), weights_in("pure_bfloat16", network):
        pass
    monkeypatch.undo()
    for name, tensor in network.named_parameters():
        assert (tensor.dtype, True) == (before[name][0], torch.equal(tensor, before[name][1]))
