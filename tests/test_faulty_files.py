"""Files that are cut short, exchanged or edited: named before any table, and made again."""

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.faults import complete, launch, without
from tests.workspace import Workspace

pytestmark = pytest.mark.slow


def _exchange(one: Path, other: Path) -> None:
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def edit(path: Path) -> None:
    """Turn a right prediction of a shard into a wrong one, with all that follows from it."""
    table = pq.read_table(path, partitioning=None)
    predictions = table["prediction"].to_pylist()
    predictions[0] = (predictions[0] + 1) % 12
    for name, values in (
        ("prediction", pa.array(predictions, pa.int16())),
        ("is_correct", pc.equal(pa.array(predictions, pa.int16()), table["target"])),
    ):
        table = table.set_column(table.column_names.index(name), name, values)
    pq.write_table(table, path, compression="zstd")


def test_faulty_shards_are_evaluated_again(finished: Workspace, tmp_path: Path) -> None:
    workspace = without(finished.copy(tmp_path / "copy"))
    results = workspace.folder / "results"
    shards, corruptions = results / "shards", "test/corruptions/1.parquet"
    _cut_short(shards / "a/test/none/0.parquet")
    edit(shards / "reference/test/none/0.parquet")
    _exchange(shards / "a" / corruptions, shards / "reference" / corruptions)
    for path in shards.rglob("*.parquet"):
        path.touch()
    complete(workspace, finished)
    logs = "".join(log.read_text() for log in results.glob("logs/evaluate/*/*"))
    for reason in ("not a whole Parquet file", "was changed after it was written"):
        assert len(re.findall(rf"evaluated again: .*{reason}", logs)) == 1
    assert logs.count("evaluated again: it was made of something else") == 2


def _exchange_weights(results: Path) -> dict[str, str]:
    files = [f"results/checkpoints/{model}/weights.safetensors" for model in ("a", "reference")]
    _exchange(*(results.parent / file for file in files))
    return dict.fromkeys(files, "but its card says")


@pytest.mark.parametrize(
    ("break_files", "fault"),
    [
        (
            lambda results: _cut_short(results / "decoded/test/manifest.parquet"),
            "decoded/test/manifest.parquet: ",
        ),
        pytest.param(
            lambda r: _exchange(r / "checkpoints/a", r / "checkpoints/reference"),
            "checkpoints/a/card.json: is the card of model 'reference'",
            marks=pytest.mark.exhaustive,
        ),
    ],
)
def test_what_does_not_say_that_it_is_the_studys_own_is_made_again(
    finished: Workspace, tmp_path: Path, break_files: Callable[[Path], None], fault: str
) -> None:
    workspace = without(finished.copy(tmp_path / "copy"))
    break_files(workspace.folder / "results")
    assert f"Made again: results/{fault}" in complete(workspace, finished)


def _cut_images_short(results: Path) -> dict[str, str]:
    _cut_short(results / "decoded/test/images.npy")
    return {"results/decoded/test/images.npy": "cannot be read"}


@pytest.mark.parametrize(
    "break_files",
    [_cut_images_short, pytest.param(_exchange_weights, marks=pytest.mark.exhaustive)],
)
def test_faulty_files_are_named_and_made_again(
    finished: Workspace, tmp_path: Path, break_files: Callable[[Path], dict[str, str]]
) -> None:
    workspace = without(finished.copy(tmp_path / "copy"), "shards", "receipts")
    results = workspace.folder / "results"
    (results / "models.parquet").unlink()
    faults = break_files(results)
    told = launch(workspace, status=1)
    for path, fault in faults.items():
        # In one line, which names the file.
        assert re.search(rf"{re.escape(path)}: .*{re.escape(fault)}", told), (path, told)
    assert not (results / "tables").exists()
    for path in faults:
        (workspace.folder / path).unlink()
    complete(workspace, finished)
