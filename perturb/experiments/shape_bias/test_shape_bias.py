"""Shape bias: published predictions, values computed by hand, and claim C9."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.tables.run import make_table
from tests.hand_made import Rows, decided, resnet, vit, written
from tests.interval_oracles import line_half_width
from tests.study_tables import Z95, rows_where, sql, table_of
from tests.synthetic_study import Study, make_study

RESNET50 = Path(__file__).parents[3] / "tests" / "data" / "cue_conflict_resnet50.csv"
CLASSES = Path(__file__).parents[3] / "resources" / "sixteen_classes.json"


def manifest(folder: Path, rows: Rows) -> list[Path]:
    """Write a manifest of stimuli."""
    pq.write_table(pa.Table.from_pylist(list(rows)), folder / "manifest.parquet")
    return [folder / "manifest.parquet"]


def named(model: str, predictions: list[int], **values: Any) -> Rows:
    """Return a model's predictions of the stimuli."""
    return [
        {
            **row,
            "dataset": "conflict",
            "target": target,
            "prediction": prediction,
            "is_correct": prediction == target,
        }
        for row, prediction, target in zip(
            decided(model, "0" * len(predictions), **values), predictions, SHAPES, strict=True
        )
    ]


SHAPES = [0, 0, 0, 1, 1, 1]
TEXTURES = [1, 1, 2, 0, 0, 1]  # the last is no conflict
STIMULI = [
    {"image_id": f"image-{place}", "target": shape, "texture": texture}
    for place, (shape, texture) in enumerate(zip(SHAPES, TEXTURES, strict=True))
]


def test_published_predictions_of_resnet50_have_the_published_bias(tmp_path: Path) -> None:
    """169 shapes, 620 textures: bethgelab/model-vs-human gives 21.4 %."""
    classes = {name: place for place, name in enumerate(json.loads(CLASSES.read_text()))}
    stimuli, predictions = [], []
    with RESNET50.open(newline="") as file:
        for row in csv.DictReader(file):
            match = re.fullmatch(r"([a-z]+)\d+-([a-z]+)\d+\.png", row["image"])
            assert match is not None
            shape, texture = (classes[name] for name in match.groups())
            image = {"image_id": row["image"], "target": shape}
            stimuli.append({**image, "texture": texture, "target_label": match[1]})
            prediction = classes[row["decision"]]
            values = {"prediction": prediction, "is_correct": prediction == shape, **image}
            predictions += decided("resnet-50", "0", dataset="conflict", **values)
    assert len(stimuli) == 1280
    paths = manifest(tmp_path, stimuli)
    sources = written(tmp_path, [resnet("resnet-50")], predictions, stimuli=paths)
    [row] = make_table("shape_bias", sources).to_pylist()
    assert (row["num_images"], row["num_shape"], row["num_texture"]) == (1200, 169, 620)
    assert row["shape_bias"] == pytest.approx(0.2142, abs=5e-5)
    assert row["shape_rate"] == 169 / 1200
    assert row["texture_rate"] == 620 / 1200
    by_class = make_table("shape_bias_classes", sources).to_pylist()
    assert [row["shape_class_label"] for row in by_class] == list(classes)
    assert {row["num_images"] for row in by_class} == {75}
    assert sum(row["num_shape"] for row in by_class) == 169


def test_sixteen_classes_are_those_of_the_protocol() -> None:
    classes = json.loads(CLASSES.read_text())
    assert list(classes) == sorted(classes)
    members = [member for members in classes.values() for member in members]
    assert (len(classes), len(members), len(set(members))) == (16, 207, 207)
    # tabby, German shepherd, airliner, analog clock
    for name, member in (("cat", 281), ("dog", 235), ("airplane", 404), ("clock", 409)):
        assert member in classes[name]


def test_shape_bias_by_hand(tmp_path: Path) -> None:
    # Shape, texture, neither; shape, shape; the last does not count.
    rows = named("a", [0, 1, 1, 1, 1, 1])
    sources = written(tmp_path, [vit("a", 8)], rows, stimuli=manifest(tmp_path, STIMULI))
    [row] = make_table("shape_bias", sources).to_pylist()
    assert (row["num_images"], row["num_shape"], row["num_texture"]) == (5, 3, 1)
    assert row["shape_bias"] == 0.75
    assert (row["shape_rate"], row["texture_rate"]) == (0.6, 0.2)
    assert row["shape_bias_low"] == pytest.approx(sql("wilson_low(3, 4)"))
    assert row["texture_rate_high"] == pytest.approx(sql("wilson_high(1, 5)"))
    first, second = make_table("shape_bias_classes", sources).to_pylist()
    assert (first["shape_class"], first["shape_class_label"]) == (0, "Class 0")
    assert (first["num_images"], first["shape_bias"]) == (3, 0.5)
    assert (second["num_images"], second["shape_bias"]) == (2, 1.0)


def test_a_model_that_names_neither_has_no_bias(tmp_path: Path) -> None:
    rows = named("a", [5] * 6)
    sources = written(tmp_path, [vit("a", 8)], rows, stimuli=manifest(tmp_path, STIMULI))
    [row] = make_table("shape_bias", sources).to_pylist()
    assert (row["shape_bias"], row["shape_bias_low"]) == (None, None)
    assert row["shape_rate"] == row["texture_rate"] == 0


def test_accuracy_leaves_conflicting_stimuli_out(tmp_path: Path) -> None:
    sources = written(
        tmp_path, [vit("a", 8)], [*decided("a", "10"), *named("a", [0, 0, 0, 1, 1, 1])]
    )
    table = make_table("accuracy", sources)
    assert [(row["test_set"], row["accuracy"]) for row in table.to_pylist()] == [("clean", 0.5)]


def test_claim_on_patch_size_is_a_paired_difference_of_ratios(tmp_path: Path) -> None:
    """The delta method against a bootstrap over images of the difference itself."""
    study = make_study(tmp_path, num_images=400, extras=("cue_conflict",), corruptions=["fog"])
    [row] = rows_where(table_of(study, "claims"), claim="C9")
    biases = {item["model"]: item for item in table_of(study, "shape_bias").to_pylist()}
    pairs = [(f"vit-s8-{name}", f"vit-s4-{name}") for name in ("small", "medium", "large")]
    differences = [
        biases[large]["shape_bias"] - biases[small]["shape_bias"] for large, small in pairs
    ]
    assert row["estimate"] == pytest.approx(np.mean(differences), abs=1e-12)
    assert row["num_images"] == biases["vit-s8-small"]["num_images"]
    assert row["num_models"] == 6
    shown = rows_where(table_of(study, "patch_pairs"), test_set="cue_conflict")
    found = [pair["patch_difference"] for pair in shown]
    assert found == pytest.approx(differences, abs=1e-12)
    cues = _cues(study, {model for pair in pairs for model in pair})
    half_width = row["estimate_high"] - row["estimate"]
    assert half_width == pytest.approx(Z95 * _bootstrap(cues, pairs), rel=0.06)
    influence, lowest, highest = {}, {}, {}
    for model, (shapes, textures) in cues.items():
        bias = shapes.sum() / (shapes.sum() + textures.sum())
        share = (shapes + textures).mean()
        influence[model] = (shapes - bias * (shapes + textures)) / share
        lowest[model], highest[model] = -bias / share, (1 - bias) / share
    images = np.mean([influence[large] - influence[small] for large, small in pairs], axis=0)
    reach = max(
        np.mean([highest[large] - lowest[small] for large, small in pairs]),
        np.mean([highest[small] - lowest[large] for large, small in pairs]),
    )
    assert half_width == pytest.approx(line_half_width(images, reach), abs=1e-12)


def _cues(study: Study, models: set[str]) -> dict[str, np.ndarray]:
    """Return whether each prediction is the image's shape and texture class, (2, images)."""
    stimuli = pq.read_table(study.stimuli[0]).to_pandas()
    is_conflict = (stimuli["target"] != stimuli["texture"]).to_numpy()
    cues = {}
    for model in models:
        [path] = [path for path in study.predictions if {model, "cue-conflict"} <= set(path.parts)]
        predictions = pq.read_table(path)["prediction"].to_numpy()
        both = np.stack([predictions == stimuli["target"], predictions == stimuli["texture"]])
        cues[model] = both[:, is_conflict].astype(int)
    return cues


def _bootstrap(cues: dict[str, np.ndarray], pairs: list[tuple[str, str]]) -> float:
    random = np.random.default_rng(4)
    num_images = next(iter(cues.values())).shape[1]
    drawn = [random.integers(num_images, size=num_images) for _ in range(2000)]

    def bias(model: str, images: np.ndarray) -> float:
        shapes, textures = cues[model][:, images].sum(axis=1)
        return shapes / (shapes + textures)

    resampled = [
        np.mean([bias(large, images) - bias(small, images) for large, small in pairs])
        for images in drawn
    ]
    return float(np.std(resampled, ddof=1))
