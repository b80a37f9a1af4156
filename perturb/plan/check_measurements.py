"""The check of the measurements that tables read, as `check_shards` is that of shards."""

from collections.abc import Container
from pathlib import Path

from perturb.config import Config
from perturb.evaluate.measurements import read_whole_measurement
from perturb.experiments.registry import measurements
from perturb.plan.asked import MEASUREMENTS, measured_models
from perturb.plan.check_shards import told
from perturb.plan.paths import Paths


def check_measurements(config: Config, files: Container[str]) -> None:
    """Check those of some files that are measurements of the study.

    Raises
    ------
    ValueError
        naming the files that were changed, or belong to another model or measurement.
    """
    paths, faults = Paths(config.results), []
    for name in MEASUREMENTS:
        for model in measured_models(config, name):
            path = paths.measurement(model, name)
            fault = _fault(config, path, name, model) if path in files else None
            faults += [fault] if fault else []
    if faults:
        raise ValueError(told(faults, "measurement"))


def _fault(config: Config, path: str, name: str, model: str) -> str | None:
    """Return the reason why a file is not that measurement of that model; None if it is."""
    try:
        metadata = read_whole_measurement(Path(path))
    except ValueError as error:
        return str(error)
    expected = {
        "model": model,
        "measurement": name,
        "protocol": measurements()[name].protocol,
        "seed": config.seed,
    }
    for key, value in expected.items():
        if metadata.get(key) != value:
            return f"{path}: {key} is {metadata.get(key)!r}, expected {value!r}"
    return None
