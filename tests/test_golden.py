"""Numbers of every perturbation, recorded: they may not change without a raised protocol.

To record new numbers after a protocol was raised: ``python -m tests.test_golden NAME...``, with the
names of experiments.
"""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from perturb.datasets.store import Images
from perturb.datasets.synthetic.generated import generate
from perturb.evaluate.outcome import Setting
from perturb.experiments.registry import (
    FOLDER,
    evaluator,
    experiment_of,
    perturbation,
    perturbations,
    protocol_of,
)
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.random import image_key, stream_keys, uniform
from perturb.severities import severity_id, severity_value

# Corruptions have a record of their own, pixel by pixel, in test_corruptions.
NAMES = [
    name
    for name, declared in perturbations().items()
    if declared.evaluator and experiment_of(name) != "corruptions"
]


def _record_of(name: str) -> Path:
    return FOLDER / experiment_of(name) / "golden.json"


def _golden(name: str) -> dict[str, Any]:
    """Return the recorded numbers of a perturbation, and the severity and options they are of."""
    path = _record_of(name)
    record = json.loads(path.read_text()) if path.exists() else {}
    assert name in record, f"{path}: no golden numbers of perturbation {name!r}"
    golden: dict[str, Any] = record[name]
    return golden


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
    golden = _golden(name)
    severity, options = severity_value(severity_id(golden["severity"])), golden["options"]
    conditions = perturbation(name).conditions or tuple(options["classes"])
    setting = Setting(conditions, severity, 2021, options)
    images = _images()
    return {
        f"{outcome.condition} {outcome.sample}": round(
            torch.nn.functional.cross_entropy(outcome.logits, images.targets).item(), 5
        )
        for outcome in evaluator(name)(_classifier(), images, setting)
    }


@pytest.mark.parametrize("name", NAMES)
def test_numbers_change_only_with_the_protocol(name: str) -> None:
    golden = _golden(name)
    assert golden["protocol"] == protocol_of(name), (
        f"the protocol of {name} was raised; record its numbers: "
        f"python -m tests.test_golden {experiment_of(name)}"
    )
    # Last bits differ from processor to processor, and steps along signs make more of them.
    assert _numbers(name) == pytest.approx(golden["losses"], rel=2e-3), (
        f"the numbers of {name} changed: raise its protocol, then record them"
    )


def _logits(name: str, *, is_each_alone: bool) -> dict[tuple[str, int], torch.Tensor]:
    """Return the logits under each condition and sample, of a cell with all conditions or one."""
    golden = _golden(name)
    severity, options = severity_value(severity_id(golden["severity"])), golden["options"]
    conditions = perturbation(name).conditions or tuple(options["classes"])
    cells = [(condition,) for condition in conditions] if is_each_alone else [conditions]
    return {
        (outcome.condition, outcome.sample): outcome.logits
        for cell in cells
        for outcome in evaluator(name)(
            _classifier(), _images(), Setting(cell, severity, 2021, options)
        )
    }


@pytest.mark.parametrize("name", NAMES)
def test_conditions_are_independent_where_they_are_declared_to_be(name: str) -> None:
    together, alone = (_logits(name, is_each_alone=alone) for alone in (False, True))
    assert list(together) == list(alone)
    are_equal = all(together[key].equal(alone[key]) for key in together)
    assert are_equal == perturbation(name).are_conditions_independent


def _with_other_samples(name: str, option: str, change: int) -> dict[str, torch.Tensor]:
    """Return the logits of conditions without samples, with another number of the others'."""
    golden, declared = _golden(name), perturbation(name)
    severity = severity_value(severity_id(golden["severity"]))
    conditions = tuple(id for id in declared.conditions if declared.repeated.get(id) != option)
    options = {**golden["options"], option: golden["options"][option] + change}
    setting = Setting(conditions, severity, 2021, options)
    return {
        outcome.condition: outcome.logits
        for outcome in evaluator(name)(_classifier(), _images(), setting)
    }


# Perturbations with a condition that has several samples and one that has not.
PARTLY_REPEATED = [
    name
    for name in NAMES
    if 0 < len(perturbation(name).repeated) < len(perturbation(name).conditions)
]


@pytest.mark.parametrize("name", PARTLY_REPEATED)
def test_a_number_of_samples_changes_no_other_condition(name: str) -> None:
    for option in perturbation(name).repeated.values():
        few, many = (_with_other_samples(name, option, change) for change in (0, 1))
        assert few.keys() == many.keys() != set()
        assert all(few[condition].equal(many[condition]) for condition in few)


def test_conditions_of_the_record_differ() -> None:
    """Perturbations that changed nothing would hide behind equal numbers."""
    clean = _numbers("none")["none 0"]
    for name in NAMES:
        if name != "none":
            assert any(abs(loss - clean) > 1e-3 for loss in _numbers(name).values()), name


def _record(experiments: Sequence[str]) -> None:
    """Write the numbers of some experiments into their records."""
    recorded = dict.fromkeys(map(experiment_of, NAMES))
    for experiment in experiments:
        if experiment not in recorded:
            raise ValueError(f"experiment is {experiment!r}; allowed: {', '.join(recorded)}")
    for experiment in experiments:
        path = FOLDER / experiment / "golden.json"
        record = {
            name: golden | {"protocol": protocol_of(name), "losses": _numbers(name)}
            for name, golden in json.loads(path.read_text()).items()
        }
        path.write_text(json.dumps(record, indent=1) + "\n")


def test_only_known_experiments_are_recorded() -> None:
    with pytest.raises(ValueError, match="experiment is 'lesion'; allowed: benchmarks, attacks"):
        _record(["lesion"])
    with pytest.raises(ValueError, match="experiment is 'corruptions'; allowed: benchmarks"):
        _record(["lesions", "corruptions"])


if __name__ == "__main__":
    if not sys.argv[1:]:
        raise SystemExit("usage: python -m tests.test_golden EXPERIMENT...")
    _record(sys.argv[1:])
