"""ImageNet-C as stored files: copies of the clean images, and published mCE."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.experiments.corruptions.names import BENCHMARK_CORRUPTIONS
from perturb.tables.connection import define_functions
from perturb.tables.declared import perturbations
from perturb.tables.queries import relation_file
from perturb.tables.run import make_table
from tests.hand_made import Rows, counted, decided, resnet, vit, written
from tests.study_tables import rows_where

DIVIDED = {"has_denominators": 1.0}

ROOT = Path(__file__).parents[3]
ALEXNET = ROOT / "resources" / "alexnet_errors.csv"
TESTBED = ROOT / "tests" / "data" / "imagenet_testbed_corruptions.csv"
NUM_IMAGES = 50_000
SETS = [
    {"dataset": "shapes", "label": "Clean", "role": "clean"},
    {"dataset": "c", "label": "ImageNet-C", "role": "corrupted"},
]


def published_models() -> list[dict[str, str]]:
    """Return the models with all 75 cells: correct predictions of each, and the published means."""
    with TESTBED.open(newline="") as file:
        return list(csv.DictReader(file))


def test_mce_of_every_published_model_to_the_printed_digit() -> None:
    """mCE from sums of the published accuracies equals the published value."""
    models = published_models()
    assert len(models) == 200
    published = {row["model"]: row["c15_ondisk_mCE"] for row in models}
    with duckdb.connect() as connection:
        define_functions(connection)
        for name, rows in _relations(models).items():
            connection.register(name, pa.Table.from_pylist(rows))
        connection.execute(f"CREATE VIEW reference_errors AS FROM '{ALEXNET}'")
        connection.register("perturbations", perturbations())
        for relation in ("corruption_names", "reference_sums", "corruption_errors"):
            connection.execute(relation_file(relation).read_text())
        found = connection.sql("FROM mean_corruption_errors").to_arrow_table().to_pylist()
    assert {row["model"]: f"{100 * row['mce']:.3f}" for row in found} == published


def _relations(models: Sequence[dict[str, str]]) -> dict[str, Rows]:
    corruptions = [
        {"corruption": name, "position": place, "is_benchmark": True}
        for place, name in enumerate(BENCHMARK_CORRUPTIONS)
    ]
    cells = [
        {"perturbation": "stored_corruptions", "condition": name, "severity": float(severity)}
        for name in BENCHMARK_CORRUPTIONS
        for severity in range(1, 6)
    ]
    sums = [
        {**corruption, "model": row["model"], "dataset": "c", "num_images": NUM_IMAGES}
        | {"num_severities": 5, "sum_wrong2": 0}
        | {"sum_wrong": 5 * NUM_IMAGES - sum(_right(row, corruption["corruption"]))}
        for row in models
        for corruption in corruptions
    ]
    datasets = [{"dataset": row["dataset"], "role": row["role"]} for row in SETS]
    return {
        "corruptions": corruptions,
        "cells": cells,
        "corruption_sums": sums,
        "datasets": datasets,
    }


def _right(row: dict[str, str], corruption: str) -> list[int]:
    return [int(row[f"{corruption}.{severity}"]) for severity in range(1, 6)]


def test_mce_of_a_published_model_from_its_predictions(tmp_path: Path) -> None:
    """mCE of ResNet-50 from 3.75 million predictions on stored files and those on clean images."""
    [row] = [row for row in published_models() if row["model"] == "resnet50"]
    numbers = np.arange(NUM_IMAGES)
    files = np.char.add(np.char.mod("ILSVRC2012_val_%08d", numbers), ".JPEG")
    ids = pa.array(np.char.add("n01440764/", files))
    clean = tmp_path / "clean.parquet"
    shards = [counted(clean, "resnet50", "shapes", "none", 0, {"none": 38_065}, pa.array(files))]
    for severity in range(1, 6):
        right = {name: _right(row, name)[severity - 1] for name in BENCHMARK_CORRUPTIONS}
        path = tmp_path / f"{severity}.parquet"
        shards.append(counted(path, "resnet50", "c", "stored_corruptions", severity, right, ids))
    sources = stored(tmp_path, [resnet("resnet50")], [])
    sources |= {"predictions": shards, "reference_errors": ALEXNET}
    [found] = make_table("corruption_error", sources, DIVIDED, threads=2).to_pylist()
    assert f"{100 * found['mce']:.3f}" == row["c15_ondisk_mCE"] == "78.202"
    assert f"{100 * found['mean_accuracy']:.3f}" == row["c15_ondisk_mean_acc"] == "38.104"
    assert (found["num_images"], found["clean_error"]) == (NUM_IMAGES, 0.2387)


def stored(folder: Path, models: Rows, predictions: Rows) -> dict[str, Any]:
    """Write a study with a clean set and its stored corruptions."""
    sources = written(folder, models, predictions)
    pq.write_table(pa.Table.from_pylist(SETS), sources["datasets"])
    return sources


def corrupted(outcomes: str, ids: Sequence[str], severity: float = 1.0) -> Rows:
    """Return predictions on stored files, one for each letter of `outcomes`."""
    rows = decided("a", outcomes, perturbation="stored_corruptions", condition="fog", dataset="c")
    return [
        {**row, "severity": severity, "image_id": id} for row, id in zip(rows, ids, strict=True)
    ]


def clean(outcomes: str, ids: Sequence[str]) -> Rows:
    """Return predictions on clean images."""
    rows = decided("a", outcomes)
    return [{**row, "image_id": id} for row, id in zip(rows, ids, strict=True)]


FILES = ["n1/x.JPEG", "n1/y.JPEG", "n2/z.JPEG"]


@pytest.mark.parametrize(
    "ids",
    [
        FILES,
        ["x.JPEG", "y.JPEG", "z.JPEG"],
        # Ids are matched first: file names may occur in several folders.
        ["n1/x.JPEG", "n1/y.JPEG", "n2/z.JPEG", "n2/x.JPEG"],
    ],
    ids=["same ids", "same file names", "file names twice"],
)
def test_stored_corruptions_are_copies_of_clean_images(tmp_path: Path, ids: list[str]) -> None:
    predictions = [*clean("1" * len(ids), ids), *corrupted("100", FILES)]
    sources = stored(tmp_path, [vit("a", 16)], predictions)
    table = make_table("accuracy", sources)
    [row] = rows_where(table, test_set="corruptions")
    assert row["test_set_label"] == "Corruptions (stored)"
    assert (row["dataset"], row["num_images"]) == ("c", 3)
    assert row["accuracy"] == pytest.approx(1 / 3)
    [row] = make_table("corruption_accuracy", sources).to_pylist()
    assert (row["corruption"], row["accuracy"]) == ("fog", pytest.approx(1 / 3))


def test_relative_errors_are_paired_with_the_clean_copies(tmp_path: Path) -> None:
    """One of the two corrupted images is incorrect when clean, so corruption does not lose it."""
    reference = tmp_path / "reference.csv"
    rows = [("none", "", 0.25), *((name, "", 0.75) for name in BENCHMARK_CORRUPTIONS)]
    text = "\n".join(f"{name},{severity},{error}" for name, severity, error in rows)
    reference.write_text(f"corruption,severity,error\n{text}\n")
    predictions = list(clean("011", ["x", "y", "z"]))
    for name in BENCHMARK_CORRUPTIONS:
        for severity in range(1, 6):
            rows_of = corrupted("00", ["n1/x", "n1/y"], float(severity))
            predictions += [{**row, "condition": name} for row in rows_of]
    sources = stored(tmp_path, [vit("a", 16)], predictions)
    [row] = make_table(
        "corruption_error", {**sources, "reference_errors": reference}, DIVIDED
    ).to_pylist()
    assert (row["num_images"], row["clean_error"]) == (2, 0.5)
    assert row["mce"] == pytest.approx(1 / 0.75)
    assert row["relative_mce"] == pytest.approx((1 - 0.5) / (0.75 - 0.25))


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        (
            [*clean("11", ["x", "y"]), *corrupted("10", ["n1/x", "n1/q"])],
            "stored_corruptions has 1 images without a clean copy, such as n1/q",
        ),
        (
            [*clean("11", ["n1/x", "n2/x"]), *corrupted("1", ["x"])],
            "stored_corruptions has 1 images without a clean copy, such as x",
        ),
        (
            [*clean("1", ["x"]), *corrupted("11", ["n1/x", "n2/x"])],
            "stored_corruptions has several images that are copies of x",
        ),
    ],
)
def test_other_files_are_refused(tmp_path: Path, predictions: Rows, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_table("accuracy", stored(tmp_path, [vit("a", 16)], predictions))
