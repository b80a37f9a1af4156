"""Jobs: groups of cells and measurements that are evaluated together.

The grouping only affects the time for starting jobs and for reading images, not the results: a job
evaluates the missing ones of its results. `jobs_by` selects the grouping: one job of a model per
`experiment`, per `kind` of experiment, for all of the `model`, or one per `cell`. The name of a job
follows from its content. With `models_per_job` the first model of a group also has the cells of the
others that it can share (`perturb.plan.groups`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from perturb.config import Config
from perturb.evaluation.cell import Cell
from perturb.experiments.corruptions.names import STORED_CORRUPTIONS
from perturb.experiments.registry import experiment_of, kind_of
from perturb.plan.asked import (
    MEASUREMENTS,
    asked_of_cell,
    asked_of_measurement,
    measured_models,
)
from perturb.plan.cells import cells, own_cells, transfer_cells
from perturb.plan.groups import is_shared, leaders
from perturb.plan.paths import Paths
from perturb.plan.stores import stores_of_cell

TRANSFER = "transfer"
_ALL = "all"

# Cells and measurements.
_Results = tuple[list[Cell], list[str]]


@dataclass(frozen=True)
class Job:
    """The results of one job of a model; for transfer attacks, of a source model.

    model : whose name the job has; the first one of several that share it.
    name : in paths, in Snakemake's output and in the progress.
    cells : of all models of the job.
    measurements : of the first model. Most jobs have only cells, or only measurements.
    """

    model: str
    name: str
    cells: tuple[Cell, ...] = ()
    measurements: tuple[str, ...] = ()

    def receipt(self, paths: Paths) -> str:
        """Return the path of its receipt."""
        return paths.receipt(self.model, self.name)

    def files(self, paths: Paths) -> dict[str, Cell | str]:
        """Return each file of the job, with the cell or the measurement."""
        made: dict[str, Cell | str] = {paths.shard(cell): cell for cell in self.cells}
        return made | {paths.measurement(self.model, name): name for name in self.measurements}

    def models(self) -> list[str]:
        """Return the models that the job loads."""
        return list(dict.fromkeys([self.model, *(cell.model for cell in self.cells)]))


def jobs(config: Config) -> dict[tuple[str, str], Job]:
    """Return the jobs of all models by model and name, those of transfer attacks after the rest."""
    alone = {
        (model, name): results
        for model in config.models
        for name, results in _of_model(config, model).items()
    }
    leader_of = leaders(config, {key: of_job for key, (of_job, _) in alone.items()})
    found: dict[tuple[str, str], _Results] = {}
    for (model, name), (of_job, measurements) in alone.items():
        for cell in of_job:
            first = leader_of[model, name] if is_shared(cell) else model
            found.setdefault((first, name), ([], []))[0].append(cell)
        if measurements:
            found.setdefault((model, name), ([], []))[1].extend(measurements)
    return {
        key: Job(*key, tuple(of_job), tuple(measurements))
        for key, (of_job, measurements) in found.items()
    } | transfer_jobs(config)


def transfer_jobs(config: Config) -> dict[tuple[str, str], Job]:
    """Return the jobs of transfer attacks, one a source."""
    if TRANSFER not in config.perturbations:
        return {}
    return {
        (source, TRANSFER): Job(source, TRANSFER, tuple(transfer_cells(config, source)))
        for source in config.benchmark_models
    }


def experiments(config: Config) -> list[str]:
    """Return the experiments that have cells or measurements in a study."""
    return list(jobs_of_experiments(config))


def jobs_of_experiments(config: Config) -> dict[str, list[Job]]:
    """Return the results of each experiment, of each model as one job, whatever the jobs are."""
    found: dict[str, dict[str, _Results]] = {}
    experiment_by_id = {id: experiment_of(id) for id in (*config.perturbations, *MEASUREMENTS)}
    for cell in cells(config):
        of_models = found.setdefault(experiment_by_id[cell.perturbation], {})
        of_models.setdefault(cell.model, ([], []))[0].append(cell)
    for name in MEASUREMENTS:
        for model in measured_models(config, name):
            of_models = found.setdefault(experiment_by_id[name], {})
            of_models.setdefault(model, ([], []))[1].append(name)
    return {
        experiment: [
            Job(model, experiment, tuple(own), tuple(names))
            for model, (own, names) in of_models.items()
        ]
        for experiment, of_models in found.items()
    }


def _of_model(config: Config, model: str) -> Mapping[str, _Results]:
    """Return the results of a model by job, as if it shared none."""
    found: dict[str, _Results] = {}
    for cell in own_cells(config, config.models[model]):
        found.setdefault(_name(config, cell), ([], []))[0].append(cell)
    for name in MEASUREMENTS:
        if model in measured_models(config, name):
            of_job = _shared_job(config, name) or name
            found.setdefault(of_job, ([], []))[1].append(name)
    return found


def _shared_job(config: Config, id: str) -> str | None:
    """Return the job that a perturbation or measurement shares with others, None with `cell`."""
    match config.jobs_by:
        case "experiment":
            return experiment_of(id)
        case "kind":
            return kind_of(id)
        case "model":
            return _ALL
    return None


def _name(config: Config, cell: Cell) -> str:
    """Return the name of a cell's job, which does not depend on other cells."""
    if shared := _shared_job(config, cell.perturbation):
        return shared
    if cell.perturbation == "none":
        return cell.dataset
    if cell.perturbation == STORED_CORRUPTIONS:  # the dataset has no other
        return f"{cell.dataset}-{cell.severity}"
    return f"{cell.dataset}-{cell.perturbation}-{cell.severity}"


def asked_of(config: Config, job: Job) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each file that a job makes, with the inputs of its numbers apart from files."""
    for path, item in job.files(Paths(config.results)).items():
        if isinstance(item, Cell):
            yield path, asked_of_cell(config, item)
        else:
            yield path, asked_of_measurement(config, item, job.model)


def stores_of_job(config: Config, job: Job) -> list[str]:
    """Return the decoded datasets that a job reads."""
    found: dict[str, None] = {}
    for cell in job.cells:
        found |= dict.fromkeys(stores_of_cell(config, cell, cell.model))
    for name in job.measurements:
        found |= dict.fromkeys(asked_of_measurement(config, name, job.model)["stores"])
    return list(found)


def datasets_of_job(job: Job) -> list[str]:
    """Return the datasets of a job's cells."""
    return list(dict.fromkeys(cell.dataset for cell in job.cells))


class Sources:
    """Inputs of other rules in place of shards and measurements.

    Snakemake does not know shards and measurements as outputs. A job's receipt stands for them, and
    the inventory of their experiment, which exists after their check.
    """

    def __init__(self, config: Config) -> None:
        paths = Paths(config.results)
        self._stands_for: dict[str, tuple[str, ...]] = {}
        self._receipts: dict[str, dict[str, None]] = {}
        for job in jobs(config).values():
            receipt = job.receipt(paths)
            for file, item in job.files(paths).items():
                id = item.perturbation if isinstance(item, Cell) else item
                experiment = experiment_of(id)
                self._receipts.setdefault(experiment, {})[receipt] = None
                self._stands_for[file] = (receipt, paths.inventory(experiment))

    def of_files(self, files: Iterable[str]) -> list[str]:
        """Return files with shards and measurements replaced by receipts and inventories."""
        stands_for = self._stands_for
        found = dict.fromkeys(name for file in files for name in stands_for.get(file, (file,)))
        return list(found)

    def of_experiment(self, experiment: str) -> list[str]:
        """Return the receipts of an experiment's cells and measurements."""
        return list(self._receipts[experiment])
