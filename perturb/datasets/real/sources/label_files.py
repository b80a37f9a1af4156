"""Reads files of labels, for images without class folders.

- The ground truth of the ILSVRC development kit: line k is the synset number of image k, and
  `meta.mat` of the kit maps numbers to WordNet ids.
- A WordNet id per line, in the order of the images.
- Tables, such as Kaggle's `LOC_val_solution.csv`, and lists of file and label: `tables`.
"""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from perturb.datasets.labels import label_of_text
from perturb.datasets.real.files.archives import is_archive, list_entries
from perturb.datasets.real.files.locators import Locator, read_in_order
from perturb.datasets.real.sources.matching import known_images, rows_of_images
from perturb.datasets.real.sources.tables import TABLES, is_ordered, read_rows

GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
SYNSETS = "meta.mat"

_SERIAL = re.compile(r"_(\d{8})(?:\D|$)")


def serial(name: str) -> int:
    """Return the number k of an image of ILSVRC, as in `ILSVRC2012_val_0000000k.JPEG`.

    Raises
    ------
    ValueError : the name has no number of eight digits.
    """
    match = _SERIAL.search(name.rpartition("/")[2])
    if match is None:
        raise ValueError(f"{name}: allowed names end like ILSVRC2012_val_00000293.JPEG")
    return int(match[1])


def read_labels(
    path: Path, names: Sequence[str], synsets: Path | None, columns: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Return the label of every image, and its place in the file.

    Parameters
    ----------
    path : the file of labels, or the development kit, as a folder or an archive.
    names : names of the image files.
    synsets : `meta.mat`, or the kit, which maps numeric labels to WordNet ids; None if labels are
        names or classes.
    columns : `source.columns`, names of columns of a table.

    Raises
    ------
    ValueError
        if the file has none of these formats, or lists other images.
    """
    text = _text(path, GROUND_TRUTH)
    if not text.strip():
        raise ValueError(f"source.labels {path}: is empty")
    if is_ordered(text) and not columns:
        given = [line.strip() for line in text.splitlines() if line.strip()]
        ordered = _in_order(given, names, path)
        return _wordnet_ids(ordered, _kit(path, synsets), path), [path.name] * len(names)
    rows = read_rows(text, path, known_images(names), columns)
    cells, lines = [row.image for row in rows], [row.line for row in rows]
    found = rows_of_images(names, cells, lines, f"source.labels {path}")
    places = [f"{path.name}, line {rows[row].line}" for row in found]
    labels = [rows[row].label for row in found]
    return labels if synsets is None else _wordnet_ids(labels, synsets, path), places


def _in_order(labels: Sequence[str], names: Sequence[str], path: Path) -> list[str]:
    """Return the labels of line k for image k."""
    unnumbered = [name for name in names if _SERIAL.search(name.rpartition("/")[2]) is None]
    if unnumbered:
        raise ValueError(
            f"source.labels {path}: its first line, {labels[0][:60]!r}, is one word; in such a "
            f"file line k is the label of image k, named like ILSVRC2012_val_00000293.JPEG; "
            f"{unnumbered[0]} is not. {TABLES}"
        )
    numbers = [serial(name) for name in names]
    if sorted(numbers) != list(range(1, len(labels) + 1)):
        raise ValueError(
            f"source.labels {path}: {len(labels)} lines for images numbered 1 to {len(labels)}; "
            f"there are {len(names)} images, {min(numbers, default=0)} to {max(numbers, default=0)}"
        )
    return [labels[number - 1] for number in numbers]


def _wordnet_ids(labels: Sequence[str], kit: Path | None, path: Path) -> list[str]:
    """Return the WordNet ids of synset numbers, and other labels unchanged.

    Raises
    ------
    ValueError
        if the synsets are missing, given for labels that are names, or lack a number.
    """
    found = {label: label_of_text(label) for label in labels}
    numbers = {text: label.number for text, label in found.items() if label.number is not None}
    names = [text for text, label in found.items() if label.number is None and not label.fault]
    if names and kit is not None:
        raise ValueError(
            f"source.synsets {kit}: explains numbers, but source.labels {path} holds names, such "
            f"as {names[0]!r}; leave `synsets` out, or give a file of numbers"
        )
    if len(numbers) < len(found):
        return list(labels)  # `numbering` refuses invalid labels
    if kit is None:
        raise ValueError(
            f"source.labels {path}: its numbers are those of synsets; give the file that maps "
            f"them to WordNet ids, {SYNSETS} of the development kit, as source.synsets"
        )
    synsets = _synsets(kit)
    unknown = sorted(text for text, number in numbers.items() if number not in synsets)
    if unknown:
        raise ValueError(f"source.synsets {kit}: does not know the number {unknown[0]}")
    return [synsets[numbers[label]] for label in labels]


def _kit(labels: Path, synsets: Path | None) -> Path | None:
    """Return the file or kit with the synsets: a whole kit holds its own."""
    if synsets is None and (labels.is_dir() or is_archive(labels)):
        return labels
    return synsets


def _synsets(path: Path) -> dict[int, str]:
    """Return the WordNet ids of the synsets that are classes, by their numbers in the kit."""
    # Slow to import, and needed for this file only.
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        table = loadmat(io.BytesIO(_bytes(path, SYNSETS)), squeeze_me=True)["synsets"]
        return {
            int(row["ILSVRC2012_ID"]): str(row["WNID"])
            for row in table
            if int(row["num_children"]) == 0
        }
    except (MatReadError, KeyError, ValueError, IndexError, TypeError, OSError) as error:
        raise ValueError(
            f"source.synsets {path}: is not {SYNSETS} of the ILSVRC-2012 kit ({error!r})"
        ) from error


def _text(path: Path, member: str) -> str:
    try:
        return _bytes(path, member).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"source.labels {path}: is not text in UTF-8 ({error}). {TABLES}"
        ) from error


def _bytes(path: Path, member: str) -> bytes:
    """Return the bytes of a file, or of a member of a folder or an archive."""
    if not path.is_dir() and not is_archive(path):
        return path.read_bytes()
    found = [entry for entry in list_entries(path) if entry.file_name == member]
    if not found:
        raise ValueError(f"{path}: there is no {member} in it")
    locators: list[Locator] = [found[0].locator]
    return cast(bytes, next(iter(read_in_order(locators, [0])))[1])
