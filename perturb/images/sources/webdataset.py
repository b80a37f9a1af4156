"""Shards of WebDataset: tar archives of `key.jpg` beside `key.cls`, or `key.json` with a label."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from perturb.images.archives import Entry, is_image_name, list_entries
from perturb.images.file_names import LeftOut
from perturb.images.locators import read_in_order, reading_order
from perturb.images.sources.class_index import class_index
from perturb.images.sources.rows import Listing, Source, unique_ids

_LABELS = ("cls", "json")


def list_webdataset(source: Source) -> Listing:
    """Return the images of one or several shards, sorted by key within each.

    Ids are the names of the images in the shards, behind that of the shard where one occurs
    in two. Members that are neither images nor labels are further facts, as usual, and not read.

    Raises
    ------
    ValueError
        if an image has no label, or two images share a key.
    """
    images: list[Entry] = []
    labels: list[str] = []
    prefixes: list[str] = []
    for path in source.paths:
        found, their_labels = _read(path, source.left_out)
        images += found
        labels += their_labels
        prefixes += [path.name.partition(".")[0]] * len(found)
    classes = class_index(source, set(labels), are_labels=True)
    return Listing(
        image_ids=unique_ids([image.name for image in images], prefixes),
        targets=[classes[label] for label in labels],
        locators=[image.locator for image in images],
        classes=classes,
    )


def _read(path: Path, left_out: LeftOut) -> tuple[list[Entry], list[str]]:
    """Return the images of a shard and their labels."""
    entries = list_entries(path, left_out=left_out)
    images = {_key(entry): entry for entry in entries if is_image_name(entry.name)}
    if len(images) != sum(is_image_name(entry.name) for entry in entries):
        raise ValueError(f"{path}: two images share a key")
    labels = _labels([entry for entry in entries if _kind(entry) in _LABELS])
    for key, image in images.items():
        if key not in labels:
            raise ValueError(f"{path}: {image.name} has no label; allowed: {key}.cls, {key}.json")
    return list(images.values()), [labels[key] for key in images]


def _labels(entries: Sequence[Entry]) -> dict[str, str]:
    """Return the label of each key; a .cls file speaks before a .json file."""
    locators = [entry.locator for entry in entries]
    by_kind: dict[str, dict[str, str]] = {kind: {} for kind in _LABELS}
    for row, data in read_in_order(locators, reading_order(locators)):
        entry, text = entries[row], cast(bytes, data)
        label = _json_label(text) if _kind(entry) == "json" else _cls_label(text)
        if label is not None:
            by_kind[_kind(entry)][_key(entry)] = label
    return by_kind["json"] | by_kind["cls"]


def _cls_label(data: bytes) -> str:
    return data.decode("utf-8", errors="replace").strip()


def _json_label(data: bytes) -> str | None:
    """Return the label in a record; many samples have records without one, beside a .cls file."""
    try:
        return str(json.loads(data)["label"])
    except (ValueError, TypeError, KeyError):
        return None


def _key(entry: Entry) -> str:
    """Return what the files of one sample share: the name up to the first dot."""
    stem = entry.file_name.partition(".")[0]
    return f"{entry.folder}/{stem}" if entry.folder else stem


def _kind(entry: Entry) -> str:
    return entry.file_name.rpartition(".")[2].lower()
