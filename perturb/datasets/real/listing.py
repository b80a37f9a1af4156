"""Lists the images of a dataset of real images with their classes, without decoding any.

A dataset with another number of images or classes than configured is refused, and so is a folder or
label that the class index lacks. Images that a protocol excludes are logged.
"""

import json
import logging
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from perturb.datasets.labels import MAX_CLASS
from perturb.datasets.real.files.file_names import BESIDE, LeftOut, is_image_name
from perturb.datasets.real.sources.folders import (
    list_class_folders,
    list_corruptions,
    list_cue_conflict,
)
from perturb.datasets.real.sources.label_files import serial
from perturb.datasets.real.sources.labelled import list_labelled_files
from perturb.datasets.real.sources.parquet import list_parquet
from perturb.datasets.real.sources.source import Listing, Source, some
from perturb.datasets.real.sources.webdataset import list_webdataset

__all__ = ["LAYOUTS", "Listing", "list_images"]

logger = logging.getLogger(__name__)

_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")

LAYOUTS: Mapping[str, Callable[[Source], Listing]] = {
    "class_folders": list_class_folders,
    "labelled_files": list_labelled_files,
    "cue_conflict": list_cue_conflict,
    "corruptions": list_corruptions,
    "parquet": list_parquet,
    "webdataset": list_webdataset,
}
"""Layouts by name, as in the configuration."""


def list_images(
    source: Mapping[str, Any],
    root: Path,
    *,
    part: str | None = None,
    num_images: int | None = None,
    num_classes: int | None = None,
) -> Listing:
    """Return the images of a source.

    Parameters
    ----------
    source : as in the configuration: `path`, `layout`, `class_index`, and keys of the layout.
    root : folder that its paths are relative to.
    part : corruption and severity of the layout `corruptions`, e.g. `gaussian_noise-3`.
    num_images : expected number of images, without those that the protocol excludes.
    num_classes : expected number of classes; None for no check, as for `num_images`.

    Raises
    ------
    ValueError
        naming the key of the source, the file or the class that is wrong.
    """
    layout = str(source.get("layout"))
    if layout not in LAYOUTS:
        raise ValueError(f"source.layout is {layout!r}; allowed: {', '.join(LAYOUTS)}")
    if part is not None and layout != "corruptions":
        raise ValueError(f"part is {part!r}; only layout corruptions has parts, not {layout}")
    asked = Source(source, Path(root), part, num_classes)
    listing = LAYOUTS[layout](asked)
    where = f"source.path {source.get('path')!r}" + (f", {part}" if part else "")
    if asked.left_out.names:
        logger.info("%s: left out %s", where, asked.left_out)
    _check_classes(listing, num_classes, where, asked.left_out)
    accepted = asked.file("accepted_labels")
    found = len(listing)
    if accepted is not None:
        listing = _with_accepted(listing, accepted)
    if num_images is not None and len(listing) != num_images:
        rest = f", {found} before some were left out" if found != len(listing) else ""
        strange = [name for name, _ in listing.unused_files]
        unused = f"; not counted: {some(strange)}" if strange else ""
        hidden = f"; left out: {asked.left_out}" if asked.left_out.names else ""
        raise ValueError(
            f"{where}: {len(listing)} images{rest}, expected {num_images}{unused}{hidden}"
        )
    _check_ids(listing, where)
    return listing


def _check_classes(
    listing: Listing, num_classes: int | None, where: str, left_out: LeftOut
) -> None:
    if not len(listing):
        loose = [name for name, _ in listing.unused_files if is_image_name(name)]
        outside = f"; outside of class folders: {len(loose)}; a folder per class is expected"
        rest = f"; left out: {left_out}" if left_out.names.keys() - {BESIDE} else ""
        raise ValueError(f"{where}: there are no images{outside if loose else ''}{rest}")
    present = set(listing.targets)
    if num_classes is None or len(present) == num_classes:
        if num_classes and min(present) == 1 and max(present) == num_classes:
            raise ValueError(f"{where}: its classes are numbered 1 to {num_classes}, not from 0")
        return
    lacking = [name for name, number in listing.classes.items() if number not in present]
    # A dataset of few classes of an index, as ImageNet-R's 200 of 1,000, lacks most by design.
    is_listed = lacking and len(listing.classes) <= num_classes
    empty = left_out.empty_folders() if len(present) < num_classes else []
    without = sorted({*(lacking if is_listed else ()), *empty})
    named = f"; without images: {some(without)}" if without else ""
    raise ValueError(f"{where}: images of {len(present)} classes, expected {num_classes}{named}")


def _check_ids(listing: Listing, where: str) -> None:
    for name in (*listing.image_ids, *(name for name, _ in listing.unused_files)):
        # Such a name cannot stand in a text file, or would break a line of a report.
        if not name.isprintable() and any(unicodedata.category(c) in _UNWRITABLE for c in name):
            raise ValueError(
                f"{where}: the name {name!r} holds a control character, a line break or bytes "
                "that are not UTF-8; give the file another name"
            )
    seen: set[str] = set()
    for image_id in listing.image_ids:
        if image_id in seen:
            raise ValueError(f"{where}: the image id {image_id} occurs twice")
        seen.add(image_id)


def _with_accepted(listing: Listing, path: Path) -> Listing:
    """Return the images that have accepted classes, with the column `accepted`.

    The file has the format of ReaL: a list of lists of classes, in the order of the numbers in the
    names of ILSVRC-2012's validation images. An image without accepted classes is left out. The
    target becomes the first accepted class.

    References
    ----------
    Beyer et al., "Are we done with ImageNet?", arXiv 2006.07159.
    """
    table = _accepted_table(path)
    try:
        numbers = [serial(image_id) for image_id in listing.image_ids]
    except ValueError as error:
        raise ValueError(f"source.accepted_labels {path}: {error}") from error
    beyond = [number for number in (min(numbers), max(numbers)) if not 1 <= number <= len(table)]
    if beyond:
        raise ValueError(
            f"source.accepted_labels {path}: {len(table)} images, but there is one of number "
            f"{beyond[-1]}; allowed: 1 to {len(table)}"
        )
    accepted = [table[number - 1] for number in numbers]
    kept = [row for row, classes in enumerate(accepted) if classes]
    logger.info("%s: left out %d images without any label", path, len(accepted) - len(kept))
    if not kept:
        raise ValueError(f"source.accepted_labels {path}: none of the images has a label")
    targets = [classes[0] if classes else 0 for classes in accepted]
    columns = {**listing.columns, "accepted": accepted}
    return replace(listing, targets=targets, columns=columns).only(kept)


def _accepted_table(path: Path) -> list[list[int]]:
    try:
        table = json.loads(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"source.accepted_labels {path}: is not JSON ({error})") from error
    if not (isinstance(table, list) and all(isinstance(row, list) for row in table)):
        raise ValueError(f"source.accepted_labels {path}: allowed: a JSON list of lists")
    for number, row in enumerate(table, start=1):
        for value in row:
            if type(value) is not int or not 0 <= value <= MAX_CLASS:
                raise ValueError(
                    f"source.accepted_labels {path}: image {number} has {value!r}; "
                    f"allowed: 0 to {MAX_CLASS}"
                )
    return table
