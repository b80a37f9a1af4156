"""Reads the files that say which label an image has, for images that do not lie in class folders.

- The ground truth of the ILSVRC development kit: line k is the number of image k's synset, and
  `meta.mat` of the same kit says which WordNet id each number is.
- Lines of a WordNet id each, in the order of the images.
- Lines of a file name and a label, as used with Caffe; the label is a class or a WordNet id.
- Kaggle's `LOC_val_solution.csv`, or any table `name,label`: of the second column the first word.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from perturb.images.archives import is_archive, list_entries
from perturb.images.locators import Locator, read_in_order

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


def read_labels(path: Path, names: Sequence[str], synsets: Path | None) -> list[str]:
    """Return the label of every image.

    Parameters
    ----------
    path : the file of labels, or the development kit itself, as a folder or an archive.
    names : of the image files.
    synsets : `meta.mat`, or the kit; None where the labels are not numbers of synsets.

    Raises
    ------
    ValueError
        if the file is not one of those above, or has other images than there are.
    """
    text = _text(path, GROUND_TRUTH)
    rows = _rows(text)
    if not rows:
        raise ValueError(f"source.labels {path}: is empty")
    if len(rows[0]) == 1:
        ordered = _in_order([row[0] for row in rows], names, path)
        return _wordnet_ids(ordered, _kit(path, synsets), path)
    table = _table(rows, path)
    return _by_name(table, names, path)


def _rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and "," in lines[0]:
        return list(csv.reader(io.StringIO("\n".join(lines))))
    # From the right: a file's name may hold a blank.
    return [line.rsplit(maxsplit=1) for line in lines]


def _in_order(labels: Sequence[str], names: Sequence[str], path: Path) -> list[str]:
    """Return the labels of line k for image k."""
    numbers = [serial(name) for name in names]
    if sorted(numbers) != list(range(1, len(labels) + 1)):
        raise ValueError(
            f"source.labels {path}: {len(labels)} lines for images numbered 1 to {len(labels)}; "
            f"there are {len(names)} images, {min(numbers, default=0)} to {max(numbers, default=0)}"
        )
    return [labels[number - 1] for number in numbers]


def _wordnet_ids(labels: Sequence[str], kit: Path | None, path: Path) -> list[str]:
    """Return labels that are numbers of synsets as WordNet ids, and others as they are."""
    if not all(label.isdecimal() for label in labels):
        return list(labels)
    if kit is None:
        raise ValueError(
            f"source.labels {path}: its numbers are those of synsets; give the file that explains "
            f"them, {SYNSETS} of the development kit, as source.synsets"
        )
    synsets = _synsets(kit)
    unknown = sorted({label for label in labels if int(label) not in synsets})
    if unknown:
        raise ValueError(f"source.synsets {kit}: does not know the number {unknown[0]}")
    return [synsets[int(label)] for label in labels]


def _kit(labels: Path, synsets: Path | None) -> Path | None:
    """Return where the synsets are explained: a whole kit explains its own labels."""
    if synsets is None and (labels.is_dir() or is_archive(labels)):
        return labels
    return synsets


def _synsets(path: Path) -> dict[int, str]:
    """Return the WordNet ids of the synsets that are classes, by their numbers in the kit."""
    # Not needed but for this file, and slow to import.
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


def _table(rows: Sequence[Sequence[str]], path: Path) -> Mapping[str, str]:
    """Return the first word of the second column by the first column, without its folders."""
    if rows[0][0].strip().lower() in ("imageid", "image", "name", "filename", "file", "path"):
        rows = rows[1:]
    table: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        if len(row) < 2 or not row[1].split():
            raise ValueError(f"source.labels {path}: row {number} has no label")
        name = _stem(row[0].strip())
        if name in table:
            raise ValueError(f"source.labels {path}: {name} occurs twice")
        table[name] = row[1].split()[0]
    return table


def _by_name(table: Mapping[str, str], names: Sequence[str], path: Path) -> list[str]:
    stems = [_stem(name) for name in names]
    without = [name for name, stem in zip(names, stems, strict=True) if stem not in table]
    if without:
        raise ValueError(
            f"source.labels {path}: {len(without)} images have no label, first {without[0]}"
        )
    lacking = sorted(table.keys() - set(stems))
    if lacking:
        raise ValueError(
            f"source.labels {path}: {len(lacking)} of its images are missing, first {lacking[0]}"
        )
    return [table[stem] for stem in stems]


def _stem(name: str) -> str:
    """Return a file's name without folders and suffix: Kaggle's table leaves the suffix out."""
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return stem if dot else suffix


def _text(path: Path, member: str) -> str:
    try:
        return _bytes(path, member).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"source.labels {path}: is not text ({error})") from error


def _bytes(path: Path, member: str) -> bytes:
    """Return a file's bytes, or those of the named file in a folder or an archive."""
    if not path.is_dir() and not is_archive(path):
        return path.read_bytes()
    found = [entry for entry in list_entries(path) if entry.file_name == member]
    if not found:
        raise ValueError(f"{path}: there is no {member} in it")
    locators: list[Locator] = [found[0].locator]
    return cast(bytes, next(iter(read_in_order(locators, [0])))[1])
