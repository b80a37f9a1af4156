"""Which cells a study has, and where everything it makes is stored.

A cell is model x dataset x perturbation x severity: one job, one shard. This is the one place that
knows the layout of the results folder; rules and tests ask here. Nothing is found by a glob.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # reading a configuration takes a quarter of a second that no cell needs
    from collections.abc import Iterator

    from perturb.config import Config


@dataclass(frozen=True)
class Cell:
    """One job of the grid. `severity` is the id-safe form that stands in paths."""

    model: str
    dataset: str
    perturbation: str
    severity: str

    @property
    def severity_value(self) -> float:
        """The natural value of the severity, as it stands in the shard."""
        return float(self.severity)


@dataclass(frozen=True)
class Layout:
    """Paths below a study's results folder."""

    root: str

    def images(self, dataset: str) -> str:
        """Return the decoded pixels of a data set."""
        return f"{self.root}/stores/{dataset}/images.npy"

    def manifest(self, dataset: str) -> str:
        """Return the ids, keys and targets of a data set."""
        return f"{self.root}/stores/{dataset}/manifest.parquet"

    def weights(self, model: str) -> str:
        """Return the weights of a model."""
        return f"{self.root}/checkpoints/{model}/weights.safetensors"

    def card(self, model: str) -> str:
        """Return the model card of a model."""
        return f"{self.root}/checkpoints/{model}/card.json"

    def shard(self, cell: Cell) -> str:
        """Return the per-image decisions of a cell."""
        return (
            f"{self.root}/shards/{cell.model}/{cell.dataset}/{cell.perturbation}/"
            f"{cell.severity}.parquet"
        )

    @property
    def models(self) -> str:
        """Facts about the models."""
        return f"{self.root}/models.parquet"

    @property
    def datasets(self) -> str:
        """Facts about the data sets."""
        return f"{self.root}/datasets.parquet"

    @property
    def inventory(self) -> str:
        """The list of all shards, each checked."""
        return f"{self.root}/inventory.parquet"

    def table(self, table: str, suffix: str = "parquet") -> str:
        """Return a table in one of its formats: parquet, csv, md, tex."""
        return f"{self.root}/tables/{table}.{suffix}"

    def chart(self, chart: str, suffix: str = "html") -> str:
        """Return a chart in one of its formats: html, svg, png."""
        return f"{self.root}/charts/{chart}.{suffix}"

    def contact_sheet(self, dataset: str) -> str:
        """Return a picture of some images of a data set."""
        return f"{self.root}/contact_sheets/{dataset}.png"

    def log(self, rule: str, *parts: str) -> str:
        """Return the log of a job."""
        return "/".join([self.root, "logs", rule, *parts]) + ".log"


def cells(config: Config) -> list[Cell]:
    """Return every cell of the study, in the order of the configuration."""
    return [cell for model in config.models for cell in _cells_of(config, model)]


def _cells_of(config: Config, model: str) -> Iterator[Cell]:
    for perturbation in config.perturbations.values():
        for dataset in perturbation.datasets:
            for severity in perturbation.severities:
                yield Cell(model, dataset, perturbation.id, str(severity))


def evaluated_datasets(config: Config) -> list[str]:
    """Return the data sets that some cell evaluates on, in the order of the configuration."""
    used = {dataset for item in config.perturbations.values() for dataset in item.datasets}
    return [dataset for dataset in config.datasets if dataset in used]
