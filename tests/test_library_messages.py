"""Mistakes of callers of the library: each is refused in words that name it and what is allowed."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import perturb
from tests.plain_models import small_cnn, small_vit, some_images, wrapped_vit

IMAGES = some_images(4)
FLOATS = IMAGES.float() / 255
TARGETS = [0, 1, 2, 3]
MODEL = small_cnn()
VIT = small_vit()


class Tuple(nn.Module):
    """A model that returns its logits in a tuple."""

    def forward(self, pixels: Tensor) -> Any:
        return (pixels.mean(dim=(2, 3)),)


class Features(nn.Module):
    """A model that returns features of every pixel."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels * 2


def _corrupt(images: Any = IMAGES, name: str = "fog", severity: Any = 3, **options: Any) -> Any:
    return perturb.corrupt(images, name, severity, **options)


def _pgd(model: Any = MODEL, images: Any = FLOATS, targets: Any = TARGETS, **options: Any) -> Any:
    return perturb.pgd(model, images, targets, **({"epsilon": 1 / 255} | options))


def _evaluate(
    *arguments: Any, model: Any = MODEL, data: Any = (IMAGES, TARGETS), **rest: Any
) -> Any:
    return perturb.evaluate(model, data, *arguments, **rest)


def _removed(model: Any, blocks: Any = (0,), part: str = "block") -> None:
    with perturb.without(model, blocks, part):
        pass


def _masked(model: Any, masks: Any) -> None:
    with perturb.with_attention(model, masks):
        pass


CASES: list[tuple[Callable[[], Any], str]] = [
    # images
    (lambda: _corrupt(IMAGES.tolist()), "images are a list; allowed: a tensor or a NumPy array"),
    (
        lambda: _corrupt(IMAGES.long()),
        "images are torch.int64; allowed: uint8, or floats in [0, 1]",
    ),
    (lambda: _corrupt(IMAGES.numpy().astype(int)), "images are torch.int64; allowed: uint8, or"),
    (lambda: _corrupt(np.array([["a"]])), "images are an array of <U1; allowed: an array of numb"),
    (
        lambda: _corrupt(IMAGES[0]),
        "allowed: (B, 3, H, W). One image is a batch of one: images[None]",
    ),
    (lambda: _corrupt(IMAGES.movedim(1, -1)), "Channels come first: np.moveaxis(images, -1, 1)"),
    (lambda: _corrupt(IMAGES[:, :1]), "images have shape (4, 1, 32, 32); allowed: (B, 3, H, W)"),
    (lambda: _corrupt(IMAGES[:0]), "images are an empty batch; allowed: one image or more"),
    (lambda: _corrupt(FLOATS * 255), "allowed: floats in [0, 1], normalised inside the model"),
    (lambda: _corrupt((FLOATS - 0.5) * 2), "images lie in ["),
    (lambda: _corrupt(FLOATS * float("nan")), "images lie in [nan, nan]"),
    (lambda: _corrupt(FLOATS * 0.99), "images are floats between gray levels; allowed: uint8, or"),
    (lambda: _corrupt(name="fogg"), "corruption is 'fogg'; allowed: gaussian_noise, "),
    (lambda: _corrupt(severity=6), "severity is 6; allowed: 0 to 5, whole"),
    # keys
    (
        lambda: _corrupt(keys="abcd"),
        "keys are the text 'abcd'; allowed: a list with a key for each",
    ),
    (lambda: _corrupt(keys=["a"]), "keys have shape (1,); allowed: (4,), one for each image"),
    (lambda: _corrupt(keys=["a", 1, 2, 3]), "a key is 'a'; allowed: image ids as texts for all"),
    (lambda: _corrupt(keys=[0.5] * 4), "a key is 0.5; allowed"),
    (lambda: _corrupt(keys=np.ones(4)), "a key is 1.0; allowed"),
    (lambda: _corrupt(keys=[True] * 4), "a key is True; allowed"),
    (lambda: _corrupt(keys=[1 << 63] * 4), "a key is 9223372036854775808; allowed"),
    # targets
    (lambda: _pgd(targets=[0, 1, 2, 5]), "a target is 5; allowed: 0 to 4, the 5 classes of the mo"),
    (lambda: _pgd(targets=[-1, 1, 2, 3]), "a target is -1; allowed: classes from 0 on"),
    (lambda: _pgd(targets=[0, 1]), "targets have shape (2,); allowed: (4,), the class of each im"),
    (lambda: _pgd(targets=torch.eye(4)), "targets have shape (4, 4); allowed: (4,), the class of"),
    (lambda: _pgd(targets=[0.0, 1, 2, 3]), "targets are torch.float64; allowed: integers"),
    (lambda: _pgd(targets=[True] * 4), "targets are torch.bool; allowed: integers"),
    (lambda: _pgd(targets="abcd"), "targets are an array of <U4; allowed: an array of numbers"),
    (lambda: _pgd(targets=None), "targets are a NoneType; allowed: a tensor or a NumPy array, or"),
    # attacks
    (lambda: _pgd(epsilon=8), "epsilon is 8; allowed: a number from 0 to 1, in units of [0, 1]"),
    (lambda: _pgd(epsilon="8/255"), "epsilon is '8/255'; allowed: a number from 0 to 1"),
    (lambda: _pgd(epsilon=float("nan")), "epsilon is nan; allowed"),
    (lambda: _pgd(steps=0), "steps is 0; allowed: a whole number of 1 or more"),
    (lambda: _pgd(restarts=2), "restarts is 2; allowed without random_start: 1"),
    # models
    (lambda: _pgd(lambda pixels: pixels), "model is a function; allowed: an nn.Module"),
    (lambda: _pgd(small_cnn().train()), "model is in training mode, in which dropout and batch"),
    (lambda: _pgd(Tuple().eval()), "model returns a tuple; allowed: logits (B, K), floats"),
    (lambda: _pgd(Features().eval()), "model returns a Tensor (1, 3, 32, 32); allowed: logits"),
    (
        lambda: _pgd(small_cnn().to("meta")),
        "images are on cpu, the model on meta; allowed: one dev",
    ),
    (lambda: perturb.worst_spatial(MODEL, IMAGES, TARGETS, []), "transforms are empty; allowed"),
    (lambda: perturb.worst_spatial(MODEL, IMAGES, [9] * 4), "a target is 9; allowed: 0 to 4"),
    # networks
    (
        lambda: _removed(MODEL),
        "network is SmallCnn; allowed: timm's VisionTransformer and ResNetV2",
    ),
    (
        lambda: _removed(torch.compile(VIT, backend="eager")),
        "model is compiled; allowed: the module before torch.",
    ),
    (
        lambda: _evaluate("weight_noise", 0.1, model=torch.compile(MODEL, backend="eager")),
        "model is compiled",
    ),
    (lambda: _removed(VIT, [4]), "block is 4; allowed: 0 to 3"),
    (lambda: _removed(VIT, [0], "heads"), "part is 'heads'; allowed: block, mlp, attention"),
    (lambda: _removed(nn.ModuleList([VIT, small_vit()])), "model holds several networks (Vision"),
    (lambda: _masked(VIT, torch.ones(3, 3, dtype=torch.bool)), "allowed: torch.bool (17, 17)"),
    (
        lambda: _masked(VIT, np.ones((17, 17))),
        "mask is torch.float64 (17, 17); allowed: torch.bool",
    ),
    (lambda: _masked(MODEL, np.ones((17, 17), bool)), "network is SmallCnn; allowed: timm's"),
    (
        lambda: perturb.layer_similarity(VIT, IMAGES[:3]),
        "number of images is 3; allowed: 4 or more",
    ),
    (lambda: perturb.layer_similarity(MODEL, IMAGES), "network is SmallCnn; allowed: timm's"),
    (lambda: perturb.layer_similarity(VIT, IMAGES, image_ids=["a"]), "but there are 1 ids"),
    (lambda: perturb.layer_similarity(VIT, IMAGES, batch_size=0), "batch_size is 0; allowed: 1 or"),
    # evaluation
    (lambda: _evaluate("fog"), "perturbation is 'fog'; allowed: none, class_subset, corruptions"),
    (lambda: _evaluate("corruption", 1), "Did you mean `corruptions`?"),
    (lambda: _evaluate("transfer", 1), "perturbation is 'transfer'; allowed: none"),
    (lambda: _evaluate("corruptions"), "severity of corruptions is None; allowed: one."),
    (lambda: _evaluate("corruptions", [1, 2]), "severity of corruptions is [1, 2]; allowed: one."),
    (lambda: _evaluate("corruptions", 6), "corruptions: severity: 6 is not one of 1, 2, 3, 4, 5"),
    (
        lambda: _evaluate("corruptions", 1, conditions="fog"),
        "conditions are 'fog'; allowed: a list",
    ),
    (lambda: _evaluate("corruptions", 1, conditions=["fogg"]), "Did you mean `fog`?"),
    (lambda: _evaluate("none", 1), "severity of none is 1; allowed: 0"),
    (lambda: _evaluate("pgd", 8), "pgd: severity: 8 is not allowed. Largest change of a pixel"),
    (lambda: _evaluate("pgd", float("inf")), "severity of pgd is inf; allowed: finite numbers"),
    (lambda: _evaluate("pgd", "1/255", stepz=3), "unknown key `stepz`; allowed: "),
    (lambda: _evaluate("pgd", "1/255", steps=0), "pgd: steps: 0 is less than the minimum of 1"),
    (lambda: _evaluate("pgd", "1/255", conditions=["x"]), "condition of pgd is 'x'; allowed: pgd"),
    (
        lambda: _evaluate("lesions", 1),
        "lesions of severity 1 is impossible for SmallCnn: its blocks",
    ),
    (
        lambda: _evaluate("lesions", 9, model=VIT),
        "impossible for VisionTransformer: it has too few",
    ),
    (lambda: _evaluate("class_subset"), "perturbations.class_subset needs a JSON file"),
    (lambda: _evaluate(num_images=5), "images is 5; allowed: 1 to 4, all there are"),
    (lambda: _evaluate(precision="half"), "precision is 'half'; allowed: auto, float32, bfloat16"),
    (lambda: _evaluate(batch_size=0), "batch_size is 0; allowed: 1 or more"),
    (lambda: _evaluate(dataset_id="a/b"), "'a/b'"),
    (lambda: _evaluate(model=small_cnn(3)), "dataset has targets up to 3, but model has 3 classes"),
    (lambda: _evaluate(model=small_cnn().train()), "model is in training mode"),
    # datasets
    (lambda: _evaluate(data=IMAGES), "item 0 of the dataset is a Tensor; allowed: (image, target)"),
    (lambda: _evaluate(data=3), "dataset is a int; allowed: a pair (images, targets), a folder"),
    (lambda: _evaluate(data=(IMAGES,)), "dataset is a tuple; allowed: a pair (images, targets)"),
    (lambda: _evaluate(data=(IMAGES[:0], [])), "dataset has no image; allowed: one or more"),
    (lambda: _evaluate(data=(FLOATS * 0.99, TARGETS)), "images are floats between gray levels"),
    (lambda: _evaluate(data=(IMAGES, [1 << 15] * 4)), "a target is 32768; allowed: 0 to 32767"),
    (lambda: _evaluate(data="nowhere"), "nowhere"),
    (lambda: _evaluate(image_ids=["a"]), "image_ids are 1; allowed: 4, one an image"),
    (lambda: _evaluate(image_ids=["a"] * 4), "the image id 'a' occurs twice; allowed: once"),
    (lambda: _evaluate(image_ids=[0, 1, 2, 3]), "an image id is 0; allowed: texts"),
    (lambda: _evaluate(class_index="x.json"), "class_index is given; allowed: only for a folder"),
    (lambda: _evaluate(data="x", image_ids=["a"]), "image_ids are given; allowed: only for images"),
]


@pytest.mark.parametrize(("call", "message"), CASES, ids=range(len(CASES)))
def test_mistakes_are_named_with_what_is_allowed(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="there are no images"):
        perturb.evaluate(MODEL, tmp_path)
    (tmp_path / "a" / "broken.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"a/broken\.png is not an image"):
        perturb.evaluate(MODEL, tmp_path)


def test_a_network_whose_output_is_changed_afterwards_runs_as_a_whole() -> None:
    """The stages end at the network; blocks alone are known of what holds it."""
    model, _ = wrapped_vit()
    scaled = nn.Sequential(model, nn.Softmax(dim=1)).eval()
    rows = perturb.evaluate(scaled, (IMAGES, TARGETS), "lesions", 1)
    assert set(rows["condition"]) == {"block"}
    with perturb.without(scaled, [1]):
        outputs = scaled(FLOATS)
    assert outputs.sum(dim=1).allclose(torch.ones(4))
    removed = rows[rows["sample"] == 1].set_index("image_id")["prediction"]
    assert [removed[str(place)] for place in range(4)] == outputs.argmax(dim=1).tolist()
