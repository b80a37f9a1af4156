"""Files that are cut short, exchanged or edited: named before any table, and made again."""

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.faults import assert_same, launch, without
from tests.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def finished(undisturbed: tuple[Workspace, float]) -> Workspace:
    """Return a workspace in which the study was run undisturbed."""
    return undisturbed[0]


def _exchange(one: Path, other: Path) -> None:
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def edit(path: Path) -> None:
    """Turn a right decision of a shard into a wrong one, with all that follows from it."""
    table = pq.read_table(path, partitioning=None)
    predictions = table["prediction"].to_pylist()
    predictions[0] = (predictions[0] + 1) % 12
    for name, values in (
        ("prediction", pa.array(predictions, pa.int16())),
        ("is_correct", pc.equal(pa.array(predictions, pa.int16()), table["target"])),
    ):
        table = table.set_column(table.column_names.index(name), name, values)
    pq.write_table(table, path, compression="zstd")


def _break_shards(results: Path) -> dict[str, str]:
    shards = results / "shards"
    _cut_short(shards / "a/test/none/0.parquet")
    edit(shards / "reference/test/none/0.parquet")
    corruptions = "test/corruptions/1.parquet"
    _exchange(shards / "a" / corruptions, shards / "reference" / corruptions)
    return {
        "results/shards/a/test/none/0.parquet": "not a whole Parquet file",
        "results/shards/reference/test/none/0.parquet": "was changed after it was written",
        "results/shards/a/test/corruptions/1.parquet": "model is 'reference', expected 'a'",
        "results/shards/reference/test/corruptions/1.parquet": "model is 'a', expected",
    }


def _cut_images_short(results: Path) -> dict[str, str]:
    _cut_short(results / "stores/test/images.npy")
    return {"results/stores/test/images.npy": "cannot be read"}


def _cut_manifest_short(results: Path) -> dict[str, str]:
    _cut_short(results / "stores/test/manifest.parquet")
    return {"results/stores/test/manifest.parquet": "cannot be read"}


def _exchange_weights(results: Path) -> dict[str, str]:
    files = [f"results/checkpoints/{model}/weights.safetensors" for model in ("a", "reference")]
    _exchange(*(results.parent / file for file in files))
    return dict.fromkeys(files, "but its card says")


def _exchange_checkpoints(results: Path) -> dict[str, str]:
    _exchange(results / "checkpoints/a", results / "checkpoints/reference")
    return {
        "results/checkpoints/a/card.json": "is the card of model 'reference', expected 'a'",
        "results/checkpoints/reference/card.json": "is the card of model 'a', expected 'reference'",
    }


@pytest.mark.parametrize(
    ("break_files", "is_evaluated"),
    [
        (_break_shards, True),
        pytest.param(_cut_images_short, False, marks=pytest.mark.exhaustive),
        pytest.param(_cut_manifest_short, False, marks=pytest.mark.exhaustive),
        pytest.param(_exchange_weights, False, marks=pytest.mark.exhaustive),
        pytest.param(_exchange_checkpoints, False, marks=pytest.mark.exhaustive),
    ],
)
def test_faulty_files_are_named_and_made_again(
    finished: Workspace,
    tmp_path: Path,
    break_files: Callable[[Path], dict[str, str]],
    is_evaluated: bool,
) -> None:
    workspace = without(finished.copy(tmp_path / "copy"), *([] if is_evaluated else ["shards"]))
    results = workspace.folder / "results"
    (results / "models.parquet").unlink()
    faults = break_files(results)
    status, told = launch(workspace)
    assert status == 1, told
    for path, fault in faults.items():
        # In one line, which names the file.
        assert re.search(rf"{re.escape(path)}: .*{re.escape(fault)}", told), (path, told)
    assert not (results / "tables").exists()
    for path in faults:
        (workspace.folder / path).unlink()
    status, told = launch(workspace)
    assert status == 0, told
    assert_same(workspace, finished)
