"""The images of the gallery: a few of each dataset, of the same classes where it has them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from perturb.config import Config
from perturb.datasets.manifests import read_manifest
from perturb.datasets.subset import balanced_subset
from perturb.evaluation.cell import Cell
from perturb.parquet import read_parquet
from perturb.plan.examples import gallery_cells, named_model
from perturb.plan.paths import Paths
from perturb.plan.stores import stores_of_cell

NUM_IMAGES = 4


@dataclass(frozen=True)
class Image:
    """An image of a dataset, and its class."""

    id: str
    target: int


def shown_images(config: Config) -> dict[str, list[Image]]:
    """Return at most four images of each dataset of the gallery, the clean set's first.

    All perturbations of a dataset are evaluated on them. Of the clean set they are of classes that
    lie apart, and the named model predicts them correctly if it does so for enough images: attacks
    change no other. Other datasets have the same images, or else images of the same classes.
    """
    found: dict[str, list[Image]] = {}
    for cell in gallery_cells(config):
        if cell.dataset not in found:
            images = _candidates(config, cell)
            wanted = found.get(config.clean_dataset.id)
            found[cell.dataset] = (
                _spread(_correct(config, cell, images)) if wanted is None else _like(wanted, images)
            )
    return found


def _candidates(config: Config, cell: Cell) -> list[Image]:
    """Return the images of a cell's dataset on which all its perturbations are evaluated.

    A smaller subset lies within a larger one.
    """
    store = stores_of_cell(config, cell, cell.model)[0]
    manifest = read_manifest(Path(Paths(config.results).manifest(store)), ["image_id", "target"])
    ids, targets = manifest["image_id"].to_pylist(), manifest["target"].to_pylist()
    of_dataset = {own.perturbation for own in gallery_cells(config) if own.dataset == cell.dataset}
    sizes = (config.perturbations[id].num_images for id in of_dataset)
    smallest = min((size for size in sizes if size is not None), default=None)
    rows = balanced_subset(ids, targets, smallest, config.seed)
    return [Image(ids[row], targets[row]) for row in rows]


def _correct(config: Config, cell: Cell, images: list[Image]) -> list[Image]:
    """Return the images that the named model predicts correctly, or all if these are too few."""
    shard = Paths(config.results).shard(Cell(named_model(config), cell.dataset, "none", "0"))
    if cell.perturbation != "none":
        return images
    try:
        rows = read_parquet(Path(shard), ["image_id", "is_correct"])
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{shard}: cannot be read ({error})") from error
    right = set(rows.filter(rows["is_correct"])["image_id"].to_pylist())
    found = [image for image in images if image.id in right]
    return found if len(found) >= NUM_IMAGES else images


def _spread(images: Sequence[Image]) -> list[Image]:
    """Return images at equal distances in the order of their classes."""
    in_order = sorted(images, key=lambda image: image.target)
    count = min(NUM_IMAGES, len(images))
    return [in_order[place * len(images) // count] for place in range(count)]


def _like(wanted: Sequence[Image], images: Sequence[Image]) -> list[Image]:
    """Return those of the images that are most like the wanted ones, each once."""
    # In an order of no meaning: lists of renditions go through the styles of a class in turn.
    left = dict.fromkeys(sorted(images, key=_rank))
    found = []
    for image in wanted:
        same = [image] if image in left else []
        alike = (other for other in left if other.target == image.target)
        choice = next(iter(same), next(alike, next(iter(left), None)))
        if choice is not None:
            found.append(choice)
            del left[choice]
    return found


def _rank(image: Image) -> bytes:
    return hashlib.blake2b(image.id.encode(), digest_size=16).digest()


def rows_of(image_ids: pa.Array, wanted: Sequence[str], where: str) -> list[int]:
    """Return the row of each image by its id.

    Raises
    ------
    ValueError
        naming the first image that is missing, and `where`.
    """
    rows: list[int] = pc.index_in(pa.array(wanted, pa.string()), image_ids).to_pylist()
    missing = [id for id, row in zip(wanted, rows, strict=True) if row is None]
    if missing:
        raise ValueError(f"{where}: image {missing[0]!r} is missing; {len(image_ids)} are there")
    return rows
