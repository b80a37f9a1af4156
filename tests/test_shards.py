"""Shards: written whole or not at all, small, documented, and refused if anything is wrong."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

from perturb.datasets.store import ImageStore
from perturb.evaluation.cell import Cell
from perturb.evaluation.content_digest import content_digest
from perturb.evaluation.loop import Subject, evaluate_cell
from perturb.evaluation.outcome import Outcome, Setting
from perturb.evaluation.rows import predictions
from perturb.evaluation.shards import (
    METADATA_KEY,
    NAMES,
    SCHEMA,
    Expected,
    read_metadata,
    verify_shard,
    write_shard,
)
from perturb.experiments import registry
from perturb.models.classifier import Classifier, Preprocessing
from perturb.plan.paths import Paths
from tests.synthetic_shards import shard

DOCUMENT = Path(__file__).parents[1] / "docs" / "shards.md"
IMAGE_IDS = [f"test/test/{index:06d}" for index in range(20)]
CONDITIONS = ("brightness", "contrast")
EXPECTED = Expected(
    cell=Cell("a", "test", "corruptions", "3"),
    samples=dict.fromkeys(CONDITIONS, (0,)),
    image_ids=pa.array(IMAGE_IDS),
    protocol=1,
    seed=2021,
    weights_sha256="f" * 64,
    identity="e" * 32,
    identities=dict.fromkeys(CONDITIONS, "d" * 32),
)
METADATA: dict[str, Any] = {
    "identity": "e" * 32,
    "identities": dict.fromkeys(CONDITIONS, "d" * 32),
    "model": "a",
    "dataset": "test",
    "perturbation": "corruptions",
    "severity": 3.0,
    "protocol": 1,
    "seed": 2021,
    "weights_sha256": "f" * 64,
    "options": {},
    "source_sha256": None,
}


def _table() -> pa.Table:
    random = np.random.default_rng(0)
    targets = np.tile(np.arange(20) % 12, (2, 1))
    predictions = random.integers(0, 12, targets.shape)
    return shard(
        "a",
        "test",
        perturbation="corruptions",
        severity=3,
        conditions=CONDITIONS,
        is_correct=predictions == targets,
        added={
            "target": targets,
            "prediction": predictions,
            "target_probability": random.random(targets.shape),
            "loss": random.random(targets.shape),
            "confidence": random.random(targets.shape),
        },
    )


def _replaced(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    index = table.schema.get_field_index(name)
    return table.set_column(index, name, pa.array(values).cast(SCHEMA.field(name).type))


def test_shard_comes_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "3.parquet"
    write_shard(path, _table(), METADATA)
    assert verify_shard(path, EXPECTED) == METADATA
    assert pq.read_table(path, partitioning=None).equals(_table())
    assert [file.name for file in path.parent.iterdir()] == ["3.parquet"]


def test_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "3.parquet"
    write_shard(path, _table().take(np.random.default_rng(1).permutation(40)), METADATA)
    verify_shard(path, EXPECTED)


def _imagenet_ids(random: np.random.Generator) -> list[str]:
    """Return ids of 50,000 images like those of ImageNet's validation set, sorted by class."""
    synsets = np.sort(random.choice(np.arange(1440764, 15075141), 1000, replace=False))
    numbers = np.sort(random.permutation(50_000).reshape(1000, 50) + 1, axis=1)
    return [
        f"val/n{synset:08d}/ILSVRC2012_val_{number:08d}.JPEG"
        for synset, own in zip(synsets, numbers, strict=True)
        for number in own
    ]


@pytest.mark.parametrize("margin", [8.0, 5.0, 2.0, None])
def test_50_000_rows_take_less_than_700_kb(margin: float | None, tmp_path: Path) -> None:
    """Logits of 1,000 classes whose target is raised by a margin, or numbers without any order."""
    random = np.random.default_rng(0)
    targets = np.repeat(np.arange(1000), 50)
    if margin is None:
        predicted = random.integers(0, 1000, 50_000)
        numbers = random.random((3, 50_000), np.float32)
        is_top5 = random.random(50_000) < 0.5
    else:
        logits = random.standard_normal((50_000, 1000), np.float32) * 1.5
        raised = random.standard_normal(50_000, np.float32) * 3 + margin
        logits[np.arange(50_000), targets] += raised
        outcome = Outcome("none", 0, torch.from_numpy(logits))
        made: Any = predictions(outcome, torch.from_numpy(targets), None, None)
        predicted, is_top5 = made["prediction"].numpy(), made["is_top5"].numpy()
        numbers = np.stack([made[name] for name in ("target_probability", "loss", "confidence")])
    table = shard(
        "model",
        "dataset",
        perturbation="perturbation",
        severity=0,
        conditions=["condition"],
        is_correct=(predicted == targets)[None],
        added={
            "image_id": np.array(_imagenet_ids(random)),
            "target": targets,
            "prediction": predicted,
            "is_top5": is_top5,
            **dict(zip(("target_probability", "loss", "confidence"), numbers, strict=True)),
        },
    )
    path = tmp_path / "0.parquet"
    write_shard(path, table, METADATA)
    assert path.stat().st_size < 700_000
    assert pq.read_table(path, partitioning=None).equals(table)


def _rewritten(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    return lambda path: write_shard(path, change(_table()), METADATA)


def _with_metadata(**changes: Any) -> Callable[[Path], None]:
    return lambda path: write_shard(path, _table(), METADATA | changes)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    loss = SCHEMA.get_field_index("loss")
    page = pq.read_metadata(path).row_group(0).column(loss)
    content[page.data_page_offset + page.total_compressed_size // 2] ^= 1
    path.write_bytes(content)


def _flip(table: pa.Table) -> pa.Table:
    return _replaced(table, "is_correct", pc.invert(table["is_correct"]).to_pylist())


def _edit(path: Path, **written: Any) -> None:
    """Turn a wrong prediction into a right one, consistently, and write that as any program may."""
    table = pq.read_table(path, partitioning=None)
    row = table["is_correct"].to_pylist().index(False)
    predictions, hits = table["prediction"].to_pylist(), table["is_correct"].to_pylist()
    predictions[row], hits[row] = table["target"][row].as_py(), True
    table = _replaced(_replaced(table, "prediction", predictions), "is_correct", hits)
    pq.write_table(table, path, **written)


def _edit_metadata(path: Path) -> None:
    table = pq.read_table(path, partitioning=None)
    facts = dict(table.schema.metadata)
    facts[METADATA_KEY] = facts[METADATA_KEY].replace(
        b'"seed": 2021', b'"seed": 2021, "seconds": 1'
    )
    pq.write_table(table.replace_schema_metadata(facts), path)


def _drop_digest(path: Path) -> None:
    table = pq.read_table(path, partitioning=None)
    facts = {METADATA_KEY: table.schema.metadata[METADATA_KEY]}
    pq.write_table(table.replace_schema_metadata(facts), path)


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "not a whole Parquet file"),
    "cut short": (_truncate, "not a whole Parquet file"),
    "a bit flipped": (_damage, "not a whole Parquet file"),
    "text": (lambda path: path.write_text("model,dataset\n"), "not a whole Parquet file"),
    "foreign": (lambda path: pq.write_table(pa.table({"x": [1]}), path), "not a shard"),
    "other model": (_with_metadata(model="b"), "model is 'b', expected 'a'"),
    "other severity": (_with_metadata(severity=2.0), "severity is 2.0, expected 3.0"),
    "old protocol": (_with_metadata(protocol=0), "protocol is 0, expected 1"),
    "other seed": (_with_metadata(seed=1), "seed is 1, expected 2021"),
    "other weights": (_with_metadata(weights_sha256="0"), "weights_sha256 is '0'"),
    "rows of another model": (
        _rewritten(lambda table: _replaced(table, "model", ["a"] * 39 + ["b"])),
        "rows of model",
    ),
    "too few rows": (_rewritten(lambda table: table.slice(0, 39)), "39 rows, expected 40"),
    "a row twice": (
        _rewritten(lambda table: pa.concat_tables([table.slice(0, 39), table.slice(0, 1)])),
        "does not hold each image",
    ),
    "unknown condition": (
        _rewritten(lambda table: _replaced(table, "condition", ["contrast"] * 20 + ["fog"] * 20)),
        "condition 'brightness'",
    ),
    "a sample that was not asked for": (
        _rewritten(lambda table: _replaced(table, "sample", [0] * 20 + [1] * 20)),
        "sample 0 of condition 'contrast'",
    ),
    "other options": (_with_metadata(options={"steps": 4}), "options is {'steps': 4}, expected {}"),
    "other source": (_with_metadata(source_sha256="0"), "source_sha256 is '0', expected None"),
    "an edited prediction": (_edit, "was changed after it was written"),
    "an edited prediction without metadata": (
        lambda path: _edit(path, store_schema=False),
        "not a shard",
    ),
    "edited metadata": (_edit_metadata, "was changed after it was written"),
    "without digest": (_drop_digest, "has no digest"),
    "without identity": (_with_metadata(identity=None), "has no identity of its cell; delete"),
    "another identity": (_with_metadata(identity="0" * 32), "identity does not follow from those"),
    "an exchanged condition": (
        _with_metadata(identities={"brightness": "d" * 32, "contrast": "0" * 32}),
        r"was made of other images, weights or settings .* \(condition contrast\)",
    ),
    "edited predictions": (_rewritten(_flip), "`is_correct` does not follow"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_shard_is_named_and_refused(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "3.parquet"
    write_shard(path, _table(), METADATA)
    break_it, message = FAULTS[fault]
    break_it(path)
    with pytest.raises(ValueError, match=message) as caught:
        verify_shard(path, EXPECTED)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        {"compression": "gzip"},
        {"row_group_size": 7},
        {"use_dictionary": False},
        {"column_encoding": {"loss": "PLAIN"}, "use_dictionary": False},
    ],
)
def test_the_digest_is_that_of_the_content_not_of_the_file(
    tmp_path: Path, written: dict[str, Any]
) -> None:
    path = tmp_path / "3.parquet"
    write_shard(path, _table(), METADATA)
    pq.write_table(pq.read_table(path, partitioning=None), path, **written)
    verify_shard(path, EXPECTED)


def _other(value: Any, *, is_text: bool) -> Any:
    if is_text or isinstance(value, str):
        return f"{value or ''}x"
    return not value if isinstance(value, bool) else (value or 0) + 1


def test_the_digest_sees_every_column_and_what_is_null() -> None:
    table = _table()
    seen = {content_digest(table, "{}"), content_digest(table, "{ }")}
    for name in SCHEMA.names:
        values = table[name].to_pylist()
        values[5] = _other(values[5], is_text=name in ("image_id", "removed"))
        seen.add(content_digest(_replaced(table, name, values), "{}"))
        seen.add(content_digest(_replaced(table, name, [*values[:5], None, *values[6:]]), "{}"))
    # Of each column but those that are null anyway, another value and none at all.
    num_absent = sum(table[name].null_count == len(table) for name in SCHEMA.names)
    assert len(seen) == 2 + 2 * len(SCHEMA.names) - num_absent


def test_shard_without_the_right_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "3.parquet"
    metadata = {METADATA_KEY: json.dumps(METADATA)}
    pq.write_table(_table().drop_columns("confidence").replace_schema_metadata(metadata), path)
    message = f"{path}: has no column confidence; delete the folder `shards` of its study, and the "
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        verify_shard(path, EXPECTED)
    assert "\n" not in str(caught.value)
    wide = _table().set_column(13, "confidence", pa.nulls(40, pa.float64()))
    pq.write_table(wide.replace_schema_metadata(metadata), path)
    with pytest.raises(ValueError, match=r"columns are .*double.*; delete the folder `shards`"):
        verify_shard(path, EXPECTED)


def test_a_write_that_fails_leaves_the_old_shard(tmp_path: Path) -> None:
    path = tmp_path / "3.parquet"
    write_shard(path, _table(), METADATA)
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_shard(path, _table().slice(0, 1), METADATA | {"model": object()})
    verify_shard(path, EXPECTED)
    assert len(list(tmp_path.iterdir())) == 1


def test_images_of_another_data_set_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "3.parquet"
    write_shard(path, _table(), METADATA)
    other = replace(EXPECTED, image_ids=pa.array([id.replace("test", "val") for id in IMAGE_IDS]))
    with pytest.raises(ValueError, match="does not hold each image of 'test'"):
        verify_shard(path, other)
    assert read_metadata(path)["model"] == "a"


def test_the_document_lists_the_columns_of_the_schema() -> None:
    names = {pa.string(): "text", NAMES: "text (dictionary)", pa.float32(): "float32"}
    names |= {pa.float64(): "float64"}
    listed = DOCUMENT.read_text().partition("## Columns")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", listed, re.MULTILINE)
    columns = [(field.name, names.get(field.type, str(field.type))) for field in SCHEMA]
    assert rows == columns


def test_the_document_lists_the_metadata() -> None:
    metadata = DOCUMENT.read_text().partition("## Metadata")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`[^|]+) \|", metadata, re.MULTILINE)
    keys = re.findall(r"`(\w+)`", " ".join(first_cells))
    network = torch.nn.Flatten()
    network.num_classes = 12
    classifier = Classifier(network, Preprocessing(side=2)).eval()
    card: Any = SimpleNamespace(weights_sha256="0", preprocessing=Preprocessing(side=2))
    subject = Subject(classifier, card, torch.device("cpu"))
    manifest = pa.table({"image_id": ["a"], "image_key": [1], "target": [0]})
    store = ImageStore(np.zeros((1, 3, 2, 2), np.uint8), manifest)
    cell, setting = Cell("a", "test", "none", "0"), Setting(("none",), 0, 1)
    evaluator = registry.evaluator("none")
    _, made = evaluate_cell(
        subject, {"none": store}, cell, setting, evaluator, protocol=1, batch_size=1
    )
    assert sorted(keys) == sorted({*made, "identity", "identities", "earlier"})


def test_the_code_of_the_document_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    facts = METADATA | {"device": "CPU", "versions": {}}
    clean = _replaced(_table().slice(0, 20), "perturbation", ["none"] * 20)
    shards = {"corruptions/3": _table(), "none/0": _replaced(clean, "severity", [0.0] * 20)}
    paths = [f"results/shards/a/test/{cell}.parquet" for cell in shards]
    for path, table in zip(paths, shards.values(), strict=True):
        write_shard(Path(path), table, facts)
    for path, perturbation in zip(paths, ("corruptions", "none"), strict=True):
        inventory = Path(Paths("results").inventory(registry.experiment_of(perturbation)))
        inventory.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"path": [path], "perturbation": [perturbation]}), inventory)
    found: dict[str, Any] = {}
    for code in re.findall(
        r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL
    ):
        exec(code, found)
    accuracy, calibration = found["accuracy"], found["calibration"]
    assert accuracy.loc[("test", "a"), "is_correct"] == pc.mean(clean["is_correct"]).as_py()
    assert accuracy.loc[("test", "a"), "confidence"] == pytest.approx(
        pc.mean(clean["confidence"]).as_py()
    )
    assert calibration["perturbation"].tolist() == ["corruptions", "none"]
    assert calibration["calibration_error"].between(0, 1, inclusive="neither").all()
    assert found["facts"] == facts
    assert METADATA["identity"] in capsys.readouterr().out
