"""Which cells a study has, and where everything it makes is stored.

A cell is model x dataset x perturbation x severity: one job, one shard. This is the one place that
knows the layout of the results folder; rules and tests ask here. Nothing is found by a glob.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from perturb.experiments.possible import is_possible
from perturb.severities import severity_value

if TYPE_CHECKING:  # reading a configuration takes a quarter of a second that no cell needs
    from perturb.config import Config
    from perturb.records import Model, PerturbationEntry


@dataclass(frozen=True)
class Cell:
    """One shard of the grid. `severity` is the id-safe form that stands in paths.

    `source` is the model that adversarial images were made against, where that is another matter
    than the model that decides on them: in transfer attacks alone.
    """

    model: str
    dataset: str
    perturbation: str
    severity: str
    source: str | None = None

    def __str__(self) -> str:
        """Return what logs and messages call it."""
        parts = [self.model, self.dataset, self.perturbation, self.severity, self.source]
        return " / ".join(part for part in parts if part is not None)

    @property
    def severity_value(self) -> float:
        """The natural value of the severity, as it stands in the shard."""
        return severity_value(self.severity)


@dataclass(frozen=True)
class EvaluationJob:
    """The cells that one job evaluates, for any one of some models.

    In `cells` the model is the wildcard `{model}`: models of one family with the same cells share
    the job's rule.
    """

    models: tuple[str, ...]
    family: str
    cells: tuple[Cell, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets that the job reads."""
        return tuple(dict.fromkeys(cell.dataset for cell in self.cells))


@dataclass(frozen=True)
class Layout:
    """Paths below a study's results folder."""

    root: str

    def images(self, store: str) -> str:
        """Return the decoded pixels of an image store, as `perturb.plan.stores` names it."""
        return f"{self.root}/stores/{store}/images.npy"

    def manifest(self, store: str) -> str:
        """Return the ids, keys and targets of an image store."""
        return f"{self.root}/stores/{store}/manifest.parquet"

    def weights(self, model: str) -> str:
        """Return the weights of a model."""
        return f"{self.root}/checkpoints/{model}/weights.safetensors"

    def card(self, model: str) -> str:
        """Return the model card of a model."""
        return f"{self.root}/checkpoints/{model}/card.json"

    def shard(self, cell: Cell) -> str:
        """Return the per-image decisions of a cell."""
        name = f"{cell.severity}/{cell.source}" if cell.source else cell.severity
        return f"{self.root}/shards/{cell.model}/{cell.dataset}/{cell.perturbation}/{name}.parquet"

    def finished(self, cell: Cell) -> str:
        """Return where a cell's shard is kept until its job has finished all of its cells."""
        return self.all_finished + self.shard(cell).removeprefix(f"{self.root}/shards")

    @property
    def all_finished(self) -> str:
        """The folder of shards that are kept for jobs that are not over."""
        return f"{self.root}/finished"

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

    @property
    def patterns(self) -> str:
        """What adversarial perturbations look like, in numbers."""
        return f"{self.root}/analyses/patterns.parquet"

    @property
    def pattern_sheet(self) -> str:
        """What adversarial perturbations look like, side by side."""
        return f"{self.root}/analyses/patterns.png"

    @property
    def correlations(self) -> str:
        """How alike the layers of every model are."""
        return f"{self.root}/analyses/correlations.parquet"

    def table(self, table: str, suffix: str = "parquet") -> str:
        """Return a table in one of its formats: parquet, csv, md, tex."""
        return f"{self.root}/tables/{table}.{suffix}"

    def chart(self, chart: str, suffix: str = "html") -> str:
        """Return a chart in one of its formats: html, svg, png."""
        return f"{self.root}/charts/{chart}.{suffix}"

    @property
    def page(self) -> str:
        """The page that shows all of it."""
        return f"{self.root}/report/index.html"

    def contact_sheet(self, dataset: str) -> str:
        """Return a picture of some images of a data set."""
        return f"{self.root}/contact_sheets/{dataset}.png"

    def log(self, rule: str, *parts: str) -> str:
        """Return the log of a job."""
        return "/".join([self.root, "logs", rule, *parts]) + ".log"


def cells(config: Config) -> list[Cell]:
    """Return every cell of the study, in the order of the configuration."""
    own = [cell for model in config.models.values() for cell in own_cells(config, model)]
    return own + [
        cell for source in config.benchmark_models for cell in transfer_cells(config, source)
    ]


def own_cells(config: Config, model: Model) -> list[Cell]:
    """Return the cells for which a model needs no other model."""
    return [
        Cell(model.id, dataset, perturbation.id, severity)
        for perturbation in config.perturbations.values()
        if perturbation.id != "transfer"
        for dataset in perturbation.datasets
        if _is_asked_of(model, perturbation, dataset, config)
        for severity in perturbation.severities
        if is_possible(perturbation, severity_value(severity), model.architecture)
    ]


def transfer_cells(config: Config, source: str) -> list[Cell]:
    """Return the cells in which images made against `source` are shown to every model."""
    transfer = config.perturbations.get("transfer")
    if transfer is None:
        return []
    return [
        Cell(target, dataset, transfer.id, severity, source)
        for dataset in transfer.datasets
        for severity in transfer.severities
        for target in config.benchmark_models
    ]


def _is_asked_of(
    model: Model, perturbation: PerturbationEntry, dataset: str, config: Config
) -> bool:
    """The reference is no part of the benchmark: its errors are needed for mCE, and no more."""
    if not model.is_reference:
        return True
    if perturbation is config.corruptions:
        return config.datasets[dataset].role in ("clean", "corrupted")
    return perturbation.id == "none" and dataset == config.clean_dataset.id


def evaluation_jobs(config: Config) -> list[EvaluationJob]:
    """Return how the cells are divided among jobs, `cells_per_job` cells of a model each."""
    models_of: dict[tuple[str, tuple[Cell, ...]], list[str]] = {}
    for model in config.models.values():
        own = [replace(cell, model="{model}") for cell in own_cells(config, model)]
        for start in range(0, len(own), config.cells_per_job):
            chunk = tuple(own[start : start + config.cells_per_job])
            models_of.setdefault((model.architecture.family, chunk), []).append(model.id)
    return [EvaluationJob(tuple(models), *key) for key, models in models_of.items()]


def evaluated_datasets(config: Config) -> list[str]:
    """Return the data sets that some cell evaluates on, in the order of the configuration."""
    used = {dataset for item in config.perturbations.values() for dataset in item.datasets}
    return [dataset for dataset in config.datasets if dataset in used]
