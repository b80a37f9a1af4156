"""Decoding of datasets of real images in parallel processes, once for each preprocessing.

All unusable images are collected in one report, which fails the build: no image is skipped. A
killed build resumes where it stopped.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import PIL
import pyarrow as pa

from perturb.datasets.classes import Classes, are_folders, check_classes, noted
from perturb.datasets.manifests import read_classes
from perturb.datasets.progress import Progress
from perturb.datasets.real.decoding import BadImageError, decode, decoder
from perturb.datasets.real.decoding_pool import Content, Target, Task, carried_out, load
from perturb.datasets.real.files.locators import (
    READ_ERRORS,
    can_be_read_anywhere,
    read_in_order,
    reading_order,
)
from perturb.datasets.real.listing import Listing, list_images
from perturb.datasets.real.partial_array import PartialArray, digest_of, file_state
from perturb.datasets.real.sources.source import some
from perturb.datasets.store import digest_of_pixels, write_manifest
from perturb.datasets.synthetic.family import DECODING_PROTOCOL
from perturb.files import replacing
from perturb.models.resizing import AS_IS, Resizing
from perturb.random import image_key

logger = logging.getLogger(__name__)

CHUNK = 64
_NUM_TRIED = 100
_NUM_NAMED = 20
_COLUMN_TYPES = {"texture": pa.int16(), "accepted": pa.list_(pa.int16())}


def build_from_source(
    images: Path,
    manifest: Path,
    source: Mapping[str, Any],
    view: Resizing,
    *,
    root: Path,
    part: str | None = None,
    side: int | None = None,
    num_images: int | None = None,
    num_classes: int | None = None,
    decoding: str = "exact",
    workers: int = 1,
    clean: Path | None = None,
    made_from: Mapping[str, Any] | None = None,
) -> None:
    """Write a dataset of real images, decoded for one preprocessing.

    Parameters
    ----------
    source, root, part, num_images, num_classes : as of `list_images`.
    view : the preprocessing.
    side : required side of images that are neither resized nor cropped [px]; None for any.
    decoding : `exact`, Pillow's pixels bit for bit, or `fast`, within one level of them.
    workers : number of decoding processes.
    clean : manifest of the clean set; its classes must contain those of the images.
    made_from : as of `write_manifest`.

    Raises
    ------
    ValueError
        if the source or its classes are not as configured, images are unusable (listed in
        `images.bad.txt` beside the pixels), an archive is damaged, or the disk has too little room.
    """
    images, manifest = Path(images), Path(manifest)
    decoder(decoding)
    listing = list_images(source, root, part=part, num_images=num_images, num_classes=num_classes)
    name = " ".join(filter(None, [str(source.get("path", root)), part]))
    classes = _classes_of(listing, str(source["layout"]))
    if clean is not None:
        named = f"source.path {source.get('path')!r}", f"the clean set ({clean.parent})"
        check_classes(classes, read_classes(clean), named)
    side = _side(view, listing, name, side)
    facts = _facts(view, decoding)
    array = PartialArray(images, (len(listing), 3, side, side), facts)
    target = Target(str(array.path), array.offset, side, view, decoding)
    bad = [*listing.unused_files, *_fill(array, target, listing, workers, name)]
    _refuse_bad(bad, name, images.with_name(f"{images.stem}.bad.txt"))
    write_manifest(
        manifest,
        _manifest(listing, facts | noted(classes)),
        made_from,
        pixels_digest=digest_of_pixels(array.pixels, workers),
    )
    array.finish()
    logger.info("%s: %d images of %d px are in %s", name, len(listing), side, images)


def _facts(view: Resizing, decoding: str) -> dict[str, Any]:
    """Return the settings and versions that the pixels of an image depend on."""
    # Versions come from package metadata: importing torch is slow.
    packages = ("simplejpeg", "torch") if decoding == "fast" else ()
    versions = {"pillow": PIL.__version__, **{name: version(name) for name in packages}}
    return {
        "view": asdict(view),
        "decoding": decoding,
        "protocol": DECODING_PROTOCOL,
        "versions": versions,
    }


def _fill(
    array: PartialArray, target: Target, listing: Listing, workers: int, name: str
) -> list[tuple[str, str]]:
    """Decode the chunks that the array lacks; return the unusable images with reasons."""
    order = reading_order(listing.locators)
    chunks = [order[start : start + CHUNK] for start in range(0, len(order), CHUNK)]
    state = lru_cache(maxsize=64)(file_state)  # all images of an archive share its state
    digests = {chunk[0]: _digest(listing, chunk, state) for chunk in chunks}
    missing = [chunk for chunk in chunks if not array.holds(digests[chunk[0]])]
    num_there = len(order) - sum(map(len, missing))
    if num_there:
        logger.info("%s: %d of %d images are decoded already", name, num_there, len(order))
    all_bad: list[tuple[str, str]] = []
    with Progress(name, len(order), num_there, unit=" images") as progress:
        for rows, bad in carried_out(target, _tasks(listing, missing), min(workers, len(missing))):
            all_bad += [(listing.image_ids[row], reason) for row, reason in bad]
            if not bad:
                array.note(digests[rows[0]])
            progress.update(len(rows))
    array.commit()
    return all_bad


def _refuse_bad(bad: Sequence[tuple[str, str]], name: str, path: Path) -> None:
    """Raise if there are unusable images, listed in a file; else remove an old list."""
    if not bad:
        path.unlink(missing_ok=True)
        return
    lines = [f"{image_id} {reason}" for image_id, reason in sorted(bad)]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    shown = "".join(f"\n  {line}" for line in lines[:_NUM_NAMED])
    rest = f"\n  and {len(lines) - _NUM_NAMED} more" if len(lines) > _NUM_NAMED else ""
    raise ValueError(
        f"source.path {name}: {len(lines)} files cannot be used; {path} lists all; "
        f"replace them, or remove those that are not part of the dataset:{shown}{rest}"
    )


def _tasks(listing: Listing, chunks: Sequence[Sequence[int]]) -> Iterator[Task]:
    contents = _contents(listing, [row for chunk in chunks for row in chunk])
    for chunk in chunks:
        yield chunk, [next(contents) for _ in chunk]


def _contents(listing: Listing, rows: Sequence[int]) -> Iterator[Content]:
    """Yield the locator of each image, or its bytes if the files are only read sequentially."""
    if can_be_read_anywhere(listing.locators):
        yield from (listing.locators[row] for row in rows)
        return
    try:
        for _, data in read_in_order(listing.locators, rows):
            yield data
    except READ_ERRORS as error:
        paths = some(sorted({listing.locators[row].path for row in rows}), 3)
        raise ValueError(f"{paths}: damaged, cannot be read to its end ({error})") from error


def _digest(listing: Listing, rows: Sequence[int], state: Callable[[str], tuple[int, int]]) -> str:
    """Return the digest of a chunk: its rows, their locators and the state of their files."""
    locators = [(row, listing.locators[row]) for row in rows]
    return digest_of(
        (row, listing.image_ids[row], locator, state(locator.path)) for row, locator in locators
    )


def _side(view: Resizing, listing: Listing, name: str, needed: int | None) -> int:
    side = view.side or _common_side(listing)
    if needed is not None and side != needed:
        raise ValueError(
            f"{name}: images are {side} px; allowed: {needed} px, on which AlexNet's errors were "
            "measured. Other sides need `denominators: reference`"
        )
    return side


def _common_side(listing: Listing) -> int:
    """Return the side of the first square image, which all images must share [px].

    Raises
    ------
    ValueError : none of the first hundred images is square.
    """
    rows = reading_order(listing.locators)[:_NUM_TRIED]
    reasons: list[str] = []
    for row, content in zip(rows, _contents(listing, rows), strict=True):
        try:
            return int(decode(load(content), AS_IS).shape[1])
        except BadImageError as error:
            reasons.append(f"{listing.image_ids[row]} {error}")
    raise ValueError(
        f"preprocessing as_is: none of the first {len(rows)} images can be taken as it is; "
        f"{some(reasons, 3)}"
    )


def _manifest(listing: Listing, facts: Mapping[str, Any]) -> pa.Table:
    """Return the manifest: ids, keys, targets and the further columns of the listing.

    Its metadata, under `perturb`, hold the facts and the classes by name.
    """
    table = {
        "image_id": pa.array(listing.image_ids, pa.string()),
        "image_key": pa.array([image_key(id) for id in listing.image_ids], pa.int64()),
        "target": pa.array(listing.targets, pa.int16()),
    }
    for name, values in listing.columns.items():
        table[name] = pa.array(values, _COLUMN_TYPES[name])
    return pa.table(table, metadata={"perturb": json.dumps(facts)})


def _classes_of(listing: Listing, layout: str) -> Classes:
    """Return the classes of a listing."""
    is_by_name = listing.given_by != "numbers"
    names = {n: c for n, c in listing.classes.items() if is_by_name or not n.isdecimal()}
    return Classes(listing.given_by, are_folders(layout), names, max(listing.targets) + 1)
