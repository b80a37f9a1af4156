"""Layouts with a folder per class: class folders, cue conflict and ImageNet-C."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from perturb.datasets.labels import label_of_text, labels_of_folders, read_class_index
from perturb.datasets.real.files.archives import Entry, list_entries
from perturb.datasets.real.files.file_names import is_archive, is_image_name
from perturb.datasets.real.sources.class_index import numbering
from perturb.datasets.real.sources.source import Listing, Source, some, split_unused
from perturb.datasets.real.sources.stimuli import stimuli_textures

logger = logging.getLogger(__name__)


def list_class_folders(source: Source) -> Listing:
    """Return the images of `<class>/<image>`."""
    return _from_class_folders(source, _entries(source, source.path))


def class_names(path: Path) -> set[str]:
    """Return the names of the class folders in a folder or archive."""
    images, _ = split_unused(list_entries(path, depth=1))
    return {_name_of(entry.folder) for entry in images if entry.folder}


def list_corruptions(source: Source) -> Listing:
    """Return the images of one corruption and severity of a stored ImageNet-C.

    Its tree is `[<category>/]<corruption>/<severity>/<class>/<image>`, in folders or in the
    published tar archives, one per category. Ids omit corruption and severity: an image has the
    same id in all parts.

    Raises
    ------
    ValueError
        if the part is not named, or is not in the source.
    """
    corruption, _, severity = (source.part or "").rpartition("-")
    if not corruption or not severity.isdecimal():
        raise ValueError(
            f"part is {source.part!r}; allowed: <corruption>-<severity>, for layout corruptions"
        )
    below = f"{corruption}/{severity}"
    folders = _folders_of(source, below)
    if folders:
        return _from_class_folders(source, _entries(source, folders[0]))
    for archive in _archives(source):
        entries = _entries(source, archive, below)
        if entries:
            return _from_class_folders(source, entries)
    raise ValueError(
        f"source.path {source.path}: {below} is neither in it, nor in a folder in it, nor in an "
        "archive in it"
    )


def list_cue_conflict(source: Source) -> Listing:
    """Return the stimuli of `<shape>/<shape>N-<texture>M.png`, with the column `texture`.

    Stimuli whose texture is of their own shape have no conflict; the protocol excludes them.

    References
    ----------
    Geirhos et al., "ImageNet-trained CNNs are biased towards texture; increasing shape bias
    improves accuracy and robustness", ICLR 2019.
    """
    entries = _entries(source, source.path)
    names = [entry.name for entry in entries if entry.folder and is_image_name(entry.name)]
    index = source.file("class_index") if source.options.get("class_index") != "numbers" else None
    known = {_name_of(name.rpartition("/")[0]) for name in names}
    textures = stimuli_textures(names, known | (read_class_index(index).keys() if index else set()))
    listing = _from_class_folders(source, entries, also=set(textures.values()))
    numbers = [listing.classes[textures[image_id]] for image_id in listing.image_ids]
    kept = [row for row, number in enumerate(numbers) if number != listing.targets[row]]
    if listing.image_ids and not kept:
        raise ValueError(
            f"source.path {source.path}: the texture of all {len(listing)} stimuli is that of "
            "their own shape, so none has a conflict"
        )
    counts = f"{len(listing) - len(kept)} of {len(listing)}"
    reason = "whose texture is that of their shape"
    logger.info("%s: left out %s stimuli %s", source.path, counts, reason)
    return replace(listing, columns={"texture": numbers}).only(kept)


def _entries(source: Source, path: Path, below: str = "") -> list[Entry]:
    return list_entries(path, depth=1, below=below, left_out=source.left_out)


def _folders_of(source: Source, below: str) -> list[Path]:
    """Return the folders of a corruption and severity, in the source or in its categories."""
    categories = [
        path
        for path in source.path.glob(f"*/{below}")
        if not source.left_out.takes(path.relative_to(source.path).parts[0])
    ]
    return [path for path in (source.path / below, *sorted(categories)) if path.is_dir()]


def _archives(source: Source) -> list[Path]:
    if source.path.is_file():
        return [source.path]
    return sorted(
        item
        for item in source.path.iterdir()
        if item.is_file() and is_archive(item) and not source.left_out.takes(item.name)
    )


def _from_class_folders(
    source: Source, entries: Sequence[Entry], also: Collection[str] = ()
) -> Listing:
    """Return the images of `<class>/<image>`; `also` are further names that need a class."""
    images, unused = split_unused(entries)
    loose = [entry.name for entry in images if not entry.folder]
    deep = [entry.name for entry in images if "/" in entry.folder]
    if deep:
        raise ValueError(
            f"source.path {source.path}: {some(deep, 3)}: images must lie in <class>/<image>"
        )
    unused += [(name, "lies in no class folder") for name in loose]
    images = [entry for entry in images if entry.folder]
    folders = sorted({entry.folder for entry in images})
    _check_names(folders, source)
    names = sorted({_name_of(folder) for folder in folders} | set(also))
    labels = labels_of_folders(names)
    found = numbering(source, labels, lambda row: f"class folder {names[row]}", are_folders=True)
    classes = dict(zip(names, found.targets, strict=True))
    return Listing(
        image_ids=[entry.name for entry in images],
        targets=[classes[_name_of(entry.folder)] for entry in images],
        locators=[entry.locator for entry in images],
        classes=found.classes,
        given_by=found.given_by,
        unused_files=unused,
    )


def _name_of(folder: str) -> str:
    """Return the class name of a folder."""
    return label_of_text(folder).text


def _check_names(folders: Sequence[str], source: Source) -> None:
    """Refuse two folders whose names differ only in blanks or in the form of Unicode."""
    seen: dict[str, str] = {}
    for folder in folders:
        other = seen.setdefault(_name_of(folder), folder)
        if other != folder:
            raise ValueError(
                f"source.path {source.path}: the class folders {other!a} and {folder!a} "
                "have the same name"
            )
