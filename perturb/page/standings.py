"""The models of a study and their measures, from the tables `leaderboard` and `model_pairs`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from perturb.experiments import registry
from perturb.experiments.comparison.means import (
    averaged_measures,
    differences,
    mean_measure,
    of_entries,
    values_of,
)
from perturb.experiments.sentences import Interval, phrase
from perturb.formatting import named

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Standings:
    """The compared models and their measures, in the order of the table.

    rows : of the table `leaderboard`, one for all runs of a training.
    pairs : of the table `model_pairs`.
    """

    rows: Sequence[Row] = ()
    pairs: Sequence[Row] = ()

    @property
    def names(self) -> dict[str, str]:
        """Return the name of every model; models that share one have their ids beside it."""
        names = {row["model"]: named(row) for row in self.rows}
        shared = {name for name in names.values() if list(names.values()).count(name) > 1}
        return {id: f"{name}, {id}" if name in shared else name for id, name in names.items()}

    @property
    def averaged(self) -> list[str]:
        """Return the measures that the mean under perturbation consists of."""
        return averaged_measures(self.rows)

    @property
    def undeclared(self) -> list[str]:
        """Return the accuracies on datasets without a role, of which nothing is known."""
        measures = dict.fromkeys(row["measure"] for row in self.rows)
        return [measure for measure in measures if measure not in registry.measures()]

    @property
    def mean(self) -> str | None:
        """Return the measure by which models are ordered first; None without perturbed images."""
        return mean_measure(self.rows)

    @property
    def means(self) -> dict[str, Interval]:
        """Return the mean under perturbation, best model first, of those that have one."""
        found = values_of(self.rows, self.mean)
        return dict(sorted(found.items(), key=lambda item: -item[1].value))

    def label(self, measure: str) -> str:
        """Return the label of a measure."""
        return str(next(row["measure_label"] for row in self.rows if row["measure"] == measure))

    def phrase(self, measure: str) -> str:
        """Return what a measure is measured on, as it stands within a sentence."""
        return phrase(measure, self.label(measure))

    def values(self, measure: str) -> dict[str, Interval]:
        """Return the values of a measure by model, of those that have one."""
        return values_of(self.rows, measure)

    def num_images(self, measure: str) -> int:
        """Return the number of images of a measure, the largest over the models."""
        counts = [row["num_images"] for row in self.rows if row["measure"] == measure]
        return max((count for count in counts if count is not None), default=0)

    def is_paired(self, measure: str) -> bool:
        """Return whether the differences of a measure are those of the same images."""
        return all(row.get("is_paired", True) for row in self.pairs if row["measure"] == measure)

    def differences(self, measure: str | None) -> dict[tuple[str, str], Interval]:
        """Return the differences of a measure, of pairs in both orders."""
        return differences(self.pairs, measure)


def standings(found: Mapping[str, pa.Table]) -> Standings:
    """Return the models of a study; none if it lacks the tables."""
    rows, pairs, models = (
        found[name].to_pylist() if name in found else []
        for name in ("leaderboard", "model_pairs", "models")
    )
    labels = {row["model"]: row["entry_label"] for row in models}
    labelled = [
        {**row, "architecture_label": labels.get(row["model"], row["architecture_label"])}
        for row in of_entries(rows)
    ]
    return Standings(labelled, pairs)
