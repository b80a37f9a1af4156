"""Measurements are checked before tables read them: their content, their model, their seed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.config import Config, load_config
from perturb.evaluate.measurements import write_measurement
from perturb.experiments.registry import measurements
from perturb.plan.check_measurements import check_measurements
from perturb.plan.paths import Paths

NAMES = ("perturbation_patterns", "layer_correlations")


@pytest.fixture
def config(tiny_study: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Return a study with the measurements of two models."""
    monkeypatch.chdir(tmp_path)
    tiny_study["analyses"] = {name: {"dataset": "test", "images": 4} for name in NAMES}
    config = load_config(tiny_study)
    for path, facts in _facts(config).items():
        write_measurement(Path(path), pa.table({"value": [0.5, 0.25]}), facts)
    return config


def _facts(config: Config) -> dict[str, dict[str, Any]]:
    paths = Paths(config.results)
    return {
        paths.measurement(model, name): {
            "model": model,
            "measurement": name,
            "protocol": measurements()[name].protocol,
            "seed": config.seed,
            "identity": "0",
        }
        for name in NAMES
        for model in config.benchmark_models
    }


A, B = (f"results/measurements/{model}/layer_correlations.parquet" for model in "ab")


def _rewrite(**changes: Any) -> Callable[[Config], None]:
    def write(config: Config) -> None:
        write_measurement(Path(A), pa.table({"value": [1.0]}), _facts(config)[A] | changes)

    return write


def _edit(_: Config) -> None:
    table = pq.read_table(A)
    edited = pa.table({"value": [0.5, 0.5]}).replace_schema_metadata(table.schema.metadata)
    pq.write_table(edited, A)


FAULTS: dict[str, tuple[Callable[[Config], object], str]] = {
    "of another model": (lambda _: shutil.copyfile(B, A), f"{A}: model is 'b', expected 'a'"),
    "of another kind": (
        lambda _: shutil.copyfile(A.replace(*NAMES[::-1]), A),
        f"{A}: measurement is 'perturbation_patterns', expected 'layer_correlations'",
    ),
    "of another seed": (_rewrite(seed=1), f"{A}: seed is 1, expected 2021"),
    "of an old protocol": (_rewrite(protocol=0), f"{A}: protocol is 0, expected"),
    "edited": (_edit, f"{A}: was changed after it was written"),
    "cut short": (lambda _: Path(A).write_bytes(b"PAR1"), f"{A}: not a whole Parquet file"),
    "foreign": (lambda _: pq.write_table(pa.table({"x": [1]}), A), f"{A}: not a shard"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_measurement_is_named_with_the_remedy(name: str, config: Config) -> None:
    check_measurements(config, _facts(config))
    spoil, expected = FAULTS[name]
    spoil(config)
    with pytest.raises(ValueError, match="1 measurement is not what the study needs") as caught:
        check_measurements(config, _facts(config))
    assert expected in str(caught.value)
    check_measurements(config, {B})  # which another table reads
