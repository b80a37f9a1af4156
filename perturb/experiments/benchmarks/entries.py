"""The entry `class_subset` of a configuration."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from perturb.datasets.real.label_space import class_index
from perturb.messages import ConfigError
from perturb.records import PerturbationEntry


def with_subsets(
    record: PerturbationEntry, _: Mapping[str, Any], datasets: Mapping[str, Any]
) -> PerturbationEntry:
    """Return the entry with the classes of each of its datasets, evaluated on the clean one too."""
    clean = [id for id, dataset in datasets.items() if dataset.get("role") == "clean"]
    return replace(
        record,
        datasets=tuple(dict.fromkeys([*clean, *record.datasets])),
        conditions=record.datasets,
        options={"classes": {id: _classes_of(id, datasets[id]) for id in record.datasets}},
    )


def _classes_of(id: str, dataset: Mapping[str, Any]) -> list[int]:
    """Return the classes that the class index of a dataset lists."""
    key = f"datasets.{id}.source.class_index"
    path = dataset.get("source", {}).get("class_index")
    if path is None or path == "numbers":
        raise ConfigError(
            f"{key}: {path!r}; perturbations.class_subset needs a JSON file that lists the classes"
        )
    return sorted(set(class_index(key, path).values()))
