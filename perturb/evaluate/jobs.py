"""What one job evaluates: some cells of one model, one after another, each into its shard."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from perturb.datasets.store import ImageStore, open_subset
from perturb.evaluate.finished import Slot, forget, restored, slot_of
from perturb.evaluate.identity import cell_identity
from perturb.evaluate.loop import Load, Subject, evaluate_cell, evaluate_parts
from perturb.evaluate.outcome import Setting
from perturb.experiments.corruptions.names import STORED_CORRUPTIONS
from perturb.models.class_maps import read_class_map
from perturb.plan.cells import Cell
from perturb.severities import severity_value

Files = Mapping[str, tuple[str, str]]


def evaluate_into(
    slots: Sequence[Slot],
    load: Load,
    model: str,
    asked: Sequence[Mapping[str, Any]],
    files: Files,
) -> Iterator[Cell]:
    """Fill the slots of a job, with what an earlier attempt had finished and with the rest.

    Yields each cell when its shard is there.

    Parameters
    ----------
    slots : of the cells that are asked for, in their order.
    load : returns the model by its id; not called if nothing is left to evaluate.
    model, asked, files : as of `evaluate_cells`.
    """
    kept = restored(slots)
    yield from (slot.cell for slot in kept)
    left = [(slot, job) for slot, job in zip(slots, asked, strict=True) if slot not in kept]
    if left:
        shards = evaluate_cells(load(model), model, [job for _, job in left], files)
        for (slot, _), (table, metadata) in zip(left, shards, strict=True):
            slot.write(table, metadata)
            yield slot.cell
    forget(slots)


def job_slots(
    outputs: Sequence[str],
    results: str,
    card: Path,
    asked: Sequence[Mapping[str, Any]],
    files: Files,
) -> list[Slot]:
    """Return the slots of the cells that a job evaluates, in the order asked.

    Parameters
    ----------
    outputs : the path of each shard.
    results : the study's folder.
    card : of the model's checkpoint, whose folder has the model's id.
    asked, files : as of `evaluate_cells`.
    """
    return [
        slot_of(
            Cell(card.parent.name, job["dataset"], job["perturbation"], job["severity"]),
            Path(output),
            results,
            cell_identity(job, [files[store] for store in job["stores"]], [card]),
        )
        for output, job in zip(outputs, asked, strict=True)
    ]


def evaluate_cells(
    subject: Subject, model: str, asked: Sequence[Mapping[str, Any]], files: Files
) -> Iterator[tuple[pa.Table, dict[str, Any]]]:
    """Yield the rows of each cell's shard and how they were made, in the order asked.

    Parameters
    ----------
    model : its id.
    asked : what each cell's shard depends on, as `perturb.plan.params.evaluated` returns it.
    files : images and manifest of each image store, by its name.
    """
    for job in asked:
        cell = Cell(model, job["dataset"], job["perturbation"], job["severity"])
        stores = [_subset(files[store], job) for store in job["stores"]]
        class_map = read_class_map(Path(job["class_map"])) if job["class_map"] else None
        setting = Setting(
            tuple(job["conditions"]),
            severity_value(job["severity"]),
            job["seed"],
            job["options"],
        )
        decides = replace(subject, class_map=class_map)
        how = {"batch_size": job["batch_size"], "precision": job["precision"]}
        if cell.perturbation == STORED_CORRUPTIONS:
            parts = dict(zip(job["conditions"], stores, strict=True))
            yield evaluate_parts(decides, parts, cell, setting, **how)
        else:
            [store] = stores
            yield evaluate_cell(decides, store, cell, setting, **how)


def _subset(files: tuple[str, str], job: Mapping[str, Any]) -> ImageStore:
    images, manifest = map(Path, files)
    return open_subset(images, manifest, job["num_images"], job["seed"])
