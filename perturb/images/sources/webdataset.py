"""Shards of WebDataset: tar archives of `key.jpg` beside `key.cls`, or `key.json` with a label."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from perturb.images.archives import Entry, is_image_name, list_entries
from perturb.images.file_names import LeftOut
from perturb.images.locators import read_in_order, reading_order
from perturb.images.sources.class_index import numbering
from perturb.images.sources.columns import usual_columns
from perturb.images.sources.labels import Label, label_of
from perturb.images.sources.rows import Listing, Source, refuse, some, unique_ids

_LABELS = ("cls", "json")


def list_webdataset(source: Source) -> Listing:
    """Return the images of one or several shards, sorted by key within each.

    Ids are the names of the images in the shards, behind that of the shard where one occurs
    in two. Members that are neither images nor labels are further facts, as usual, and not read.

    Raises
    ------
    ValueError
        if an image has no label, or two images or two labels share a key.
    """
    images: list[Entry] = []
    labels: list[Label] = []
    prefixes: list[str] = []
    for path in source.paths:
        found, their_labels = _read(path, source.left_out)
        images += found
        labels += their_labels
        prefixes += [path.name.partition(".")[0]] * len(found)
    numbers = numbering(
        source,
        labels,
        lambda row: f"{images[row].locator.path}, {images[row].name}",
        are_folders=False,
    )
    return Listing(
        image_ids=unique_ids([image.name for image in images], prefixes),
        targets=numbers.targets,
        locators=[image.locator for image in images],
        classes=numbers.classes,
        given_by=numbers.given_by,
    )


def _read(path: Path, left_out: LeftOut) -> tuple[list[Entry], list[Label]]:
    """Return the images of a shard and their labels."""
    entries = list_entries(path, left_out=left_out)
    images = _by_key([entry for entry in entries if is_image_name(entry.name)], path)
    labels = _labels([entry for entry in entries if _kind(entry) in _LABELS], path)
    without = [(key, image.name) for key, image in images.items() if key not in labels]
    refuse(
        str(path),
        (f"{name} has no label; allowed: {key}.cls, {key}.json" for key, name in without),
    )
    return list(images.values()), [labels[key] for key in images]


def _by_key(entries: Sequence[Entry], path: Path) -> dict[str, Entry]:
    """Return the entries by their keys, of which each must have its own."""
    groups: dict[str, list[str]] = {}
    for entry in entries:
        groups.setdefault(_key(entry), []).append(entry.name)
    shared = ((key, names) for key, names in groups.items() if len(names) > 1)
    refuse(
        f"{path}: a key ends at the first dot",
        (f"{some(names, 3)} share the key {key!r}" for key, names in shared),
    )
    return {_key(entry): entry for entry in entries}


def _labels(entries: Sequence[Entry], path: Path) -> dict[str, Label]:
    """Return the label of each key; a .cls file takes precedence over a .json file."""
    by_kind: dict[str, dict[str, Label]] = {kind: {} for kind in _LABELS}
    for kind in _LABELS:
        _by_key([entry for entry in entries if _kind(entry) == kind], path)
    locators = [entry.locator for entry in entries]
    for row, data in read_in_order(locators, reading_order(locators)):
        entry, content = entries[row], cast(bytes, data)
        label = _json_label(content, entry) if _kind(entry) == "json" else label_of(content)
        if label is not None:
            by_kind[_kind(entry)][_key(entry)] = label
    return by_kind["json"] | by_kind["cls"]


def _json_label(data: bytes, entry: Entry) -> Label | None:
    """Return the label in a record; many samples have records without one, beside a .cls file."""
    try:
        record = json.loads(data)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    if "label" in record:
        return label_of(record["label"])
    names = usual_columns("label", list(record))
    if len(names) > 1:
        raise ValueError(
            f"{entry.locator.path}: {entry.name}: which is the label, {some(names)}? "
            "allowed: a key `label`, or one of these alone"
        )
    return label_of(record[names[0]]) if names else None


def _key(entry: Entry) -> str:
    """Return what the files of one sample share: the name up to the first dot."""
    stem = entry.file_name.partition(".")[0]
    return f"{entry.folder}/{stem}" if entry.folder else stem


def _kind(entry: Entry) -> str:
    return entry.file_name.rpartition(".")[2].lower()
