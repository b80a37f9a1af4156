"""Images and classes of a caller as a decoded dataset, in memory.

N images, H W pixels.
"""

import json
from collections.abc import Sequence, Sized
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from perturb.datasets.classes import Classes, noted
from perturb.datasets.labels import MAX_CLASS
from perturb.datasets.real.decoding import BadImageError, decode
from perturb.datasets.real.files.locators import READ_ERRORS, read_in_order, reading_order
from perturb.datasets.real.listing import Listing, list_images
from perturb.datasets.real.sources.source import some
from perturb.datasets.store import ImageStore
from perturb.datasets.subset import balanced_subset
from perturb.library.arrays import Array, Targets, as_levels, as_targets
from perturb.models.resizing import Resizing
from perturb.random import image_key

Subset = tuple[int | None, int]  # number of images, None for all; the seed of the draw


class ItemDataset(Protocol):
    """A dataset of torch in map style: pairs of an image, (3, H, W), and its class."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


Dataset = ImageStore | tuple[Tensor | Array, Targets] | str | Path | ItemDataset


def decoded(
    dataset: Dataset,
    *,
    view: Resizing,
    subset: Subset = (None, 0),
    image_ids: Sequence[str] | None = None,
    class_index: str | Path | None = None,
) -> ImageStore:
    """Return a decoded dataset.

    Parameters
    ----------
    dataset : a pair (images, targets), images as of `perturb.corrupt`; a folder, or an archive, of
        ``<class>/<image>``; a dataset of torch with such images; or a decoded dataset.
    view : how the images of a folder become squares.
    subset : the class-balanced subset that is drawn.
    image_ids : of a pair or a dataset of torch; None numbers the images from 0.
    class_index : JSON file with the number of each class of a folder; None numbers them by the
        order of their names.

    Raises
    ------
    ValueError
        If the dataset is none of these, or its images, classes or ids are not valid.
    """
    is_folder = isinstance(dataset, str | Path)
    if class_index is not None and not is_folder:
        raise ValueError("class_index is given; allowed: only for a folder of class folders")
    if image_ids is not None and (is_folder or isinstance(dataset, ImageStore)):
        raise ValueError("image_ids are given; allowed: only for images in memory, without ids")
    if isinstance(dataset, str | Path):
        return _of_folder(Path(dataset), view, subset, class_index)
    store = dataset if isinstance(dataset, ImageStore) else _in_memory(dataset, image_ids)
    rows = balanced_subset(store.image_ids.to_pylist(), store.targets.tolist(), *subset)
    return store.subset(rows)


def _in_memory(dataset: Any, image_ids: Sequence[str] | None) -> ImageStore:
    is_pair = isinstance(dataset, tuple | list)
    if is_pair and len(dataset) == 2:
        images, targets = dataset
    elif not is_pair and isinstance(dataset, Sized) and hasattr(dataset, "__getitem__"):
        images, targets = _items(dataset)
    else:
        raise ValueError(
            f"dataset is a {type(dataset).__name__}; allowed: a pair (images, targets), a folder "
            "of class folders, a dataset of torch with a length, or a decoded dataset"
        )
    levels = as_levels(images).cpu()
    if not len(levels):
        raise ValueError("dataset has no image; allowed: one or more")
    classes = as_targets(targets, len(levels), "cpu").numpy()
    ids = [str(number) for number in range(len(levels))] if image_ids is None else list(image_ids)
    _check_ids(ids, len(levels))
    return ImageStore(levels.numpy(), _manifest(ids, classes))


def _items(dataset: Any) -> tuple[Tensor, Tensor]:
    """Return the images and classes of a dataset of torch, read one after another."""
    images, targets = [], []
    for index in range(len(dataset)):
        item = dataset[index]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise ValueError(
                f"item {index} of the dataset is a {type(item).__name__}; allowed: (image, target)"
            )
        image, target = item
        if not isinstance(image, Tensor | np.ndarray):
            raise ValueError(  # noqa: TRY004
                f"image {index} of the dataset is a {type(image).__name__}; allowed: a tensor or "
                "an array (3, H, W), which a transform of the dataset makes"
            )
        images.append(as_levels(image[None])[0].cpu())
        targets.append(int(target))
    shapes = {tuple(image.shape) for image in images}
    if len(shapes) != 1:
        found = some(sorted(shapes), 3) or "none"
        raise ValueError(f"images of the dataset have shapes {found}; allowed: one shape for all")
    return torch.stack(images), torch.tensor(targets)


def _of_folder(
    path: Path, view: Resizing, subset: Subset, class_index: str | Path | None
) -> ImageStore:
    source: dict[str, Any] = {"path": path.name, "layout": "class_folders"}
    if class_index is not None:
        source["class_index"] = str(Path(class_index).absolute())
    listing = list_images(source, path.absolute().parent)
    if listing.unused_files:
        names = some([name for name, _ in listing.unused_files], 3)
        raise ValueError(f"{path}: {names} are no images in class folders; remove them")
    # Only the images of the subset are read.
    listing = listing.only(balanced_subset(listing.image_ids, listing.targets, *subset))
    classes = Classes(listing.given_by, True, dict(listing.classes))
    manifest = _manifest(listing.image_ids, np.asarray(listing.targets), classes)
    return ImageStore(_decoded(listing, view, path), manifest)


def _decoded(listing: Listing, view: Resizing, path: Path) -> Array:
    """Return the pixels of a listing, uint8 (N, 3, S, S)."""
    pixels: dict[int, Array] = {}
    bad: list[str] = []
    try:
        for row, data in read_in_order(listing.locators, reading_order(listing.locators)):
            try:
                pixels[row] = decode(data or b"", view)
            except BadImageError as error:
                bad.append(f"{listing.image_ids[row]} {error}")
    except READ_ERRORS as error:
        raise ValueError(f"{path}: cannot be read to its end ({error})") from error
    sides = {image.shape[1] for image in pixels.values()}
    if bad or len(sides) > 1:
        found = some(bad or [f"squares of {side} px" for side in sorted(sides)], 3)
        hint = ". A `perturb.Classifier` resizes them" if view.mode == "as_is" else ""
        raise ValueError(f"{path}: {found}; allowed: whole images{hint}")
    return np.stack([pixels[row] for row in range(len(listing))])


def _manifest(image_ids: Sequence[str], targets: Array, classes: Classes | None = None) -> pa.Table:
    if (highest := int(targets.max())) > MAX_CLASS:
        raise ValueError(f"a target is {highest}; allowed: 0 to {MAX_CLASS}")
    columns = {
        "image_id": pa.array(image_ids, pa.string()),
        "image_key": pa.array([image_key(id) for id in image_ids], pa.int64()),
        "target": pa.array(targets, pa.int16()),
    }
    return pa.table(
        columns, metadata={"perturb": json.dumps(noted(classes))} if classes is not None else None
    )


def _check_ids(image_ids: Sequence[Any], num_images: int) -> None:
    if len(image_ids) != num_images:
        raise ValueError(f"image_ids are {len(image_ids)}; allowed: {num_images}, one an image")
    seen = set[str]()
    for image_id in image_ids:
        if not isinstance(image_id, str):
            raise ValueError(f"an image id is {image_id!r}; allowed: texts")  # noqa: TRY004
        if image_id in seen:
            raise ValueError(f"the image id {image_id!r} occurs twice; allowed: once")
        seen.add(image_id)
