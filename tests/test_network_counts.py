"""Perturbations of a network do not wait for the device, whatever the batch."""

from typing import Any

import pytest
import torch

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Setting
from perturb.experiments.registry import evaluator, perturbations
from perturb.experiments.restricted_attention import evaluate as masks
from perturb.experiments.weight_perturbation import weights
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from tests.device_counts import Counts, counted

ARGUMENTS = {"patch_size": 8, "embed_dim": 32, "depth": 4, "num_heads": 2, "mlp_ratio": 2}
# Severity and options of each perturbation that changes the network.
SETTINGS: dict[str, tuple[float, dict[str, Any]]] = {
    "restricted_attention": (1, {"seeds": 3}),
    "patch_attention": (2, {}),
    "lesions": (2, {"samples": 3}),
    "heads": (1, {}),
    "token_removal": (0.5, {"seeds": 2}),
    "weight_noise": (0.1, {"seeds": 2}),
    "weight_rounding": (4, {}),
}


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """Forget the masks and the noise of other tests."""
    for kept in (masks._distance_biases, masks._patch_bias, weights._all_draws):
        kept.cache_clear()


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier(build_network("vit", ARGUMENTS, 12, 32), Preprocessing(32)).eval()


def _counts(name: str, classifier: Classifier, seed: int, count: int) -> Counts:
    generator = torch.Generator().manual_seed(count)
    pixels = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    images = Images(pixels, torch.arange(count), torch.zeros(count, dtype=torch.int64))
    severity, options = SETTINGS[name]
    setting = Setting(perturbations()[name].conditions, severity, seed, options)
    with counted() as counts:
        list(evaluator(name)(classifier, images, setting))
    return counts


def test_the_table_is_whole() -> None:
    assert set(SETTINGS) == {p.id for p in perturbations().values() if p.changes == "model"}


@pytest.mark.parametrize("name", SETTINGS)
def test_no_batch_but_the_first_waits_for_the_device(name: str, classifier: Classifier) -> None:
    first, second, large = (_counts(name, classifier, 5, count) for count in (4, 4, 32))
    for counts in (second, large):
        assert (counts.syncs, counts.uploads) == (0, 0)
    # Small batches keep more tokens in the last block of lesions.
    assert second.kernels == large.kernels
    has_masks = name in ("restricted_attention", "patch_attention")
    assert (first.syncs > 0) == has_masks
    # Masks and noise are made for the first batch alone.
    is_made_once = has_masks or name == "weight_noise"
    assert (first.kernels > second.kernels) == is_made_once
    if name in ("restricted_attention", "weight_noise"):
        assert first.kernels > 2 * second.kernels


def test_masks_of_another_seed_are_others(classifier: Classifier) -> None:
    assert _counts("restricted_attention", classifier, 6, 4).syncs > 0
    assert _counts("restricted_attention", classifier, 6, 4).syncs == 0
    assert _counts("restricted_attention", classifier, 7, 4).syncs > 0
