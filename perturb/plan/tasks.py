"""The results of a job as tasks: with their paths and identities, which also depend on files."""

from pathlib import Path

from perturb.config import Config
from perturb.evaluation.cell import Cell
from perturb.evaluation.identity import cell_identity, identities_of, identity_of
from perturb.evaluation.keeping import Task
from perturb.plan.jobs import Job, asked_of, stores_of_job
from perturb.plan.paths import Paths


def files_of(config: Config, job: Job) -> dict[str, tuple[str, str]]:
    """Return images and manifest of each decoded dataset that a job reads."""
    paths = Paths(config.results)
    return {
        store: (paths.images(store), paths.manifest(store)) for store in stores_of_job(config, job)
    }


def tasks_of(config: Config, job: Job) -> tuple[dict[Cell, Task], list[Task]]:
    """Return the tasks of a job's cells, and of its measurements."""
    paths, files = Paths(config.results), files_of(config, job)
    items = job.files(paths)
    cells: dict[Cell, Task] = {}
    measurements: list[Task] = []
    for path, asked in asked_of(config, job):
        item = items[path]
        models = [item.model, item.source] if isinstance(item, Cell) else [job.model]
        cards = [Path(paths.card(model)) for model in models if model is not None]
        stores = [files[store] for store in asked["stores"]]
        if isinstance(item, Cell):
            identities = identities_of(asked, stores, cards)
            identity = cell_identity(identities)
            earlier = Path(paths.earlier(item))
            cells[item] = Task(str(item), Path(path), asked, identity, identities, earlier=earlier)
        else:
            name, identity = f"{job.model} / {item}", identity_of(asked, stores, cards)
            measurements.append(Task(name, Path(path), asked, identity, is_measurement=True))
    return cells, measurements
