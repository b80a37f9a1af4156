"""The library's functions on plain modules, against plain torch and the evaluators of a study."""

import re
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import perturb
from perturb.experiments.attacks import gradients
from perturb.experiments.corruptions import corruptions
from perturb.experiments.layer_correlations.similarity import correlate_layers
from perturb.experiments.spatial.transforms import transform
from perturb.library.arrays import as_keys
from perturb.models.classifier import Classifier, Preprocessing
from tests.plain_models import (
    NUM_CLASSES,
    Normalise,
    predicted,
    small_cnn,
    small_vit,
    some_images,
    wrapped_vit,
)

IDS = [f"{number}.png" for number in range(8)]
EPSILON = 8 / 255


@pytest.fixture
def images() -> Tensor:
    return some_images()


@pytest.fixture
def model() -> nn.Module:
    return small_cnn()


@pytest.fixture
def targets(model: nn.Module, images: Tensor) -> Tensor:
    """Return the predictions with two wrong ones, so that most images are attacked."""
    classes = predicted(model, images)
    classes[::4] = (classes[::4] + 1) % NUM_CLASSES
    return classes


@pytest.mark.parametrize("corruption", ["gaussian_noise", "fog", "frost", "pixelate"])
def test_corruptions_are_those_of_a_study_for_any_kind_of_images(
    images: Tensor, corruption: str
) -> None:
    keys = torch.tensor([perturb.image_key(id) for id in IDS])
    expected = corruptions.corrupt(images, corruption, 3, keys, 2021)
    for given in (IDS, keys, keys.numpy(), keys.tolist()):
        assert torch.equal(perturb.corrupt(images, corruption, 3, given), expected)
    array = perturb.corrupt(images.numpy(), corruption, 3, IDS)
    assert isinstance(array, np.ndarray)
    assert np.array_equal(array, expected.numpy())
    floats = perturb.corrupt(images.float() / 255, corruption, 3, IDS)
    assert torch.equal(floats, expected.float() / 255)
    doubles = perturb.corrupt(images.numpy() / 255, corruption, 3, IDS)
    assert doubles.dtype == np.float32
    assert np.array_equal(doubles, floats.numpy())


def test_draws_without_keys_depend_on_the_image_alone(images: Tensor) -> None:
    whole = perturb.corrupt(images, "gaussian_noise", 3)
    assert torch.equal(perturb.corrupt(images[2:5], "gaussian_noise", 3), whole[2:5])
    assert torch.equal(perturb.corrupt(images.flip(0), "gaussian_noise", 3).flip(0), whole)
    other = perturb.corrupt(images, "gaussian_noise", 3, seed=1)
    assert not torch.equal(other, whole)
    assert len(as_keys(None, images).unique()) == len(images)


def test_severity_0_and_the_jpeg_pass(images: Tensor) -> None:
    assert torch.equal(perturb.corrupt(images, "fog", 0), images)
    expected = corruptions.jpeg_pass(images, 85)
    assert torch.equal(perturb.corrupt(images, "fog", 0, jpeg_quality=85), expected)


def test_fgsm_is_a_step_along_the_sign_of_the_gradient(
    model: nn.Module, images: Tensor, targets: Tensor
) -> None:
    pixels = (images.float() / 255).requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(pixels), targets), pixels)
    expected = (pixels.detach() + EPSILON * gradient.sign()).clamp(0, 1)
    adversarial = perturb.fgsm(model, images, targets, EPSILON)
    torch.testing.assert_close(adversarial, expected, atol=1e-6, rtol=0)
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())


def test_attacks_take_arrays_and_lists(model: nn.Module, images: Tensor, targets: Tensor) -> None:
    expected = perturb.pgd(model, images.float() / 255, targets, EPSILON)
    for pixels in (images.numpy(), images.numpy() / 255):
        found = perturb.pgd(model, pixels, targets.tolist(), EPSILON)
        assert isinstance(found, np.ndarray)
        assert np.array_equal(found, expected.numpy())


@pytest.mark.parametrize("attack", ["fgsm", "pgd", "attack_ensemble"])
def test_attacked_images_are_those_behind_the_rows(
    model: nn.Module, images: Tensor, targets: Tensor, attack: str
) -> None:
    few = {"steps": 3, "queries": 5} if attack == "attack_ensemble" else {}
    rows = perturb.evaluate(model, (images, targets), attack, EPSILON, image_ids=IDS, **few)
    rows = rows[rows["condition"] == rows["condition"].iloc[-1]]
    keys = {} if attack == "fgsm" else {"keys": IDS}
    adversarial = getattr(perturb, attack)(model, images, targets, EPSILON, **keys, **few)
    # A study does not attack images that are misclassified without a change.
    attacked = (predicted(model, images) == targets).numpy()
    with torch.inference_mode():
        classes = model(adversarial).argmax(dim=1).numpy()
    assert np.array_equal(rows["prediction"][attacked], classes[attacked])
    distance = (adversarial - images.float() / 255).abs().amax(dim=(1, 2, 3)).numpy()
    assert np.array_equal(rows["distance"].to_numpy()[attacked], distance[attacked])
    assert (classes != targets.numpy())[attacked].sum() > 0
    assert distance.max() <= EPSILON


def test_the_standard_set_and_the_l2_ball(
    model: nn.Module, images: Tensor, targets: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of a study are those of the same images, which stay in the ball."""
    budget = {"steps": 4, "restarts": 1, "targets": 9, "queries": 6}  # the standard takes minutes
    for module in ("perturb.experiments.attacks.budgets", "perturb.library.attacks"):
        monkeypatch.setattr(f"{module}.STANDARD", budget)
    for norm, name, epsilon in (
        ("Linf", "attack_ensemble", EPSILON),
        ("L2", "attack_ensemble_l2", 1.5),
    ):
        rows = perturb.evaluate(
            model, (images, targets), name, epsilon, image_ids=IDS, standard=True
        )
        assert list(dict.fromkeys(rows["condition"])) == ["apgd_ce", "apgd_dlr", "fab", "square"]
        rows = rows[rows["condition"] == "square"]
        adversarial = perturb.attack_ensemble(
            model, images, targets, epsilon, norm=norm, standard=True, keys=IDS
        )
        attacked = (predicted(model, images) == targets).numpy()
        with torch.inference_mode():
            classes = model(adversarial).argmax(dim=1).numpy()
        assert np.array_equal(rows["prediction"][attacked], classes[attacked])
        assert (classes != targets.numpy())[attacked].sum() > 0
        moves = (adversarial - images.float() / 255).flatten(1)
        length = moves.norm(dim=1) if norm == "L2" else moves.abs().amax(dim=1)
        assert length.max() <= epsilon
        expected = length.numpy()[attacked]
        assert rows["distance"].to_numpy()[attacked] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"standard": True, "steps": 100, "queries": 7}, "`standard`, steps 100, queries 7 given"),
        ({"norm": "L1"}, "norm is 'L1'; allowed: Linf, L2"),
        ({"norm": ["L2"]}, "norm is ['L2']; allowed: Linf, L2"),
        ({"standard": "no"}, "standard is 'no'; allowed: True, False"),
        ({"norm": "L2", "epsilon": -1.0}, "epsilon is -1.0; allowed: a number from 0 to 55.43, in"),
        ({"norm": "L2", "epsilon": 55.5}, "epsilon is 55.5; allowed: a number from 0 to 55.43, in"),
        ({"epsilon": 1.5}, "epsilon is 1.5; allowed: a number from 0 to 1"),
    ],
)
def test_wrong_options_of_the_ensemble_are_named(
    model: nn.Module, images: Tensor, targets: Tensor, options: dict[str, Any], message: str
) -> None:
    given: dict[str, Any] = {"epsilon": EPSILON} | options
    with pytest.raises(ValueError, match=re.escape(message)):
        perturb.attack_ensemble(model, images, targets, **given)


@pytest.mark.parametrize("name", ["steps", "restarts", "num_targets", "queries"])
@pytest.mark.parametrize("value", [0, 1.5])
def test_a_wrong_budget_is_named_where_no_image_is_left(
    model: nn.Module, images: Tensor, targets: Tensor, name: str, value: float
) -> None:
    wrong = (predicted(model, images) + 1) % NUM_CLASSES
    for classes in (targets, wrong):
        with pytest.raises(ValueError, match=f"{name} is {value}; allowed: a whole number of 1"):
            perturb.attack_ensemble(model, images, classes, EPSILON, **{name: value})  # type: ignore[arg-type]


def test_one_class_is_attacked_by_what_needs_no_other(
    images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = {"steps": 2, "restarts": 1, "targets": 9, "queries": 2}
    monkeypatch.setattr("perturb.library.attacks.STANDARD", budget)
    model, targets = small_cnn(1), torch.zeros(len(images), dtype=torch.int64)
    adversarial = perturb.attack_ensemble(model, images, targets, EPSILON, standard=True)
    assert (adversarial - images.float() / 255).abs().max() <= EPSILON


def test_random_starts_depend_on_key_and_seed(
    model: nn.Module, images: Tensor, targets: Tensor
) -> None:
    def attacked(**options: object) -> Tensor:
        return perturb.pgd(model, images, targets, EPSILON, random_start=True, **options)  # type: ignore[arg-type]

    keys = torch.tensor([perturb.image_key(id) for id in IDS])
    expected = gradients.pgd(
        model, images.float() / 255, targets, EPSILON, random_start=True, keys=keys, seed=2021
    )
    assert torch.equal(attacked(keys=IDS), expected)
    assert not torch.equal(attacked(keys=IDS, seed=1), expected)
    assert torch.equal(attacked(), attacked())


def test_epsilon_0_is_the_image_itself(model: nn.Module, images: Tensor, targets: Tensor) -> None:
    for attack in (perturb.fgsm, perturb.pgd, perturb.attack_ensemble):
        assert torch.equal(attack(model, images, targets, 0), images.float() / 255)


def test_two_classes_are_attacked_without_the_dlr_loss(images: Tensor) -> None:
    model = small_cnn(2)
    targets = predicted(model, images)
    adversarial = perturb.attack_ensemble(model, images, targets, EPSILON, steps=2, queries=2)
    assert (adversarial - images.float() / 255).abs().max() <= EPSILON
    rows = perturb.evaluate(
        model, (images, targets), "attack_ensemble", "8/255", steps=2, queries=2
    )
    assert list(rows["condition"].unique()) == ["apgd_ce", "square"]


def test_the_worst_transform_is_the_first_that_misleads(
    model: nn.Module, images: Tensor, targets: Tensor
) -> None:
    points = perturb.spatial_grid(32, rotations=3, translations=3)
    worst = perturb.worst_spatial(model, images.numpy(), targets, points)
    wrong = torch.stack(
        [model(transform(images, *point)).argmax(dim=1) != targets for point in points]
    )
    assert torch.equal(worst.is_broken, wrong.any(dim=0))
    first = wrong.int().argmax(dim=0)
    assert torch.equal(worst.transform[worst.is_broken], first[worst.is_broken])
    assert worst.logits.shape == (8, NUM_CLASSES)
    whole = perturb.worst_spatial(model, images[:2], targets[:2])
    assert whole.is_broken.any()


@pytest.mark.parametrize("part", ["block", "mlp", "attention"])
def test_removed_layers_are_left_out_of_the_sum(images: Tensor, part: str) -> None:
    model, network = wrapped_vit()
    pixels = images.float() / 255
    with torch.inference_mode():
        before = model(pixels)
        tokens = network._pos_embed(network.patch_embed(Normalise()(pixels)))
        for index, block in enumerate(network.blocks):
            if index != 2 or part == "mlp":
                tokens = tokens + block.attn(block.norm1(tokens))
            if index != 2 or part == "attention":
                tokens = tokens + block.mlp(block.norm2(tokens))
        expected = network.forward_head(network.norm(tokens))
        with perturb.without(model, [2], part) as changed:
            assert changed is model
            torch.testing.assert_close(model(pixels), expected)
        assert torch.equal(model(pixels), before)


def test_a_model_is_the_same_object_of_the_same_classes_afterwards(images: Tensor) -> None:
    model, _ = wrapped_vit()
    kinds = [type(module) for module in model.modules()]
    with perturb.without(model, [1]):
        pass
    perturb.evaluate(model, (images, [0] * 8), "lesions", 1)
    assert [type(module) for module in model.modules()] == kinds
    assert not any(module._forward_hooks for module in model.modules())


def test_masks_restrict_attention_as_in_a_study(images: Tensor) -> None:
    model, _ = wrapped_vit()
    layout = perturb.token_layout(model)
    assert (layout.grid, layout.num_prefix, layout.num_tokens) == ((4, 4), 1, 17)
    mask = perturb.window_mask(layout.grid, 1, layout.num_prefix)
    targets = predicted(model, images)
    rows = perturb.evaluate(
        model, (images, targets), "restricted_attention", 1, conditions=["window"]
    )
    pixels = images.float() / 255
    with torch.inference_mode():
        before = model(pixels)
        for given in (mask, mask.numpy(), [mask] * 4):
            with perturb.with_attention(model, given):
                loss = F.cross_entropy(model(pixels), targets, reduction="none")
            np.testing.assert_allclose(rows["loss"], loss, rtol=1e-4, atol=1e-6)
        with perturb.with_attention(model, torch.ones_like(mask)):
            assert torch.equal(model(pixels), before)
        assert torch.equal(model(pixels), before)
    assert perturb.token_layout(small_vit(class_token=False, global_pool="avg")).num_prefix == 0


def test_similarity_of_layers_is_that_of_their_outputs(images: Tensor) -> None:
    model, network = wrapped_vit()
    outputs: list[Tensor] = []
    hooks = [
        block.register_forward_hook(lambda *seen: outputs.append(seen[2]))
        for block in network.blocks
    ]
    with torch.inference_mode():
        model(images.float() / 255)
    for hook in hooks:
        hook.remove()
    frame = perturb.layer_similarity(model, images.numpy())
    pearson = frame[frame["measure"] == "pearson_all"].pivot(
        index="layer_a", columns="layer_b", values="value"
    )
    expected = np.mean(
        [np.corrcoef([layer[image].flatten() for layer in outputs]) for image in range(8)], axis=0
    )
    np.testing.assert_allclose(pearson, expected, atol=1e-6)
    assert set(frame["measure"]) == {"pearson_all", "pearson_cls", "cka_all", "cka_cls"}
    classifier = Classifier(network, Preprocessing(32, (0.45,) * 3, (0.25,) * 3)).eval()
    table = correlate_layers(classifier, [images], model="a", image_ids=IDS).to_pandas()
    with_ids = perturb.layer_similarity(model, images, image_ids=IDS)
    np.testing.assert_allclose(with_ids["value"], table["value"], atol=1e-5)
    assert with_ids["image_id"].tolist() == table["image_id"].tolist()


def test_a_classifier_normalises_before_a_plain_network(images: Tensor) -> None:
    cnn = small_cnn()
    network = nn.Sequential(cnn.features[1:], nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    preprocessing = perturb.Preprocessing(side=32, mean=(0.45,) * 3, std=(0.25,) * 3)
    classifier = perturb.Classifier(network, preprocessing).eval()
    assert perturb.Classifier(network, preprocessing, num_classes=16).num_classes == 16
    with pytest.raises(ValueError, match="Sequential does not say its number of classes; num_clas"):
        _ = classifier.num_classes
    plain = nn.Sequential(Normalise(), network).eval()
    targets = predicted(plain, images)
    rows = perturb.evaluate(classifier, (images, targets), "corruptions", 2, conditions=["fog"])
    others = perturb.evaluate(plain, (images, targets), "corruptions", 2, conditions=["fog"])
    np.testing.assert_allclose(rows["loss"], others["loss"], rtol=1e-5)
    wanted = perturb.fgsm(plain, images, targets, EPSILON)
    found = perturb.fgsm(classifier, images, targets, EPSILON)
    # Signs of gradients near 0 may differ by rounding.
    assert (wanted != found).float().mean() < 0.01


def test_the_callers_torch_modes_change_nothing(
    model: nn.Module, images: Tensor, targets: Tensor
) -> None:
    def results() -> list[Tensor]:
        few = {"steps": 2, "queries": 2}
        return [
            perturb.corrupt(images, "defocus_blur", 3),
            perturb.pgd(model, images, targets, EPSILON),
            perturb.attack_ensemble(model, images, targets, EPSILON, **few),
            perturb.worst_spatial(model, images[:2], targets[:2]).logits,
        ]

    expected = results()
    with torch.inference_mode():
        assert all(map(torch.equal, results(), expected))
    with torch.no_grad():
        assert all(map(torch.equal, results(), expected))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(perturb.corrupt(images, "defocus_blur", 3), expected[0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_what_comes_on_a_gpu_stays_there(images: Tensor, targets: Tensor) -> None:
    model, pixels, classes = small_cnn().cuda(), images.cuda(), targets.cuda()
    foggy = perturb.corrupt(pixels, "fog", 3)
    assert foggy.is_cuda
    # Sums in another order move a pixel by a gray level at most.
    assert (foggy.cpu().int() - perturb.corrupt(images, "fog", 3).int()).abs().max() <= 1
    for attack in (perturb.fgsm, perturb.pgd, perturb.attack_ensemble):
        adversarial = attack(model, pixels, classes, EPSILON)
        assert adversarial.is_cuda
        assert (adversarial - pixels.float() / 255).abs().max() <= EPSILON
        assert isinstance(attack(model, images.numpy(), targets.tolist(), EPSILON), np.ndarray)
    assert perturb.worst_spatial(model, pixels, classes).logits.is_cuda
    with pytest.raises(
        ValueError, match="images are on cpu, the model on cuda:0; allowed: one dev"
    ):
        perturb.pgd(model, images, targets, EPSILON)
    rows = perturb.evaluate(model, (pixels, classes), "pgd", EPSILON)
    others = perturb.evaluate(small_cnn(), (images, targets), "pgd", EPSILON)
    np.testing.assert_allclose(rows["loss"], others["loss"], rtol=1e-2)
    vit, _ = wrapped_vit()
    vit.cuda()
    with perturb.with_attention(vit, np.ones((17, 17), bool)), torch.inference_mode():
        assert vit(pixels.float() / 255).is_cuda
    assert len(perturb.layer_similarity(vit, images)) == 64
    assert next(vit.parameters()).is_cuda
