"""Numbers of every perturbation, recorded: they may not change without a raised protocol.

To record new numbers after a protocol was raised: ``python -m tests.test_golden``.
"""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from perturb.datasets.store import Images
from perturb.datasets.synthetic.generated import generate
from perturb.evaluate.outcome import Setting
from perturb.experiments.evaluators import EVALUATORS
from perturb.experiments.names import CONDITIONS, PROTOCOLS
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.random import image_key, stream_keys, uniform

RECORD = Path(__file__).parent / "data" / "golden.json"
# Corruptions have a record of their own, pixel by pixel, in test_corruptions.
NAMES = [name for name in PROTOCOLS if name in EVALUATORS and not name.startswith("corruptions")]
SETTINGS: dict[str, tuple[float, dict[str, Any]]] = {
    "none": (0, {}),
    "class_subset": (0, {"classes": {"all": list(range(12)), "fewer": [0, 1, 3, 4, 6, 7, 9, 11]}}),
    "fgsm": (4 / 255, {}),
    "pgd": (4 / 255, {"steps": 4, "random_start": True, "restarts": 2}),
    "ensemble": (4 / 255, {"steps": 6, "queries": 6}),
    "spatial": (1, {"rotations": 5, "translations": 3, "samples": 4}),
    "lesions": (2, {"samples": 3}),
    "heads": (1, {}),
    "attention_distance": (1, {"seeds": 2}),
    "patch_cls": (2, {}),
    "tokens": (0.5, {"seeds": 2}),
}
ARGUMENTS = {"patch_size": 8, "embed_dim": 24, "depth": 4, "num_heads": 2, "mlp_ratio": 2}


def _classifier() -> Classifier:
    """Return a ViT whose weights are hashes of their places, the same in every version of torch."""
    network = build_network("vit", ARGUMENTS, 12, 32)
    for name, weight in network.state_dict().items():
        keys = stream_keys(5, name, torch.tensor([0]))
        spread = 1 / math.sqrt(weight.shape[-1]) if weight.ndim > 1 else 0.1
        values = uniform(keys, weight.numel()).reshape(weight.shape) * 2 - 1
        # Attention that is far from uniform, so that a mask makes a difference.
        scale = 8.0 if "qkv" in name else 1.7
        weight.copy_(values * scale * spread + (1.0 if "norm" in name else 0.0))
    return Classifier(network, Preprocessing.of_trained(32)).eval()


def _images() -> Images:
    batch = generate("target", "test", 3, torch.arange(24))
    keys = torch.tensor([image_key(f"golden/{index}") for index in range(24)])
    predictions = _classifier()(batch.images).argmax(dim=1)
    # Most images count as right, so that attacks have something to do.
    targets = torch.where(torch.arange(24) % 4 == 0, batch.targets, predictions)
    return Images(batch.images, keys, targets)


def _numbers(name: str) -> dict[str, float]:
    """Return the mean loss under each condition and sample."""
    severity, options = SETTINGS[name]
    conditions = CONDITIONS[name] or tuple(options["classes"])
    setting = Setting(conditions, severity, 2021, options)
    images = _images()
    return {
        f"{outcome.condition} {outcome.sample}": round(
            torch.nn.functional.cross_entropy(outcome.logits, images.targets).item(), 5
        )
        for outcome in EVALUATORS[name](_classifier(), images, setting)
    }


@pytest.mark.parametrize("name", NAMES)
def test_numbers_change_only_with_the_protocol(name: str) -> None:
    record = json.loads(RECORD.read_text())[name]
    told = f"PROTOCOLS[{name!r}] was raised; record its numbers: python -m tests.test_golden"
    assert record["protocol"] == PROTOCOLS[name], told
    # Last bits differ from processor to processor, and steps along signs make more of them.
    assert _numbers(name) == pytest.approx(record["losses"], rel=2e-3), (
        f"the numbers of {name} changed: raise PROTOCOLS[{name!r}], then record them"
    )


def test_conditions_of_the_record_differ() -> None:
    """Perturbations that changed nothing would hide behind equal numbers."""
    clean = _numbers("none")["none 0"]
    for name in NAMES[1:]:
        assert any(abs(loss - clean) > 1e-3 for loss in _numbers(name).values()), name


if __name__ == "__main__":
    content = {name: {"protocol": PROTOCOLS[name], "losses": _numbers(name)} for name in NAMES}
    RECORD.write_text(json.dumps(content, indent=1) + "\n")
