"""Layout of WebDataset shards: tar archives of `key.jpg` and `key.cls`, or `key.json`.

The JSON record is read if there is no `key.cls`, since many samples have both, or if
`source.columns.label` names its key.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from perturb.datasets.labels import Label, label_of
from perturb.datasets.real.files.archives import Entry, is_image_name, list_entries
from perturb.datasets.real.files.locators import read_in_order, reading_order
from perturb.datasets.real.sources.class_index import numbering
from perturb.datasets.real.sources.columns import usual_columns
from perturb.datasets.real.sources.source import Listing, Source, refuse, some, unique_ids


def list_webdataset(source: Source) -> Listing:
    """Return the images of one or several shards, sorted by key within each.

    Ids are the names of the images in the shards, prefixed with the shard if names repeat. Members
    that are neither images nor labels are not read.

    Raises
    ------
    ValueError
        if an image has no label, or two images or two labels share a key.
    """
    images: list[Entry] = []
    labels: list[Label] = []
    prefixes: list[str] = []
    for path in source.paths:
        found, their_labels = _read(path, source)
        images += found
        labels += their_labels
        prefixes += [path.name.partition(".")[0]] * len(found)
    places = [f"{image.locator.path}, {image.name}" for image in images]
    numbers = numbering(source, labels, places.__getitem__)
    return Listing(
        image_ids=unique_ids([image.name for image in images], prefixes),
        targets=numbers.targets,
        locators=[image.locator for image in images],
        classes=numbers.classes,
        given_by=numbers.given_by,
    )


def _read(path: Path, source: Source) -> tuple[list[Entry], list[Label]]:
    """Return the images of a shard and their labels."""
    columns = source.options.get("columns", {})
    if "image" in columns:
        raise ValueError("source.columns.image: only with layout parquet and labelled_files")
    entries = list_entries(path, left_out=source.left_out)
    images = _by_key([entry for entry in entries if is_image_name(entry.name)], path)
    classes, records = ([e for e in entries if _kind(e) == kind] for kind in ("cls", "json"))
    files = {} if columns else _by_key(classes, path)
    files |= _by_key([entry for entry in records if _key(entry) not in files], path)
    labels = _labels([files[key] for key in images if key in files], columns.get("label"))
    allowed = "{0}.json" if columns else "{0}.cls, {0}.json"
    refuse(
        str(path),
        (
            f"{image.name} has no label; allowed: {allowed.format(key)}{labels.get(key, '')}"
            for key, image in images.items()
            if not isinstance(labels.get(key), Label)
        ),
    )
    return list(images.values()), [cast(Label, labels[key]) for key in images]


def _by_key(entries: Sequence[Entry], path: Path) -> dict[str, Entry]:
    """Return the entries by their keys, which must be distinct."""
    groups: dict[str, list[str]] = {}
    for entry in entries:
        groups.setdefault(_key(entry), []).append(entry.name)
    shared = ((key, names) for key, names in groups.items() if len(names) > 1)
    refuse(
        f"{path}: a key ends at the first dot",
        (f"{some(names, 3)} share the key {key!r}" for key, names in shared),
    )
    return {_key(entry): entry for entry in entries}


def _labels(entries: Sequence[Entry], key: str | None) -> dict[str, Label | str]:
    """Return the label of each sample, or the fault of its record.

    Parameters
    ----------
    key : key of the label in records, if configured.
    """
    locators = [entry.locator for entry in entries]
    labels: dict[str, Label | str] = {}
    for row, data in read_in_order(locators, reading_order(locators)):
        entry, content = entries[row], cast(bytes, data)
        found = _json_label(content, key) if _kind(entry) == "json" else label_of(content)
        labels[_key(entry)] = found if isinstance(found, Label) else f"; {entry.name}{found}"
    return labels


def _json_label(data: bytes, key: str | None) -> Label | str:
    """Return the label in a record, or the fault of the record."""
    try:
        record = json.loads(data)
    except ValueError as error:
        return f" is not JSON ({error})"
    if not isinstance(record, dict):
        return f" is a {type(record).__name__}, not a JSON object"
    asked = key or "label"
    if asked in record:
        return label_of(record[asked])
    names = [] if key else usual_columns("label", list(record))
    if len(names) == 1:
        return label_of(record[names[0]])
    hint = "name another key as source.columns.label"
    if names:
        return f": which is the label, {some(names)}? {hint}"
    return f" has no key `{asked}`, but {some(list(record))}; {hint}"


def _key(entry: Entry) -> str:
    """Return the key that the files of a sample share: the name up to the first dot."""
    stem = entry.file_name.partition(".")[0]
    return f"{entry.folder}/{stem}" if entry.folder else stem


def _kind(entry: Entry) -> str:
    return entry.file_name.rpartition(".")[2].lower()
