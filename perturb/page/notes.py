"""Warnings about models whose numbers may be invalid."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from perturb.tables.chance import warning_of


def models_at_chance(models: pa.Table) -> list[str]:
    """Return a sentence for each model whose clean accuracy is no better than chance."""
    return [warning_of(_title(row), row) for row in models.to_pylist() if row["warning"]]


def _title(row: Mapping[str, Any]) -> str:
    pretraining = row["pretraining_label"]
    return f"{row['architecture_label']} ({pretraining})" if pretraining else row["model"]
