"""The declarations of the experiments, as relations that every query can read.

perturbations        perturbation, experiment, changes, unchanged, has_severities, place,
                     severity_label, severity_scale
declared_conditions  perturbation, condition, condition_label, place
declared_test_sets   test_set, test_set_label, position, experiment
declared_measures    measure, measure_label, position, unit, is_better_high, at_epsilon
measure_choices      measure, test_set, place
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
        ("place", pa.int32()),
        ("severity_label", pa.string()),
        ("severity_scale", pa.float64()),
    ]
)
_CONDITIONS = pa.schema(
    [
        ("perturbation", pa.string()),
        ("condition", pa.string()),
        ("condition_label", pa.string()),
        ("place", pa.int32()),
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
_MEASURES = pa.schema(
    [
        ("measure", pa.string()),
        ("measure_label", pa.string()),
        ("position", pa.int32()),
        ("unit", pa.string()),
        ("is_better_high", pa.bool_()),
        ("at_epsilon", pa.bool_()),
    ]
)
_CHOICES = pa.schema([("measure", pa.string()), ("test_set", pa.string()), ("place", pa.int32())])


def declared() -> dict[str, pa.Table]:
    """Return all of these relations by name."""
    return {
        "perturbations": perturbations(),
        "declared_conditions": declared_conditions(),
        "declared_test_sets": declared_test_sets(),
        "declared_measures": declared_measures(),
        "measure_choices": measure_choices(),
    }


def perturbations() -> pa.Table:
    """Return one row per perturbation."""
    rows = [
        {
            "perturbation": item.id,
            "experiment": experiment,
            "changes": item.changes,
            "unchanged": item.unchanged,
            "has_severities": isinstance(item.severities, str),
            "place": place,
            "severity_label": item.severity_label,
            "severity_scale": item.severity_scale,
        }
        for place, (experiment, item) in enumerate(
            (experiment, item)
            for experiment, found in registry.experiments().items()
            for item in found.perturbations
        )
    ]
    return pa.Table.from_pylist(rows, schema=_PERTURBATIONS)


def declared_conditions() -> pa.Table:
    """Return one row per condition that a perturbation declares, in their order."""
    rows = [
        {
            "perturbation": item.id,
            "condition": condition,
            "condition_label": item.condition_label(condition),
            "place": place,
        }
        for item in registry.perturbations().values()
        for place, condition in enumerate(item.conditions)
    ]
    return pa.Table.from_pylist(rows, schema=_CONDITIONS)


def declared_measures() -> pa.Table:
    """Return one row per measure that an experiment declares."""
    rows = [
        {
            "measure": item.id,
            "measure_label": item.label,
            "position": item.position,
            "unit": item.unit,
            "is_better_high": item.is_better_high,
            "at_epsilon": item.at_epsilon,
        }
        for item in registry.measures().values()
    ]
    return pa.Table.from_pylist(rows, schema=_MEASURES)


def measure_choices() -> pa.Table:
    """Return the test sets from which a measure is chosen, the first choice first."""
    rows = [
        {"measure": item.id, "test_set": test_set, "place": place}
        for item in registry.measures().values()
        for place, test_set in enumerate(item.test_sets)
    ]
    return pa.Table.from_pylist(rows, schema=_CHOICES)


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
