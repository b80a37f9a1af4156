"""Measurements are checked before tables read them: their content and their identity."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.evaluation.keeping import Task
from perturb.evaluation.measurements import write_measurement
from perturb.plan.check_shards import _verify_measurement

A, B = Path("a.parquet"), Path("b.parquet")


def _edit() -> None:
    table = pq.read_table(A)
    edited = pa.table({"value": [0.5, 0.5]}).replace_schema_metadata(table.schema.metadata)
    pq.write_table(edited, A)


FAULTS: dict[str, tuple[Callable[[], object], str]] = {
    "of another identity": (
        lambda: shutil.copyfile(B, A),
        "a.parquet: was made of other images, weights or settings than the study's",
    ),
    "edited": (_edit, "a.parquet: was changed after it was written"),
    "cut short": (lambda: A.write_bytes(b"PAR1"), "a.parquet: not a whole Parquet file"),
    "foreign": (lambda: pq.write_table(pa.table({"x": [1]}), A), "a.parquet: not a shard"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_measurement_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path, identity in ((A, "0"), (B, "1")):
        facts = {"model": path.stem, "identity": identity}
        write_measurement(path, pa.table({"value": [0.5, 0.25]}), facts)
    task = Task("a", A, {}, "0", is_measurement=True)
    _verify_measurement(task)
    spoil, expected = FAULTS[name]
    spoil()
    with pytest.raises(ValueError, match=expected):
        _verify_measurement(task)
