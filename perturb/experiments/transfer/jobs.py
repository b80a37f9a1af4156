"""What one job of transfer attacks evaluates: one source's examples, shown to every model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perturb.datasets.store import ImageStore
from perturb.evaluate.finished import Slot, forget, restored, slot_of
from perturb.evaluate.identity import cell_identity
from perturb.evaluate.loading import transfer_shards
from perturb.evaluate.loop import Load
from perturb.evaluate.outcome import Setting
from perturb.plan.cells import Cell


def transfer_slots(
    cells: Mapping[Cell, Path],
    results: str,
    cards: Mapping[str, Path],
    job: Mapping[str, Any],
    files: tuple[str, str],
) -> list[Slot]:
    """Return the slots of the cells of one source.

    Parameters
    ----------
    cells : each with the path of its shard.
    results : the study's folder.
    cards : of each model's checkpoint.
    job : what all of the cells depend on, as `perturb.plan.params.transferred` returns it.
    files : images and manifest of the image store.
    """
    slots = []
    for cell, shard in cells.items():
        asked = {**job, "dataset": cell.dataset, "severity": cell.severity, "source": cell.source}
        of_cell = [cards[model] for model in (cell.model, cell.source) if model is not None]
        slots.append(slot_of(cell, shard, results, cell_identity(asked, [files], of_cell)))
    return slots


def transfer_into(
    slots: Sequence[Slot], load: Load, store: ImageStore, job: Mapping[str, Any]
) -> None:
    """Fill the slots of one source, with what an earlier attempt had finished and with the rest.

    Parameters
    ----------
    load : returns a model by its id.
    store : the images that are attacked.
    job : as of `transfer_slots`.
    """
    kept = restored(slots)
    left = {slot.cell: slot for slot in slots if slot not in kept}
    for severity, source in dict.fromkeys((cell.severity, cell.source) for cell in left):
        cells = [cell for cell in left if (cell.severity, cell.source) == (severity, source)]
        setting = Setting((str(source),), cells[0].severity_value, job["seed"], job["options"])
        for cell, table, metadata in transfer_shards(
            load,
            store,
            cells,
            setting,
            batch_size=job["batch_size"],
            precision=job["precision"],
        ):
            left[cell].write(table, metadata)
    forget(slots)
