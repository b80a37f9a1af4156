"""Training: it learns, depends on the seed alone, and its parts are correct."""

import logging
import math
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier
from perturb.models.optimisers import AdamW, Muon, build_optimisers, orthogonalise
from perturb.models.progress import CurvePoint, Progress
from perturb.models.recipes import RECIPES
from perturb.models.training import (
    Phase,
    accuracy_on,
    pretrain_and_finetune,
    replace_head,
    shift,
)
from perturb.models.training_images import LabelledImages, no_moves
from tests.workspace import told_by

NETWORKS = {
    "vit": {"patch_size": 16, "embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2},
    "resnet": {"layers": [1, 1], "channels": [16, 32], "num_groups": 4, "stem_channels": 16},
}


def _stripes(num_images: int, num_classes: int, seed: int) -> LabelledImages:
    """Return noisy images whose class is the hue of their upper half: easy to learn."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(num_images) % num_classes
    images = torch.randint(0, 256, (num_images, 3, 32, 32), generator=generator).float()
    angles = targets[:, None] / num_classes * 2 * math.pi + torch.arange(3) * 2
    images[:, :, :16] = 0.6 * images[:, :, :16] + (50 + 50 * angles.cos())[:, :, None, None]
    return LabelledImages(images.to(torch.uint8).numpy(), targets)


def _train(
    family: str = "vit", seed: int = 2021, *, samples: tuple[int, int] = (512, 512)
) -> tuple[Classifier, list[CurvePoint]]:
    return pretrain_and_finetune(
        family,
        NETWORKS[family],
        {
            "pretraining": Phase(_stripes(400, 6, 1), samples[0]),
            "finetuning": Phase(_stripes(300, 4, 2), samples[1]),
        },
        _stripes(100, 4, 3),
        recipe=replace(RECIPES[family], batch_size=32),
        seed=seed,
        model_id="model",
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize("family", ["vit", "resnet"])
def test_training_learns_and_tells_its_course(
    family: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        classifier, curve = _train(family)
    assert [point.phase for point in curve] == ["pretraining"] * 4 + ["finetuning"] * 4
    assert [point.num_samples for point in curve] == [128, 256, 384, 512] * 2
    assert all(point.validation_accuracy is None for point in curve[:4])
    assert curve[3].loss < curve[0].loss
    assert curve[-1].validation_accuracy == accuracy_on(classifier, _stripes(100, 4, 3))
    assert accuracy_on(classifier, _stripes(200, 4, 4)) > 0.9
    assert not classifier.training
    assert "model/finetuning: step 16 of 16" in caplog.text
    assert "validation accuracy" in caplog.text


@pytest.mark.parametrize("family", ["vit", "resnet"])
def test_weights_are_a_function_of_the_seed(family: str) -> None:
    torch.manual_seed(1)
    first, _ = _train(family, samples=(96, 96))
    torch.manual_seed(2)  # the global generator is neither used nor changed
    state = torch.get_rng_state()
    again, _ = _train(family, samples=(96, 96))
    assert torch.equal(torch.get_rng_state(), state)
    other, _ = _train(family, seed=2022, samples=(96, 96))
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert any(
        not torch.equal(tensor, other.state_dict()[name])
        for name, tensor in first.state_dict().items()
    )


def test_training_from_scratch_and_from_a_memory_map(tmp_path: Path) -> None:
    data = _stripes(64, 4, 1)
    np.save(tmp_path / "images.npy", data.images)
    mapped = LabelledImages(np.load(tmp_path / "images.npy", mmap_mode="r"), data.targets)
    weights = []
    for images in (data, mapped):
        classifier, curve = pretrain_and_finetune(
            "resnet",
            NETWORKS["resnet"],
            {"training": Phase(images, 64)},
            images,
            recipe=replace(RECIPES["resnet"], batch_size=16),
            seed=1,
            model_id="reference",
            device=torch.device("cpu"),
        )
        assert {point.phase for point in curve} == {"training"}
        weights.append(classifier.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_new_head_is_zero_and_the_body_stays() -> None:
    classifier, _ = _train("resnet", samples=(32, 32))
    before = {name: tensor.clone() for name, tensor in classifier.network.state_dict().items()}
    replace_head(classifier.network, 7)
    after = classifier.network.state_dict()
    assert classifier(torch.rand(2, 3, 32, 32)).tolist() == [[0.0] * 7] * 2
    body = [name for name in before if not name.startswith("head.")]
    assert all(torch.equal(before[name], after[name]) for name in body)


def test_a_loss_that_is_not_finite_stops_training() -> None:
    progress = Progress("model/finetuning", 10, 32)
    with pytest.raises(ValueError, match="model/finetuning: the loss of step 3 is nan"):
        progress.add(3, math.nan)


def test_shifts_move_whole_images_and_reflect_their_borders() -> None:
    ramp = torch.arange(8, dtype=torch.uint8).expand(64, 3, 8, 8)
    moves = torch.randint(-2, 3, (2, 64, 1), generator=torch.Generator().manual_seed(0))
    moved = shift(ramp, moves)
    rows = {tuple(row.tolist()) for row in moved.reshape(-1, 8)}
    assert rows == {
        (2, 1, 0, 1, 2, 3, 4, 5),
        (1, 0, 1, 2, 3, 4, 5, 6),
        (0, 1, 2, 3, 4, 5, 6, 7),
        (1, 2, 3, 4, 5, 6, 7, 6),
        (2, 3, 4, 5, 6, 7, 6, 5),
    }
    assert all(len(set(map(tuple, image.reshape(-1, 8).tolist()))) == 1 for image in moved)
    assert torch.equal(shift(ramp, no_moves(64)), ramp)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 48), (2, 24, 96)])
def test_orthogonalised_matrices_have_singular_values_near_one(
    shape: tuple[int, int, int],
) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 100
    result = orthogonalise(matrices)
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.3
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    # The same singular vectors: the result is diagonal in the basis of the matrix.
    diagonal = left.mT @ result @ right.mT
    off = diagonal - torch.diag_embed(torch.diagonal(diagonal, dim1=1, dim2=2))
    assert off.abs().max() < 1e-3


@pytest.mark.parametrize("shape", [(24, 16), (16, 24), (16, 16)])
def test_steps_agree_with_torchs_muon(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(shape, generator=generator)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    muon = Muon([ours], 0.02, 0.1)
    peer = torch.optim.Muon(
        [theirs], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw", ns_steps=4
    )
    for _ in range(4):
        ours.grad = torch.randn(shape, generator=generator)
        theirs.grad = ours.grad.clone()
        muon.step()
        peer.step()
    # torch's iterates in bfloat16, three digits.
    assert (ours - theirs).norm() < 0.03 * (theirs - start).norm()


def test_steps_agree_with_torchs_adamw() -> None:
    generator = torch.Generator().manual_seed(0)
    starts = [torch.randn(shape, generator=generator) for shape in [(4, 3), (5,), (2, 3, 1, 1)]]
    ours = [nn.Parameter(start.clone()) for start in starts]
    theirs = [nn.Parameter(start.clone()) for start in starts]
    adamw = AdamW(zip(ours, [True, False, True], strict=True), 0.05, 0.3)
    peer = torch.optim.AdamW(
        [
            {"params": [theirs[0], theirs[2]], "weight_decay": 0.3},
            {"params": [theirs[1]], "weight_decay": 0.0},
        ],
        lr=0.05,
        betas=(0.9, 0.98),
    )
    for share in (1.0, 0.5, 0.25):
        for group in peer.param_groups:
            group["lr"] = 0.05 * share
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn(mine.shape, generator=generator)
            other.grad = mine.grad.clone()
        adamw.step(share)
        peer.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", ["vit", "resnet"])
def test_every_parameter_learns(family: str) -> None:
    network = build_network(family, NETWORKS[family], 4, 32)
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    optimisers = build_optimisers(network, 0.02, 0.01, 0.1)
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    for optimiser in optimisers:
        optimiser.step()
    for name, parameter in network.named_parameters():
        assert (parameter != before[name]).float().mean() > 0.99, name


def test_training_does_not_load_the_compiler() -> None:
    code = """
        import sys
        from tests.test_training import _train
        assert "torch._dynamo" not in sys.modules  # or this test sees nothing
        _train(samples=(32, 32))
        assert "torch._dynamo" not in sys.modules
    """
    told_by([sys.executable, "-c", textwrap.dedent(code)])
