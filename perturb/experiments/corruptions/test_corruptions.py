"""Properties of all 19 corruptions at every size, and the golden numbers."""

import functools
import io
import itertools
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from perturb import random
from perturb.experiments.corruptions.corruptions import (
    CORRUPTIONS,
    constants,
    corrupt,
    draws_nothing,
    jpeg_pass,
)
from perturb.experiments.corruptions.names import JPEG_QUALITY, JPEG_SUFFIX
from perturb.experiments.registry import FOLDER, protocol_of
from tests.corruption_images import make_images, make_keys

# Corruptions of the published code that draw nothing, and others that say so.
DETERMINISTIC = {name for name in CORRUPTIONS if draws_nothing(name)}

# The published corners jitter by 24, 49, 5, 5, 5 px; frost at first adds light more than structure;
# saturate reduces colour at 1 and 2 and increases it from 3 on.
STARTS_TO_GROW_AT = {"elastic_transform": 3, "frost": 2, "saturate": 3}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_severity_0_is_the_image(corruption: str) -> None:
    images = make_images(3, 32)
    assert torch.equal(corrupt(images, corruption, 0, make_keys(3), 1), images)


@pytest.mark.parametrize("size", [(32, 32), (37, 53), (16, 40)])
@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_batch_and_order_change_no_byte(corruption: str, size: tuple[int, int]) -> None:
    images, keys = make_images(90, *size), make_keys(90)
    before = images.clone()
    for severity in (1, 3, 5):
        together = corrupt(images, corruption, severity, keys, 7)
        assert torch.equal(images, before)
        assert together.shape == images.shape
        assert together.dtype == torch.uint8
        order = torch.randperm(90, generator=torch.Generator().manual_seed(severity))
        shuffled = corrupt(images[order], corruption, severity, keys[order], 7)
        assert torch.equal(shuffled, together[order])
        for start, stop in ((0, 1), (40, 41), (3, 5), (89, 90), (10, 27), (20, 83)):
            part = corrupt(images[start:stop], corruption, severity, keys[start:stop], 7)
            assert torch.equal(part, together[start:stop]), (severity, start, stop)


def corrupt_some(numbers: list[int]) -> dict[str, Tensor]:
    """Return the numbered images of six under every corruption; it runs in separate processes."""
    torch.set_num_threads(1)
    images, keys = make_images(6, 32)[numbers], make_keys(6)[numbers]
    return {
        name: corrupt(images, name, 4, keys, 7, jpeg_quality=JPEG_QUALITY) for name in CORRUPTIONS
    }


def test_processes_change_no_byte() -> None:
    """New interpreters, each with some of the images in another order, give the same bytes."""
    shares = [[4, 1, 0], [5, 2, 3]]
    # Spawned and not forked, so that no state of this process is shared.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as workers:
        parts = list(workers.map(corrupt_some, shares))
    together = corrupt_some(list(range(6)))
    for corruption in CORRUPTIONS:
        for share, part in zip(shares, parts, strict=True):
            assert torch.equal(part[corruption], together[corruption][share]), corruption


@pytest.mark.parametrize("side", [32, 224])
@pytest.mark.parametrize("corruption", ["contrast", "gaussian_noise", "glass_blur"])
def test_jpeg_pass_is_pillows_own(corruption: str, side: int) -> None:
    images, keys = make_images(3, side), make_keys(3)
    plain = corrupt(images, corruption, 3, keys, 7)
    passed = corrupt(images, corruption, 3, keys, 7, jpeg_quality=85)
    for pixels, result in zip(plain, passed, strict=True):
        stream = io.BytesIO()
        # The published files have optimised tables, which change no pixel.
        picture = Image.fromarray(pixels.permute(1, 2, 0).numpy())
        picture.save(stream, "JPEG", quality=85, optimize=True)
        assert np.array_equal(np.asarray(Image.open(stream)), result.permute(1, 2, 0).numpy())
    alone = corrupt(images[2:], corruption, 3, keys[2:], 7, jpeg_quality=85)
    assert torch.equal(alone, passed[2:])


def test_jpeg_pass_of_severity_0_is_of_the_clean_image() -> None:
    images = make_images(2, 32)
    passed = corrupt(images, "fog", 0, make_keys(2), 1, jpeg_quality=85)
    assert torch.equal(passed, jpeg_pass(images, 85))
    assert not torch.equal(passed, images)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_batch_changes_no_byte_at_224(corruption: str) -> None:
    images, keys = make_images(5, 224), make_keys(5)
    together = corrupt(images, corruption, 4, keys, 7)
    for start, stop in ((0, 1), (4, 5), (1, 4)):
        part = corrupt(images[start:stop], corruption, 4, keys[start:stop], 7)
        assert torch.equal(part, together[start:stop])


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_draws_depend_on_seed_and_key(corruption: str) -> None:
    images = make_images(1, 32).expand(2, -1, -1, -1)
    keys = make_keys(2)
    first = corrupt(images, corruption, 3, keys, 1)
    is_same = corruption in DETERMINISTIC
    assert torch.equal(first[0], first[1]) == is_same
    assert torch.equal(first, corrupt(images, corruption, 3, keys, 2)) == is_same
    assert torch.equal(first, corrupt(images, corruption, 3, keys, 1))


@pytest.mark.parametrize("side", [32, 224])
@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_severities_grow(corruption: str, side: int) -> None:
    count = 200 if side == 32 else 12
    images, keys = make_images(count, side), make_keys(count)
    changes = []
    for severity in range(1, 6):
        changed = corrupt(images, corruption, severity, keys, 0)
        changes.append((changed.double() - images).abs().mean().item())
    assert min(changes) > 0.5, "every severity must show"
    changes = changes[STARTS_TO_GROW_AT.get(corruption, 1) - 1 :]
    # The published tables do not increase every constant.
    is_traded = corruption in ("fog", "frost", "snow", "glass_blur", "elastic_transform")
    slack = 0.9 if is_traded else 0.99
    for weaker, stronger in itertools.pairwise(changes):
        assert stronger > slack * weaker, changes
    assert changes[-1] > changes[0], changes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"corruption": "rain"}, "'rain'; allowed: gaussian_noise"),
        ({"severity": 6}, "severity is 6; allowed: 0 to 5"),
        ({"severity": -1}, "severity is -1"),
        ({"severity": 2.5}, "severity is 2.5"),
        ({"severity": True}, "severity is True"),
        ({"images": torch.zeros(2, 3, 32, 32)}, "torch.float32; allowed: torch.uint8"),
        ({"images": torch.zeros(2, 1, 32, 32, dtype=torch.uint8)}, r"\(2, 1, 32, 32\); allowed"),
        ({"images": torch.zeros(2, 3, 8, 32, dtype=torch.uint8)}, "at least 16"),
        ({"images": torch.zeros(3, 32, 32, dtype=torch.uint8)}, r"\(3, 32, 32\); allowed"),
        (
            {
                "images": torch.zeros(0, 3, 32, 32, dtype=torch.uint8),
                "image_keys": torch.zeros(0, dtype=torch.int64),
            },
            "empty batch; allowed: one image or more",
        ),
        ({"jpeg_quality": 0}, "quality is 0; allowed: 1 to 95"),
        ({"jpeg_quality": 96}, "quality is 96"),
        ({"jpeg_quality": 85.5}, "quality is 85.5"),
        ({"jpeg_quality": True}, "quality is True"),
        ({"image_keys": make_keys(3)}, r"\(3,\); allowed: torch.int64 \(2,\)"),
        ({"image_keys": torch.zeros(2)}, "torch.float32"),
        ({"corruption": "frost", "frost_textures": []}, "holds 0; allowed: 5 or more"),
        (
            {"corruption": "frost", "frost_textures": [make_images(1, 32)[0]] * 5},
            "larger than 32 x 32",
        ),
    ],
)
def test_errors_name_value_and_what_is_allowed(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "images": make_images(2, 32),
        "corruption": "contrast",
        "severity": 1,
        "image_keys": make_keys(2),
        "seed": 0,
    }
    with pytest.raises(ValueError, match=message):
        corrupt(**{**arguments, **change})  # type: ignore[arg-type]


def test_constants_are_the_published_ones_at_224_and_scale_elsewhere() -> None:
    counts = [len(constants("zoom_blur", severity, 224, 224)) for severity in range(1, 6)]
    assert counts == [12, 16, 11, 13, 11]
    assert constants("motion_blur", 5, 224, 300) == (20, 15)
    assert constants("motion_blur", 5, 112, 112) == (10, 7.5)
    assert constants("elastic_transform", 3, 224, 224) == (244 * 0.05, 244 * 0.01, 244 * 0.02)
    for corruption in ("gaussian_noise", "contrast", "zoom_blur", "jpeg_compression", "fog"):
        assert constants(corruption, 3, 32, 32) == constants(corruption, 3, 224, 224)
    sigma, delta, iterations, share = constants("glass_blur", 5, 32, 32)
    assert (sigma, delta, iterations) == (pytest.approx(1.5 / 7), 1, 2)
    assert share == pytest.approx(4 / 7)
    assert constants("snow", 1, 32, 32)[2] == 1.0


@pytest.mark.parametrize(
    "corruption", ["glass_blur", "motion_blur", "zoom_blur", "gaussian_blur", "pixelate"]
)
def test_flat_images_stay_flat_under_blur(corruption: str) -> None:
    """Flat images do not lose a level to rounding, unlike in the published code."""
    for side, level in itertools.product((32, 224), (0, 7, 128, 255)):
        images = torch.full((2, 3, side, side), level, dtype=torch.uint8)
        assert torch.equal(corrupt(images, corruption, 5, make_keys(2), 0), images)


def test_black_images_divide_nothing_by_zero() -> None:
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    for corruption in ("fog", "brightness", "saturate", "shot_noise", "speckle_noise"):
        changed = corrupt(images, corruption, 3, make_keys(2), 0)
        is_black = corruption != "brightness"
        assert torch.equal(changed, torch.zeros_like(images) if is_black else images + 76)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_gpu_gives_the_same_bytes(corruption: str) -> None:
    for size, severity in itertools.product(((32, 32), (37, 53), (224, 224)), range(1, 6)):
        images, keys = make_images(5, *size), make_keys(5)
        for quality in (None, JPEG_QUALITY):
            change = functools.partial(corrupt, jpeg_quality=quality)
            on_gpu = change(images.cuda(), corruption, severity, keys.cuda(), 0).cpu()
            error = (on_gpu.int() - change(images, corruption, severity, keys, 0).int()).abs()
            # Logarithms, sines and cosines of the draws differ in their last bit.
            is_normal = corruption in ("gaussian_noise", "speckle_noise", "snow", "spatter")
            assert (error > 0).double().mean() <= (0.001 if is_normal else 0), (size, severity)


# Mean, mean absolute change and a signed mean of severities 1, 3 and 5, in gray levels: coarse
# enough for other libraries and processors, and moved by any change of the numbers. The protocols
# with and without the JPEG pass are recorded too: they change together.
GOLDEN = json.loads((FOLDER / "corruptions" / "golden.json").read_text())


def statistics(corruption: str) -> tuple[float, float, float]:
    images, keys = make_images(8, 32), make_keys(8)
    signs = random.integers(torch.tensor([5]), images.numel(), 2).view_as(images) * 2 - 1
    changed = torch.stack([corrupt(images, corruption, s, keys, 2021) for s in (1, 3, 5)]).double()
    change = (changed - images.double()).abs().mean().item()
    return changed.mean().item(), change, (changed * signs).mean().item()


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_golden(corruption: str) -> None:
    protocols = [protocol_of("corruptions"), protocol_of(f"corruptions{JPEG_SUFFIX}")]
    assert protocols == GOLDEN["protocols"], (
        "a protocol was raised: raise the other one and record the numbers of both"
    )
    assert corruption in GOLDEN["statistics"], f"golden.json has no numbers of {corruption!r}"
    # Encoders differ between builds of libjpeg by up to half a level.
    tolerance = 0.5 if corruption == "jpeg_compression" else 0.004
    expected = GOLDEN["statistics"][corruption]
    assert statistics(corruption) == pytest.approx(expected, abs=tolerance), (
        "numbers changed: raise both protocols of corruptions"
    )
