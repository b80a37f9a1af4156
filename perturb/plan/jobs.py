"""Which cells and measurements one job evaluates.

How results are joined into jobs is a matter of the seconds that a job takes to start, and decides
nothing else: a job evaluates those of its results that are not there yet. `jobs_by` says how:
`experiment` gives a model one job an experiment, `model` one job in all, `cell` one a cell. Each
measurement has a job of its own. Jobs are named by what they hold.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from perturb.config import Config
from perturb.evaluate.cell import Cell
from perturb.experiments.names import STORED_CORRUPTIONS
from perturb.plan import params
from perturb.plan.cells import own_cells, transfer_cells
from perturb.plan.paths import Paths
from perturb.plan.stores import stores_of_cell

TRANSFER = "transfer"

_EXPERIMENTS = {
    "none": "benchmarks",
    "class_subset": "benchmarks",
    "corruptions": "corruptions",
    "corruptions_jpeg85": "corruptions",
    STORED_CORRUPTIONS: "corruptions",
    "fgsm": "attacks",
    "pgd": "attacks",
    "ensemble": "attacks",
    "spatial": "spatial",
    "transfer": "transfer",
    "lesions": "lesions",
    "heads": "lesions",
    "attention_distance": "restricted_attention",
    "patch_cls": "restricted_attention",
    "tokens": "token_removal",
}


def experiment_of(perturbation: str) -> str:
    """Return the folder of the experiment that a perturbation belongs to."""
    return _EXPERIMENTS[perturbation]


@dataclass(frozen=True)
class Job:
    """What one job evaluates of one model; of transfer attacks, against one model.

    name : in paths, and what `--list` and the progress show.
    cells, measurements : a job mostly has one kind alone.
    """

    model: str
    name: str
    cells: tuple[Cell, ...] = ()
    measurements: tuple[str, ...] = ()

    def receipt(self, paths: Paths) -> str:
        """Return the path of its receipt."""
        return paths.receipt(self.model, self.name)

    def files(self, paths: Paths) -> dict[str, Cell | str]:
        """Return each file that it makes, with the cell or the measurement."""
        made: dict[str, Cell | str] = {paths.shard(cell): cell for cell in self.cells}
        return made | {paths.measurement(self.model, name): name for name in self.measurements}

    def models(self) -> list[str]:
        """Return the models that it loads."""
        return list(dict.fromkeys([self.model, *(cell.model for cell in self.cells)]))


def jobs(config: Config) -> dict[tuple[str, str], Job]:
    """Return the jobs of all models by model and name, those of transfer attacks after the rest."""
    found = {}
    for model in config.models:
        for name, (cells, measurements) in _of_model(config, model).items():
            found[model, name] = Job(model, name, tuple(cells), tuple(measurements))
    return found | transfer_jobs(config)


def transfer_jobs(config: Config) -> dict[tuple[str, str], Job]:
    """Return the jobs of transfer attacks, one a source."""
    if TRANSFER not in config.perturbations:
        return {}
    return {
        (source, TRANSFER): Job(source, TRANSFER, tuple(transfer_cells(config, source)))
        for source in config.benchmark_models
    }


def _of_model(config: Config, model: str) -> Mapping[str, tuple[list[Cell], list[str]]]:
    found: dict[str, tuple[list[Cell], list[str]]] = {}
    for cell in own_cells(config, config.models[model]):
        found.setdefault(_name(config, cell), ([], []))[0].append(cell)
    for name in params.MEASUREMENTS:
        if model in params.measured_models(config, name):
            found.setdefault(name, ([], []))[1].append(name)
    return found


def _name(config: Config, cell: Cell) -> str:
    """Return the name of a cell's job, which no other cell decides."""
    if config.jobs_by == "experiment":
        return experiment_of(cell.perturbation)
    if config.jobs_by == "model":
        return "all"
    if cell.perturbation == "none":
        return cell.dataset
    if cell.perturbation == STORED_CORRUPTIONS:  # a dataset that has no other
        return f"{cell.dataset}-{cell.severity}"
    return f"{cell.dataset}-{cell.perturbation}-{cell.severity}"


def asked_of(config: Config, job: Job) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each file that a job makes, with what its numbers depend on beside files."""
    for path, item in job.files(Paths(config.results)).items():
        if isinstance(item, Cell):
            yield path, params.asked_of_cell(config, item)
        else:
            yield path, params.asked_of_measurement(config, item, job.model)


def stores_of_job(config: Config, job: Job) -> list[str]:
    """Return the decoded datasets that a job reads."""
    found: dict[str, None] = {}
    for cell in job.cells:
        found |= dict.fromkeys(stores_of_cell(config, cell, cell.model))
    for name in job.measurements:
        found |= dict.fromkeys(params.asked_of_measurement(config, name, job.model)["stores"])
    return list(found)


def datasets_of_job(job: Job) -> list[str]:
    """Return the datasets that a job's cells are evaluated on."""
    return list(dict.fromkeys(cell.dataset for cell in job.cells))


def receipts_of(config: Config, files: list[str]) -> list[str]:
    """Return files with each result of a job replaced by the job's receipt, which stands for it."""
    paths = Paths(config.results)
    receipt_of = {
        file: job.receipt(paths) for job in jobs(config).values() for file in job.files(paths)
    }
    return list(dict.fromkeys(receipt_of.get(file, file) for file in files))
