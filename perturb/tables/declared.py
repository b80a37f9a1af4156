"""The declarations of the experiments, as relations that every query can read.

perturbations        perturbation, experiment, changes, unchanged, has_severities
declared_test_sets   test_set, test_set_label, position, experiment
"""

import pyarrow as pa

from perturb.experiments import registry

_PERTURBATIONS = pa.schema(
    [
        ("perturbation", pa.string()),
        ("experiment", pa.string()),
        ("changes", pa.string()),
        ("unchanged", pa.float64()),
        ("has_severities", pa.bool_()),
    ]
)
_TEST_SETS = pa.schema(
    [
        ("test_set", pa.string()),
        ("test_set_label", pa.string()),
        ("position", pa.int32()),
        ("experiment", pa.string()),
    ]
)


def perturbations() -> pa.Table:
    """Return one row per perturbation."""
    rows = [
        {
            "perturbation": item.id,
            "experiment": experiment,
            "changes": item.changes,
            "unchanged": item.unchanged,
            "has_severities": isinstance(item.severities, str),
        }
        for experiment, found in registry.experiments().items()
        for item in found.perturbations
    ]
    return pa.Table.from_pylist(rows, schema=_PERTURBATIONS)


def declared_test_sets() -> pa.Table:
    """Return one row per test set that an experiment declares."""
    rows = [
        {
            "test_set": item.id,
            "test_set_label": item.label,
            "position": item.position,
            "experiment": experiment,
        }
        for experiment, found in registry.experiments().items()
        for item in found.test_sets
    ]
    return pa.Table.from_pylist(rows, schema=_TEST_SETS)
