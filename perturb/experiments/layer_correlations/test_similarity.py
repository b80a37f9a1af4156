"""Similarity of layers, against NumPy on block outputs recorded by hooks."""

import weakref
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perturb.experiments.layer_correlations.similarity import (
    SCHEMA,
    _Pearson,
    correlate_layers,
    unbiased_hsic,
)
from perturb.experiments.lesions.surgery import without
from perturb.models.anatomy import anatomy
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from tests.plain_vit import SIDE, VARIANTS, WITH_CLASS_TOKEN, small_resnet, small_vit, some_images

Array = np.ndarray[Any, np.dtype[np.float64]]


@torch.inference_mode()
def _recorded(classifier: Classifier, images: Tensor) -> list[Array]:
    """Return the outputs of each block in the classifier's forward pass, one call per image."""
    outputs: list[list[Tensor]] = []
    handles = []
    for block in anatomy(classifier.network).blocks:
        outputs.append([])
        handles.append(
            block.register_forward_hook(lambda _, __, output, to=outputs[-1]: to.append(output))
        )
    for image in images:
        classifier(image[None])
    for handle in handles:
        handle.remove()
    return [torch.cat(parts).numpy() for parts in outputs]


def _pearson(layers: list[Array]) -> Array:
    """Return the correlations of every image, (B, L, L)."""
    return np.array(
        [np.corrcoef([layer[image].ravel() for layer in layers]) for image in range(len(layers[0]))]
    )


def _hsic(one: Array, other: Array) -> float:
    """Return the unbiased HSIC as Song et al. (2012) write it, equation 5."""
    n = len(one)
    K, L = one @ one.T, other @ other.T
    np.fill_diagonal(K, 0)
    np.fill_diagonal(L, 0)
    ones = np.ones(n)
    total = np.trace(K @ L) + (ones @ K @ ones) * (ones @ L @ ones) / ((n - 1) * (n - 2))
    return float((total - 2 / (n - 2) * (ones @ K @ L @ ones)) / (n * (n - 3)))


def _cka(batches: list[list[Array]]) -> Array:
    """Return the CKA of batches of layers, averaged by their number of images."""
    flat = [[layer.reshape(len(layer), -1) for layer in layers] for layers in batches]
    hsic = sum(
        len(layers[0]) * np.array([[_hsic(one, other) for other in layers] for one in layers])
        for layers in flat
    )
    return np.asarray(hsic / np.sqrt(np.outer(np.diag(hsic), np.diag(hsic))))


def _matrix(table: Any, measure: str, column: str = "value") -> Array:
    """Return a measure as a matrix of layers, NaN where there is no row."""
    rows = [row for row in table.to_pylist() if row["measure"] == measure]
    size = 1 + max((row["layer_a"] for row in table.to_pylist()), default=0)
    matrix = np.full((size, size), np.nan)
    for row in rows:
        assert np.isnan(matrix[row["layer_a"], row["layer_b"]]), "a pair has two rows"
        matrix[row["layer_a"], row["layer_b"]] = np.nan if row[column] is None else row[column]
    return matrix


def _split(images: Tensor, *sizes: int) -> Iterator[Tensor]:
    return iter(images.split(list(sizes)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_similarities_are_numpys_on_recorded_layers(variant: str) -> None:
    classifier, images = small_vit(variant), some_images(13)
    table = correlate_layers(classifier, _split(images, 5, 8), model="m")
    assert table.schema.equals(SCHEMA)
    layers = _recorded(classifier, images)
    features = {"all": layers}
    if variant in WITH_CLASS_TOKEN:
        features["cls"] = [layer[:, 0] for layer in layers]
    assert set(table["measure"].to_pylist()) == {
        f"{m}_{f}" for m in ("pearson", "cka") for f in features
    }
    for name, kept in features.items():
        expected = _pearson(kept)
        np.testing.assert_allclose(_matrix(table, f"pearson_{name}"), expected.mean(axis=0))
        spread = expected.std(axis=0, ddof=1)
        found = _matrix(table, f"pearson_{name}", "spread")
        np.testing.assert_allclose(found, spread, rtol=1e-9, atol=1e-12)
        parts = [[layer[:5] for layer in kept], [layer[5:] for layer in kept]]
        np.testing.assert_allclose(_matrix(table, f"cka_{name}"), _cka(parts))
        assert np.isnan(_matrix(table, f"cka_{name}", "spread")).all()
    assert set(table["num_images"].to_pylist()) == {13}
    assert set(table["model"].to_pylist()) == {"m"}


def test_one_batch_gives_the_closed_form_of_the_whole_sample() -> None:
    classifier, images = small_vit(), some_images(40)
    table = correlate_layers(classifier, [images], model="m")
    layers = _recorded(classifier, images)
    np.testing.assert_allclose(_matrix(table, "cka_all"), _cka([layers]))
    np.testing.assert_allclose(_matrix(table, "cka_cls"), _cka([[x[:, 0] for x in layers]]))


def test_resnets_correlate_where_shapes_allow() -> None:
    classifier, images = small_resnet(), some_images(9)
    table = correlate_layers(classifier, [images], model="r")
    layers = _recorded(classifier, images)
    assert [layer.shape[1] for layer in layers] == [16, 16, 32, 32]
    assert set(table["measure"].to_pylist()) == {"pearson_all", "cka_all"}
    found = _matrix(table, "pearson_all")
    for first, second in ((0, 2), (2, 4)):
        expected = _pearson(layers[first:second]).mean(axis=0)
        np.testing.assert_allclose(found[first:second, first:second], expected)
    assert np.isnan(found).sum() == 8
    assert table["value"].null_count == 0
    np.testing.assert_allclose(_matrix(table, "cka_all"), _cka([layers]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_similarity_is_symmetric_and_one_to_itself(dtype: torch.dtype) -> None:
    classifier = small_vit().to(dtype)
    table = correlate_layers(classifier, [some_images(8)] * 2, model="m")
    for measure in ("pearson_all", "pearson_cls", "cka_all", "cka_cls"):
        matrix = _matrix(table, measure)
        assert (matrix == matrix.T).all()
        np.testing.assert_allclose(np.diag(matrix), 1, rtol=1e-12)
        others = matrix[~np.eye(3, dtype=bool)]
        assert (others < 0.999).all()
        assert (np.abs(matrix) <= 1).all()


def test_identical_layers_are_alike() -> None:
    classifier = small_vit()
    with without(classifier, [1]):  # block 1 returns the output of block 0
        table = correlate_layers(classifier, [some_images(8)], model="m")
    for measure in ("pearson_all", "pearson_cls", "cka_all", "cka_cls"):
        matrix = _matrix(table, measure)
        assert matrix[0, 1] == pytest.approx(1, abs=1e-12)
        assert matrix[0, 2] == pytest.approx(matrix[1, 2], abs=1e-12)
        assert matrix[0, 2] < 0.999


def test_cka_ignores_rotation_scale_and_shift() -> None:
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(30, 6, dtype=torch.float64, generator=generator)
    rotation, _ = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=generator))
    hsic = unbiased_hsic([one, one @ rotation * 3 + 1e4])
    assert float(hsic[0, 1] / (hsic[0, 0] * hsic[1, 1]).sqrt()) == pytest.approx(1, abs=1e-9)


def test_hsic_of_independent_features_is_zero_on_average() -> None:
    generator = torch.Generator().manual_seed(0)
    values = []
    for _ in range(400):
        layers = [torch.randn(8, 50, generator=generator) for _ in range(2)]
        values.append(float(unbiased_hsic(layers)[0, 1]))
    error = np.std(values) / 20
    assert abs(np.mean(values)) < 4 * error
    # The biased form, tr(KHLH) / (n - 1)^2, is far from it where features outnumber images.
    assert error < 1


def test_statistics_do_not_depend_on_the_batches() -> None:
    classifier, images = small_vit(), some_images(12)
    whole = correlate_layers(classifier, [images], model="m")
    for sizes in ((6, 6), (4, 8), (5, 4, 3), (1,) * 12):
        table = correlate_layers(classifier, _split(images, *sizes), model="m")
        for measure in ("pearson_all", "pearson_cls"):
            for column in ("value", "spread"):
                np.testing.assert_allclose(
                    _matrix(table, measure, column),
                    _matrix(whole, measure, column),
                    rtol=1e-9,
                    atol=1e-12,
                )
        assert set(table["num_images"].to_pylist()) == {12}


@pytest.mark.parametrize(
    ("sizes", "joined"),
    [((5, 4, 3), (5, 7)), ((1,) * 9, (4, 5)), ((3, 8), (11,)), ((2, 2, 4), (4, 4))],
)
def test_small_batches_are_joined(sizes: tuple[int, ...], joined: tuple[int, ...]) -> None:
    classifier, images = small_vit(), some_images(sum(sizes))
    table = correlate_layers(classifier, _split(images, *sizes), model="m")
    layers = _recorded(classifier, images)
    ends = np.cumsum((0, *joined))
    parts = [[layer[start:end] for layer in layers] for start, end in pairwise(ends)]
    np.testing.assert_allclose(_matrix(table, "cka_all"), _cka(parts))


@pytest.mark.parametrize("size", [1, 4])
def test_nothing_of_a_batch_is_kept(size: int) -> None:
    classifier = small_vit().float()
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()
    most = {"images": 0, "layers": 0}
    layers: weakref.WeakSet[Tensor] = weakref.WeakSet()

    def batches() -> Iterator[Tensor]:
        for number in range(60):
            images = some_images(size) ^ number
            alive.add(images)
            most["images"] = max(most["images"], len(alive))
            yield images
            del images

    def record(_: nn.Module, __: object, output: Tensor) -> None:
        layers.add(output)
        most["layers"] = max(most["layers"], len(layers))

    for block in classifier.network.blocks:  # type: ignore[union-attr]
        block.register_forward_hook(record)
    table = correlate_layers(classifier, batches(), model="m")
    assert table["num_images"][0].as_py() == 60 * size
    assert most["images"] <= 3 * (4 // size)
    assert most["layers"] <= 2 * 3


def test_spread_is_stable_where_images_hardly_differ() -> None:
    """Correlations that differ in the ninth digit have a spread, unlike their rounded squares."""
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(50, 200, dtype=torch.float64, generator=generator)
    noise = torch.randn(50, 200, dtype=torch.float64, generator=generator)
    other = base + 1e-4 * noise
    expected = np.array([np.corrcoef(*pair)[0, 1] for pair in zip(base, other, strict=True)])
    moments = _Pearson()
    for part in torch.arange(50).split(7):
        moments.add([base[part], other[part]])
    mean, spread = moments.result()
    assert 1 - float(mean[0, 1]) == pytest.approx(1 - expected.mean(), rel=1e-6)
    assert float(spread[0, 1]) == pytest.approx(expected.std(ddof=1), rel=1e-5)
    assert expected.std() < 1e-8


@pytest.mark.parametrize("sizes", [(), (3,), (1, 1)])
def test_too_few_images_are_refused(sizes: tuple[int, ...]) -> None:
    images = some_images(max(sum(sizes), 1))
    batches = _split(images, *sizes) if sizes else iter(())
    with pytest.raises(ValueError, match=f"images is {sum(sizes)}; allowed: 4 or more"):
        correlate_layers(small_vit(), batches, model="m")


def test_layers_without_variation_are_refused() -> None:
    with pytest.raises(ValueError, match="layer 0 are the same for all images: no CKA"):
        correlate_layers(small_vit(), [some_images(1).repeat(6, 1, 1, 1)], model="m")
    classifier = small_resnet().float()
    for parameter in classifier.network.parameters():
        nn.init.zeros_(parameter)
    with pytest.raises(ValueError, match="layer 0 is the same all over an image: no correlation"):
        correlate_layers(classifier, [some_images(6)], model="m")


def test_outputs_that_are_not_finite_are_refused() -> None:
    classifier = small_vit()
    nn.init.constant_(classifier.network.blocks[1].mlp.fc2.bias, torch.inf)  # type: ignore[index]
    with pytest.raises(ValueError, match="output of block 1 is not finite"):
        correlate_layers(classifier, [some_images(4)], model="m")


@pytest.mark.parametrize("depth", [4, 7])
def test_rises_of_single_images_are_numpys_on_recorded_layers(depth: int) -> None:
    torch.manual_seed(0)
    arguments = {"patch_size": 8, "embed_dim": 12, "depth": depth, "num_heads": 2, "mlp_ratio": 2}
    classifier = Classifier(
        build_network("vit", arguments, 7, SIDE), Preprocessing(side=SIDE)
    ).eval()
    images, ids = some_images(9), [f"image {index}" for index in range(9)]
    table = correlate_layers(
        classifier.double(), _split(images, 4, 5), model="m", image_ids=ids
    ).to_pylist()
    layers = _recorded(classifier, images)
    size = 2  # a third of seven, rounded down, and the fewest
    for name, kept in {"all": layers, "cls": [layer[:, 0] for layer in layers]}.items():
        rows = [row for row in table if row["measure"] == f"pearson_{name}_rise"]
        assert [row["image_id"] for row in rows] == ids
        expected = _pearson(kept)
        rise = expected[:, depth - size, depth - 1] - expected[:, 0, 1]
        np.testing.assert_allclose([row["value"] for row in rows], rise)
        assert {row["layer_a"] for row in rows} == {row["spread"] for row in rows} == {None}
    pairs = [row for row in table if not row["measure"].endswith("_rise")]
    assert {row["image_id"] for row in pairs} == {None}


def test_as_many_ids_as_images_are_needed() -> None:
    with pytest.raises(ValueError, match="number of images is 6, but there are 5 ids"):
        correlate_layers(small_vit(), [some_images(6)], model="m", image_ids=list("abcde"))


def test_few_blocks_and_resnets_have_no_rises() -> None:
    table = correlate_layers(small_resnet(), [some_images(4)], model="r", image_ids=list("abcd"))
    assert table["image_id"].null_count == len(table)
