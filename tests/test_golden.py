"""Numbers of every perturbation and measurement: they may not change without a raised protocol.

To record new numbers after a protocol was raised: ``python -m tests.test_golden NAME...``, with the
names of experiments.
"""

import json
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from perturb.datasets.build import build_generated
from perturb.datasets.store import Images, open_store
from perturb.datasets.synthetic.generated import generate
from perturb.evaluation.loop import Subject
from perturb.evaluation.outcome import Setting
from perturb.experiments.registry import (
    FOLDER,
    entry_point,
    evaluator,
    experiment_of,
    measurements,
    perturbation,
    perturbations,
    protocol_of,
)
from perturb.experiments.transfer.examples import examples_against, outcome_on
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


def _logits(
    name: str, *cells: tuple[str, ...], seed: int = 2021, **changed: Any
) -> dict[tuple[str, int], torch.Tensor]:
    """Return the logits under each condition and sample.

    cells : the conditions of each cell, by default one cell of all.
    changed : options other than the recorded ones.
    """
    golden = _golden(name)
    severity = severity_value(severity_id(golden["severity"]))
    options = golden["options"] | changed
    every = perturbation(name).conditions or tuple(options["classes"])
    return {
        (outcome.condition, outcome.sample): outcome.logits
        for cell in cells or (every,)
        for outcome in evaluator(name)(
            _classifier(), _images(), Setting(cell, severity, seed, options)
        )
    }


def _numbers(name: str) -> dict[str, float]:
    """Return the mean loss under each condition and sample."""
    targets = _images().targets
    return {
        f"{condition} {sample}": round(torch.nn.functional.cross_entropy(logits, targets).item(), 5)
        for (condition, sample), logits in _logits(name).items()
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


def _transferred() -> dict[str, float]:
    """Return the mean loss of a network on its own adversarial images."""
    golden = _golden("transfer")
    severity = severity_value(severity_id(golden["severity"]))
    setting = Setting(("source",), severity, 2021, golden["options"])
    images, source = _images(), _classifier()
    outcome = outcome_on(source, "source", images, examples_against(source, images, setting))
    loss = torch.nn.functional.cross_entropy(outcome.logits, images.targets).item()
    return {"itself 0": round(loss, 5)}


def test_transfer_changes_only_with_its_protocol() -> None:
    golden = _golden("transfer")
    assert golden["protocol"] == protocol_of("transfer")
    assert _transferred() == pytest.approx(golden["losses"], rel=2e-3)


def _means(name: str) -> dict[str, float]:
    """Return the mean of each column of a measurement of 24 images that is a fraction."""
    images = {"set": "target", "split": "test"}
    asked = {
        "options": _golden(name)["options"],
        "patch_sizes": [4, 8],
        "generate": images,
        "seed": 3,
        "precision": "float32",
    }
    card: Any = SimpleNamespace(preprocessing=Preprocessing.of_trained(32))
    subject = Subject(_classifier(), card, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "images.npy", Path(folder) / "manifest.parquet"
        build_generated(*files, images, 24, 3, made_from={})
        table = entry_point(measurements()[name].measure)(
            subject, open_store(*files), "a", asked, 24
        )
    return {
        field.name: round(float(np.nanmean(table[field.name].to_numpy())), 5)
        for field in table.schema
        if pa.types.is_floating(field.type)
    }


@pytest.mark.parametrize("name", list(measurements()))
def test_a_measurement_changes_only_with_its_protocol(name: str) -> None:
    golden = _golden(name)
    assert golden["protocol"] == measurements()[name].protocol
    assert _means(name) == pytest.approx(golden["means"], rel=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_depend_on_the_seed_where_they_are_declared_to(name: str) -> None:
    one, other = (_logits(name, seed=seed) for seed in (2021, 2022))
    are_equal = all(one[key].equal(other[key]) for key in one)
    assert are_equal != perturbation(name).is_random


@pytest.mark.parametrize("name", NAMES)
def test_conditions_are_independent_where_they_are_declared_to_be(name: str) -> None:
    together = _logits(name)
    alone = _logits(name, *dict.fromkeys((condition,) for condition, _ in together))
    assert list(together) == list(alone)
    are_equal = all(together[key].equal(alone[key]) for key in together)
    assert are_equal == perturbation(name).are_conditions_independent


# Perturbations with a condition that has several samples and one that has not.
PARTLY_REPEATED = [
    name
    for name in NAMES
    if 0 < len(perturbation(name).repeated) < len(perturbation(name).conditions)
]


@pytest.mark.parametrize("name", PARTLY_REPEATED)
def test_a_number_of_samples_changes_no_other_condition(name: str) -> None:
    declared = perturbation(name)
    for option in declared.repeated.values():
        others = tuple(id for id in declared.conditions if declared.repeated.get(id) != option)
        number = _golden(name)["options"][option]
        few, many = (_logits(name, others, **{option: count}) for count in (number, number + 1))
        assert few.keys() == many.keys() != set()
        assert all(few[condition].equal(many[condition]) for condition in few)


def test_conditions_of_the_record_differ() -> None:
    """Perturbations that changed nothing would hide behind equal numbers."""
    clean = _numbers("none")["none 0"]
    for name in NAMES:
        if name != "none":
            assert any(abs(loss - clean) > 1e-3 for loss in _numbers(name).values()), name


def _recorded(name: str, golden: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a perturbation or a measurement with its present numbers."""
    if name in measurements():
        return golden | {"protocol": measurements()[name].protocol, "means": _means(name)}
    losses = _transferred() if name == "transfer" else _numbers(name)
    return golden | {"protocol": protocol_of(name), "losses": losses}


def _record(experiments: Sequence[str]) -> None:
    """Write the numbers of some experiments into their records."""
    paths = {path.parent.name: path for path in map(_record_of, [*NAMES, *measurements()])}
    paths["transfer"] = _record_of("transfer")
    for experiment in experiments:
        if experiment not in paths:
            raise ValueError(f"experiment is {experiment!r}; allowed: {', '.join(paths)}")
    for path in map(paths.__getitem__, experiments):
        goldens = json.loads(path.read_text())
        record = {name: _recorded(name, golden) for name, golden in goldens.items()}
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
