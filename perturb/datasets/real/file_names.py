"""What a file or folder is, by its name alone: an image, an archive, or no data at all.

One rule says what belongs to no data set, in every layout: what is hidden, what systems, storages
and programs leave beside the data, texts beside the folders, and folders without an image. It is
left out, and the log says how many things of which kind were.
"""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp"),
    *(".ppm", ".pgm", ".tif", ".tiff", ".webp"),
)
"""Endings of the names of image files, in any case."""

HIDDEN = "hidden"
FROM_SYSTEM = "left by a system or program"
BESIDE = "beside the data"
NO_IMAGES = "folder without images"
_KINDS = (BESIDE, NO_IMAGES, FROM_SYSTEM, HIDDEN)

_ARCHIVES = (".tar", ".zip", ".gz", ".tgz", ".bz2", ".xz")
_TEXTS = ("readme", "license", "licence", "copying", "citation", "md5", "sha256", "checksum")
# Pictures that are not read here: a folder of them is no empty one.
_OTHER_PICTURES = (
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".svg", ".psd", ".tga", ".pbm", ".pnm"),
    *(".dng", ".cr2", ".nef", ".arw", ".raw", ".dcm", ".exr", ".hdr"),
)
_NAMES = {
    # Windows
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "recycler"),
    "system volume information",
    # macOS: a folder's picture, in a file whose name ends with a carriage return
    *("icon\r", "network trash folder", "temporary items"),
    # network storages of Synology and QNAP
    *("@eadir", "@tmp", "@sharebin", "#recycle", "#snapshot"),
    *("@recycle", "@recently-snapshot", "@snapshot"),
    # Linux, Python
    *("lost+found", "__pycache__"),
}
_STARTS = ("__macosx", "thumbs.db:")
# Of Windows, in WSL; of Synology's storages.
_ENDS = ("zone.identifier", "@synoeastream", "@synoresource")


def is_image_name(name: str) -> bool:
    """Return whether a file's name is that of an image."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def is_archive(path: Path) -> bool:
    """Return whether the name is that of an archive; of which kind, its first bytes say."""
    return path.suffix.lower() in _ARCHIVES


def is_text_beside(name: str) -> bool:
    """Return whether a file's name is that of a text about the data: a README, a licence."""
    return name.lower().startswith(_TEXTS) and not is_image_name(name)


def may_be_picture(name: str) -> bool:
    """Return whether a file that is not named like an image could be one that is not read here."""
    file_name = name.rpartition("/")[2]
    return file_name.lower().endswith(_OTHER_PICTURES) or (
        "." not in file_name and not is_text_beside(file_name)
    )


def no_data(part: str) -> str | None:
    """Return why a file or folder of this name, one part of a path, is no data; None if it is."""
    if part.startswith("."):
        return HIDDEN
    folded = part.lower()
    if folded in _NAMES or folded.startswith(_STARTS) or folded.endswith(_ENDS):
        return FROM_SYSTEM
    return None


@lru_cache(maxsize=1 << 16)  # a folder has many files
def _is_data(folder: str) -> bool:
    return all(no_data(part) is None for part in folder.split("/"))


@dataclass
class LeftOut:
    """What was left out of a data set, by why it is no data."""

    names: dict[str, dict[str, None]] = field(default_factory=dict)

    def add(self, why: str, names: Iterable[str]) -> None:
        """Note files or folders; one that is noted already counts once."""
        self.names.setdefault(why, {}).update(dict.fromkeys(names))

    def takes(self, name: str) -> bool:
        """Return whether a path has a part that is no data, and note it up to this part."""
        folder, _, file_name = name.rpartition("/")
        if no_data(file_name) is None and _is_data(folder):
            return False
        parts = name.split("/")
        for depth, part in enumerate(parts, start=1):
            why = no_data(part)
            if why is not None:
                self.add(why, ["/".join(parts[:depth])])
                return True
        return False

    def empty_folders(self) -> list[str]:
        """Return the folders without an image."""
        return list(self.names.get(NO_IMAGES, ()))

    def __str__(self) -> str:
        """How many of each kind, and the first names."""
        said = []
        for why in (kind for kind in _KINDS if kind in self.names):
            names = sorted(self.names[why])
            first = ", ".join(repr(name)[1:-1] for name in names[:3])
            said.append(f"{first}{', ...' if len(names) > 3 else ''} ({len(names)} {why})")
        return "; ".join(said)


def class_folders(path: Path) -> set[str]:
    """Return the names of the folders in a folder that hold images: its classes.

    One folder that encloses the classes alone is looked into, as in listings.
    """
    found = _folders_of_images(path)
    is_flat = any(is_image_name(item.name) and item.is_file() for item in _kept(path))
    if len(found) == 1 and not is_flat:
        found = _folders_of_images(Path(found[0].path)) or found
    return {unicodedata.normalize("NFC", folder.name) for folder in found}


def _folders_of_images(path: Path) -> list[os.DirEntry[str]]:
    return [item for item in _kept(path) if item.is_dir() and _holds_image(Path(item.path))]


def _kept(path: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(path) as items:
        yield from (item for item in items if no_data(item.name) is None)


def _holds_image(path: Path, depth: int = 2) -> bool:
    """Return whether there is an image in a folder, or in those in it down to a depth."""
    folders = []
    for item in _kept(path):
        if item.is_dir():
            folders.append(Path(item.path))
        elif is_image_name(item.name):
            return True
    return depth > 1 and any(_holds_image(folder, depth - 1) for folder in folders)
