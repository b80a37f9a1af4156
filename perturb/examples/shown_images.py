"""The images of the gallery: a few of each dataset, of the same classes where it has them."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from perturb.config import Config
from perturb.datasets.manifests import read_manifest
from perturb.datasets.subset import balanced_subset
from perturb.evaluation.cell import Cell
from perturb.parquet import read_parquet
from perturb.plan.examples import gallery_cells
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

    All perturbations of a dataset are evaluated on them. Other datasets than the clean set have the
    same images, or else images of the same classes.
    """
    found: dict[str, list[Image]] = {}
    for cell in gallery_cells(config):
        if cell.dataset not in found:
            images = _candidates(config, cell)
            found[cell.dataset] = (
                like(found[config.clean_dataset.id], images)
                if found
                else spread(images, _correct(config, cell))
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


def _correct(config: Config, cell: Cell) -> set[str]:
    """Return the ids of the images of an unperturbed cell that the model predicts correctly."""
    shard = Path(Paths(config.results).shard(cell))
    try:
        rows = read_parquet(shard, ["image_id", "is_correct"])
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{shard}: cannot be read ({error})") from error
    return set(rows.filter(rows["is_correct"])["image_id"].to_pylist())


def spread(images: Sequence[Image], correct: Collection[str]) -> list[Image]:
    """Return at most four images of classes that lie apart.

    Classes with a correct image come first: attacks do not change other images.
    """
    of_class: dict[int, list[Image]] = {}
    for image in sorted(images, key=lambda image: (image.target, image.id not in correct)):
        of_class.setdefault(image.target, []).append(image)
    classes = _apart([target for target, own in of_class.items() if own[0].id in correct])
    others = [target for target in of_class if target not in classes]
    classes += _apart(others, NUM_IMAGES - len(classes))
    in_turn = (
        (turn, place, image)
        for place, target in enumerate(classes)
        for turn, image in enumerate(of_class[target])
    )
    found = [image for *_, image in sorted(in_turn, key=itemgetter(0, 1))[:NUM_IMAGES]]
    return sorted(found, key=lambda image: image.target)


def _apart(classes: Sequence[int], most: int = NUM_IMAGES) -> list[int]:
    """Return at most so many of the classes, at equal distances."""
    count = min(most, len(classes))
    return [classes[place * len(classes) // count] for place in range(count)]


def like(wanted: Sequence[Image], images: Sequence[Image]) -> list[Image]:
    """Return one of the images for each wanted one: the same, or of its class, or any other."""
    # In an order of no meaning: lists of renditions go through the styles of a class in turn.
    left = dict.fromkeys(sorted(images, key=_rank))
    found: dict[Image, Image] = {}
    for is_like in (_is_same, _has_same_class, _is_any):
        for image in wanted:
            choice = next((other for other in left if is_like(image, other)), None)
            if image not in found and choice is not None:
                found[image] = choice
                del left[choice]
    return [found[image] for image in wanted if image in found]


def _is_same(image: Image, other: Image) -> bool:
    return image == other


def _has_same_class(image: Image, other: Image) -> bool:
    return image.target == other.target


def _is_any(_: Image, __: Image) -> bool:
    return True


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
