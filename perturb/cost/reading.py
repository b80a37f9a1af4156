"""Bytes of decoded datasets that evaluations read, which models that share a job read once.

Pages that the operating system keeps in memory are counted too: a disk may see less.
"""

from collections.abc import Iterator

from perturb.config import Config
from perturb.cost.disk import pixel_bytes
from perturb.cost.study import images_of
from perturb.evaluation.cell import Cell
from perturb.plan.groups import is_shared
from perturb.plan.jobs import Job, jobs
from perturb.plan.stores import stores_of_cell


def bytes_read(config: Config) -> int:
    """Return the bytes of all cells; datasets of unknown size and measurements are left out."""
    return sum(
        _bytes_of(config, cell) for job in jobs(config).values() for cell in _passes(config, job)
    )


def _passes(config: Config, job: Job) -> Iterator[Cell]:
    """Yield the cells of a job for which images are read: one of those that share them.

    All transfer attacks of a source on one dataset and severity share them, too.
    """
    seen = set()
    for cell in job.cells:
        stores = stores_of_cell(config, cell, cell.model)
        is_alone = not is_shared(cell) and cell.source is None
        key = (cell.perturbation, cell.severity, stores, cell.model if is_alone else None)
        if key not in seen:
            seen.add(key)
            yield cell


def _bytes_of(config: Config, cell: Cell) -> int:
    stores = stores_of_cell(config, cell, cell.model)
    return (images_of(config, cell) or 0) * sum(pixel_bytes(config, store) for store in stores)
