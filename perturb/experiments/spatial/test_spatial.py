"""The spatial attack: its pixels against an oracle, its search against a naive loop."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from perturb.datasets.store import Images
from perturb.datasets.synthetic.generated import generate
from perturb.evaluation.outcome import Outcome, Setting
from perturb.experiments.spatial.evaluate import (
    WorstCase,
    spatial_grid,
    spatial_outcomes,
    transform,
    worst_spatial,
)
from perturb.experiments.spatial.transforms import IDENTITY, Transform, rotated, translated
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing

POINTS = [
    Transform(30.0, 3, -3),
    Transform(-17.3, -2, 0),
    Transform(2.0, 0, 0),
    Transform(0.0, -3, 2),
    Transform(-90.0, 1, 0),
]


class Recording(Classifier):
    """A classifier that counts its input images, with almost balanced predictions."""

    num_images = 0
    mean_logits: Tensor | float = 0.0

    def forward(self, images: Tensor) -> Tensor:
        self.num_images += len(images)
        return super().forward(images) - self.mean_logits


class Templates(nn.Module):
    """Logits by similarity to twelve smooth random images: they change when an image moves."""

    num_classes = 12

    def __init__(self) -> None:
        super().__init__()
        noise = torch.randn(12, 3, 4, 4, generator=torch.Generator().manual_seed(0))
        self.register_buffer("weights", F.interpolate(noise, size=32, mode="bicubic") / 3)

    def forward(self, images: Tensor) -> Tensor:
        return torch.einsum("bchw,kchw->bk", images, self.weights)  # type: ignore[arg-type]


def make_classifier(family: str) -> Recording:
    torch.manual_seed(3)
    arguments: dict[str, dict[str, Any]] = {
        "vit": {"patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2},
        "resnet": {"layers": [1, 1], "channels": [16, 32], "num_groups": 4, "stem_channels": 16},
    }
    if family == "templates":
        return Recording(Templates(), Preprocessing(side=32)).eval()
    network = build_network(family, arguments[family], 12, 32)
    for name, weights in network.named_parameters():
        if "head" in name:  # it is initialised with zeros: make the logits depend on the pixels
            nn.init.normal_(weights)
    classifier = Recording(network, Preprocessing(side=32)).eval()
    with torch.no_grad():
        classifier.mean_logits = 0.5 * classifier(make_images(60).pixels).mean(dim=0)
    return classifier


def make_images(count: int, classifier: Classifier | None = None) -> Images:
    """Return generated images; with a classifier, all but a few targets are its predictions."""
    batch = generate("target", "test", 5, torch.arange(count))
    targets = batch.targets
    if classifier is not None:
        with torch.no_grad():
            targets = classifier(batch.images).argmax(dim=1)
        targets[::10] = (targets[::10] + 1) % 12
    return Images(batch.images, torch.arange(count) * 7919, targets)


def small_grid() -> tuple[Transform, ...]:
    return spatial_grid(32, max_rotation_deg=4.0, rotations=5, max_translation=1 / 32)


def naive_worst(
    classifier: Classifier, images: Tensor, targets: Tensor, grid: Sequence[Transform]
) -> WorstCase:
    """Return the worst case from one forward pass for each transform and image."""
    with torch.inference_mode():
        logits = torch.stack([classifier(transform(images, *point)) for point in grid])
    is_wrong = logits.argmax(dim=2) != targets
    chosen = []
    for image, target in enumerate(targets.tolist()):
        losses = F.cross_entropy(
            logits[:, image], torch.full((len(grid),), target), reduction="none"
        )
        wrong = is_wrong[:, image].nonzero().flatten().tolist()
        chosen.append(wrong[0] if wrong else int(losses.argmax()))
    index = torch.tensor(chosen)
    return WorstCase(is_wrong.any(dim=0), index, logits[index, torch.arange(len(targets))])


# --- the grid ---


def test_grid_is_the_published_one() -> None:
    for side, shifts in ((224, {-24, -12, 0, 12, 24}), (32, {-3, -2, 0, 2, 3})):
        grid = spatial_grid(side)
        assert len(grid) == len(set(grid)) == 775
        assert {point.x_px for point in grid} == {point.y_px for point in grid} == shifts
        assert sorted({point.rotation_deg for point in grid}) == list(range(-30, 31, 2))


def test_grid_starts_with_the_identity_and_the_far_corners() -> None:
    grid = spatial_grid(224)
    assert grid[0] == IDENTITY
    assert all(abs(x) == abs(y) == 24 for _, x, y in grid[1 : 1 + 4 * 31])
    assert [abs(angle) for angle, _, _ in grid[1:9]] == [30] * 8


@pytest.mark.parametrize(
    ("side", "options", "num_points"),
    [
        (32, {"severity": 0.0}, 1),
        (32, {"severity": 0.1}, 31),  # all translations round to 0
        (32, {"severity": 0.5}, 775),
        (8, {}, 31 * 9),  # a half and a whole step both round to 1
        (32, {"rotations": 1}, 25),
        (32, {"translations": 1, "rotations": 3}, 3),
        (32, {"max_rotation_deg": 0.0}, 25),
    ],
)
def test_equal_transforms_are_one(side: int, options: dict[str, Any], num_points: int) -> None:
    grid = spatial_grid(side, **options)
    assert len(grid) == num_points
    assert grid[0] == IDENTITY
    assert str(grid[0].rotation_deg) == "0.0"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"severity": -0.5}, "severity is -0.5; allowed"),
        ({"severity": float("nan")}, "severity is nan; allowed"),
        ({"max_rotation_deg": -30}, "max_rotation_deg is -30; allowed"),
        ({"max_translation": float("inf")}, "max_translation is inf; allowed"),
        ({"rotations": 30}, "rotations is 30; allowed: odd numbers"),
        ({"rotations": True}, "rotations is True; allowed: odd"),
        ({"translations": 0}, "translations is 0; allowed: odd"),
        ({"translations": 2.5}, "translations is 2.5; allowed: odd"),
    ],
)
def test_grid_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spatial_grid(32, **options)


# --- the pixels ---


def one_shot(images: Tensor, point: Transform) -> Tensor:
    """Return the same map as one float64 warp by torch's affine grid."""
    height, width = images.shape[2:]
    angle = torch.tensor(point.rotation_deg, dtype=torch.float64).deg2rad()
    cos, sin = angle.cos().item(), angle.sin().item()
    aspect = height / width
    u, v = -2 * point.x_px / width, -2 * point.y_px / height
    # In torch's units, where the sides are 2: undo the translation, then the rotation.
    theta = [
        [cos, -sin * aspect, cos * u - sin * aspect * v],
        [sin / aspect, cos, sin / aspect * u + cos * v],
    ]
    matrices = torch.tensor([theta], dtype=torch.float64).expand(len(images), -1, -1)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    return F.grid_sample(images.double() / 255, grid, align_corners=False)


@pytest.mark.parametrize("size", [(32, 32), (224, 224), (30, 44)])
@pytest.mark.parametrize("point", POINTS)
def test_transform_is_one_affine_map(size: tuple[int, int], point: Transform) -> None:
    images = torch.randint(0, 256, (3, 3, *size), dtype=torch.uint8)
    point = point._replace(x_px=point.x_px * size[1] // 32)
    error = (transform(images, *point).double() - one_shot(images, point)).abs().max()
    assert error * 255 < 0.01


def test_transform_turns_left_and_moves_right_and_down() -> None:
    images = torch.zeros(1, 3, 9, 9)
    images[..., 4, 7] = 1.0
    assert transform(images, 90.0, 0, 0)[..., 1, 4] == pytest.approx(1, abs=1e-5)
    assert transform(images, 0.0, 1, 2)[0, 0].nonzero().tolist() == [[6, 8]]
    # First the rotation, then the translation.
    assert transform(images, 90.0, 1, 2)[..., 3, 5] == pytest.approx(1, abs=1e-5)


def test_identity_is_the_image_and_shifts_move_its_bits() -> None:
    images = make_images(4).pixels
    floats = images.float() / 255
    assert torch.equal(transform(images, *IDENTITY), floats)
    assert torch.equal(transform(floats, *IDENTITY), floats)
    moved = transform(images, 0.0, 3, -2)
    assert torch.equal(moved[:, :, :-2, 3:], floats[:, :, 2:, :-3])
    assert not moved[:, :, -2:].any()
    assert not moved[:, :, :, :3].any()


def test_each_image_may_have_its_own_transform() -> None:
    images = make_images(40).pixels
    points = [spatial_grid(32)[19 * number] for number in range(39)] + [IDENTITY]
    angles, columns, rows = torch.tensor(points, dtype=torch.float64).T
    together = transform(images, angles, columns, rows)
    for number, point in enumerate(points):
        assert torch.equal(together[number : number + 1], transform(images[[number]], *point))
    # Where 1 / side is no binary fraction, the same position would be rounded.
    odd = F.interpolate(images[:2].float() / 255, size=(30, 44))
    upright = transform(odd, torch.tensor([0.0, 12.0]), 0, 0)
    assert torch.equal(upright[0], odd[0])
    assert transform(images[:0], angles[:0], columns[:0], rows[:0]).shape == (0, 3, 32, 32)


@pytest.mark.parametrize("point", POINTS)
def test_translations_share_a_rotation(point: Transform) -> None:
    pixels = make_images(5).pixels.float() / 255
    canvas = rotated(pixels, point.rotation_deg, 5)
    assert torch.equal(translated(canvas, 5, point), transform(pixels, *point))


# --- the search ---


@pytest.mark.parametrize("family", ["templates", "vit", "resnet"])
def test_search_finds_what_a_naive_loop_finds(family: str) -> None:
    classifier = make_classifier(family)
    images = make_images(60, classifier)
    grid = spatial_grid(32) if family == "templates" else small_grid()
    classifier.num_images = 0
    expected = naive_worst(classifier, images.pixels, images.targets, grid)
    assert classifier.num_images == 60 * len(grid)
    assert 6 < expected.is_broken.sum() < 60  # both kinds occur
    classifier.num_images = 0
    found = worst_spatial(classifier, images.pixels, images.targets, grid)
    assert torch.equal(found.is_broken, expected.is_broken)
    assert torch.equal(found.transform, expected.transform)
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-4)
    assert 60 + (60 - 6) < classifier.num_images < 60 * len(grid)


def test_search_does_not_depend_on_the_batch() -> None:
    classifier = make_classifier("templates")
    images = make_images(40, classifier)
    together = worst_spatial(classifier, images.pixels, images.targets, small_grid())
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    for part in order.split([1, 7, 32]):
        found = worst_spatial(classifier, images.pixels[part], images.targets[part], small_grid())
        assert torch.equal(found.is_broken, together.is_broken[part])
        assert torch.equal(found.transform, together.transform[part])


def test_search_stops_when_nothing_stands() -> None:
    classifier = make_classifier("templates")
    images = make_images(8, classifier)
    wrong = (classifier(images.pixels).argmax(dim=1) + 1) % 12
    classifier.num_images = 0
    found = worst_spatial(classifier, images.pixels, wrong, spatial_grid(32))
    assert classifier.num_images == 8
    assert found.is_broken.all()
    assert not found.transform.any()


# --- the evaluator ---


def outcomes(
    classifier: Classifier, images: Images, *conditions: str, **options: Any
) -> list[Outcome]:
    severity, seed = options.pop("severity", 1.0), options.pop("seed", 0)
    setting = Setting(conditions, severity, seed, options)
    return list(spatial_outcomes(classifier, images, setting))


def points_of(outcome: Outcome) -> list[tuple[float, int, int]]:
    columns = [
        outcome.added[name].tolist()
        for name in ("rotation_deg", "translation_x_px", "translation_y_px")
    ]
    return list(zip(*columns, strict=True))


def test_severity_0_is_clean_bit_for_bit() -> None:
    classifier = make_classifier("vit")
    images = make_images(20)
    with torch.inference_mode():
        clean = classifier(images.pixels)
    found = outcomes(classifier, images, "grid", "random", severity=0.0, samples=3)
    assert [(part.condition, part.sample) for part in found] == [
        ("grid", 0),
        *(("random", sample) for sample in (1, 2, 3)),
    ]
    for part in found:
        assert torch.equal(part.logits, clean)
        assert not part.logits.is_inference()  # usable by the caller
        assert set(points_of(part)) == {IDENTITY}


def test_worst_of_the_grid_names_the_transform_of_its_logits() -> None:
    classifier = make_classifier("templates")
    images = make_images(40, classifier)
    (worst,) = outcomes(classifier, images, "grid", max_rotation_deg=9, rotations=5)
    assert {name: column.dtype for name, column in worst.added.items()} == {
        "rotation_deg": torch.float32,
        "translation_x_px": torch.int16,
        "translation_y_px": torch.int16,
    }
    for number, point in enumerate(points_of(worst)):
        logits = classifier(transform(images.pixels[[number]], *point))
        torch.testing.assert_close(logits[0], worst.logits[number], rtol=1e-4, atol=1e-4)
    # Every tenth image is incorrect without a transform: the identity is its worst transform.
    assert set(points_of(worst)[::10]) == {IDENTITY}
    clean = (classifier(images.pixels).argmax(dim=1) == images.targets).sum()
    assert 0 < (worst.logits.argmax(dim=1) == images.targets).sum() < clean


def test_samples_are_grid_points_without_replacement() -> None:
    classifier, images = make_classifier("templates"), make_images(200)
    options: dict[str, Any] = {"rotations": 3, "translations": 3, "samples": 27}
    found = outcomes(classifier, images, "random", **options)
    grid = set(spatial_grid(32, rotations=3, translations=3))
    drawn = [points_of(part) for part in found]
    assert all({part[image] for part in drawn} == grid for image in range(200))
    # The first draw is uniform: 27 cells of 200 images, at six standard deviations.
    counts = [drawn[0].count(point) for point in grid]  # type: ignore[arg-type]
    assert max(abs(count - 200 / 27) for count in counts) < 6 * (200 / 27) ** 0.5
    assert len({tuple(part[image] for part in drawn) for image in range(200)}) == 200
    other = outcomes(classifier, images, "random", seed=1, **options)
    assert points_of(other[0]) != drawn[0]


def test_samples_do_not_depend_on_batch_or_number() -> None:
    classifier, images = make_classifier("templates"), make_images(30)
    many = outcomes(classifier, images, "random", samples=12)
    few = outcomes(classifier, images, "random", samples=4)
    assert [points_of(part) for part in few] == [points_of(part) for part in many[:4]]
    order = torch.randperm(30, generator=torch.Generator().manual_seed(2))
    for rows in order.split(11):
        part = Images(images.pixels[rows], images.keys[rows], images.targets[rows])
        for whole, cut in zip(many, outcomes(classifier, part, "random", samples=12), strict=True):
            assert points_of(cut) == [points_of(whole)[row] for row in rows.tolist()]
            torch.testing.assert_close(cut.logits, whole.logits[rows], rtol=1e-4, atol=1e-4)


def test_samples_are_the_pixels_of_transform() -> None:
    classifier, images = make_classifier("templates"), make_images(12)
    for part in outcomes(classifier, images, "random", samples=5):
        moved = [transform(images.pixels[[i]], *p) for i, p in enumerate(points_of(part))]
        assert torch.equal(part.logits, classifier(torch.cat(moved)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"severity": -1.0}, "severity is -1.0; allowed"),
        ({"rotations": 4}, "rotations is 4; allowed: odd"),
        ({"samples": 28, "rotations": 3, "translations": 3}, "samples is 28; allowed: 1 to 27"),
    ],
)
def test_evaluator_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        outcomes(make_classifier("templates"), make_images(2), "random", **options)


@pytest.mark.parametrize("condition", ["grid", "random"])
def test_logits_that_are_not_finite_are_refused(condition: str) -> None:
    class Broken(Templates):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images).log()

    classifier = Classifier(Broken(), Preprocessing(side=32))
    with pytest.raises(ValueError, match="logits of 2 images are not finite"):
        outcomes(classifier, make_images(2), condition)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_gives_the_same_pixels_and_draws() -> None:
    images = make_images(20)
    for point in POINTS:
        moved = transform(images.pixels.cuda(), *point).cpu()
        assert (moved - transform(images.pixels, *point)).abs().max() * 255 < 0.01
    on_gpu = Images(images.pixels.cuda(), images.keys.cuda(), images.targets.cuda())
    classifier = make_classifier("templates")
    expected = outcomes(classifier, images, "random", samples=3)
    found = outcomes(classifier.cuda(), on_gpu, "random", samples=3)
    for one, other in zip(found, expected, strict=True):
        assert points_of(one) == points_of(other)
