"""How often the evaluation of a cell would wait for a GPU, counted on a CPU.

What is counted is the difference between a cell of eight batches and one of four: what a batch
costs, without the end of the cell, where each column is read once.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from perturb.datasets.store import ImageStore
from perturb.evaluation.cell import Cell
from perturb.evaluation.loop import Subject, evaluate_cell
from perturb.evaluation.outcome import Setting
from perturb.experiments.registry import evaluator as evaluator_of
from perturb.experiments.registry import perturbation
from perturb.models.classifier import Preprocessing
from tests.attacked_networks import SIDE, make_classifier, make_images
from tests.device_counts import Counts, counted

BATCH = 6
SMALL = {"translations": 3, "samples": 5}
CARD: Any = SimpleNamespace(weights_sha256="0", preprocessing=Preprocessing(SIDE))


def counts_of(
    name: str, severity: str, num_batches: int, *conditions: str, kind: str = "vit", **options: Any
) -> Counts:
    """Return the counts of a cell; two of the six images of each batch are predicted incorrectly.

    All batches hold the same images, so that each costs the same.
    """
    classifier = make_classifier(kind)
    images = make_images(classifier, BATCH, num_wrong=2)
    count = BATCH * num_batches
    manifest = {
        "image_id": pa.array([str(number) for number in range(count)]),
        "image_key": pa.array(images.keys.tolist() * num_batches, pa.int64()),
        "target": pa.array(images.targets.tolist() * num_batches, pa.int16()),
    }
    pixels = np.tile(images.pixels.numpy(), (num_batches, 1, 1, 1))
    store = ImageStore(pixels, pa.table(manifest))
    names = conditions or perturbation(name).conditions
    cell = Cell("a", "test", name, severity)
    with counted() as counts:
        evaluate_cell(
            Subject(classifier, CARD, torch.device("cpu")),
            dict.fromkeys(names, store),
            cell,
            Setting(names, cell.severity_value, 1, options),
            evaluator_of(name),
            protocol=1,
            batch_size=BATCH,
        )
    return counts


def waits_a_batch(name: str, severity: str, *conditions: str, **options: Any) -> float:
    """Return the synchronisations of one batch."""
    few, many = (counts_of(name, severity, number, *conditions, **options) for number in (4, 8))
    return (many.syncs - few.syncs) / 4


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_a_batch_of_clean_images_is_not_waited_for(kind: str) -> None:
    assert waits_a_batch("none", "0", kind=kind) == 0


def test_a_batch_of_corrupted_images_is_not_waited_for() -> None:
    assert waits_a_batch("corruptions", "3", "brightness", "contrast") == 0


def test_predictions_take_a_few_kernels() -> None:
    few, many = (counts_of("none", "0", number) for number in (4, 8))
    classifier = make_classifier("vit")
    images = make_images(classifier, BATCH)
    with torch.inference_mode(), counted() as forward:
        classifier(images.pixels)
    assert (many.kernels - few.kernels) / 4 - forward.kernels <= 40


@pytest.mark.parametrize("options", [{"steps": 2}, {"steps": 20}])
@pytest.mark.parametrize("kind", ["vit", "blind"])
def test_pgd_waits_once_a_batch(kind: str, options: dict[str, int]) -> None:
    assert waits_a_batch("pgd", "1_255", kind=kind, **options) <= 1
    assert waits_a_batch("fgsm", "1_255", kind=kind) <= 1


def test_each_restart_of_pgd_waits_once() -> None:
    options = {"random_start": True, "restarts": 5, "kind": "blind"}
    # The clean pass, and four of the five restarts, on three batches where the dataset has four.
    assert waits_a_batch("pgd", "1_255", **options) == 1 + 4 * 3 / 4


@pytest.mark.parametrize(
    ("name", "few", "many"),
    [
        (
            "attack_ensemble",
            {"steps": 4, "queries": 10, "targets": 1},
            {"steps": 16, "queries": 40, "targets": 1},
        ),
        ("spatial", SMALL | {"rotations": 3}, SMALL | {"rotations": 13}),
    ],
)
def test_four_times_the_steps_wait_a_few_times_more(
    name: str, few: dict[str, int], many: dict[str, int]
) -> None:
    """A stage waits once, and stages grow as the logarithm of the number of steps."""
    severity = "1" if name == "spatial" else "1_255"
    # Nothing misleads this network, so that all images go through all stages.
    waits = [waits_a_batch(name, severity, kind="blind", **options) for options in (few, many)]
    num_runs = 3 if name == "attack_ensemble" else 1
    assert waits[0] < waits[1] <= waits[0] + 4 * num_runs
    assert waits[1] < 15 * num_runs
