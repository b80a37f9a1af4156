"""Classification of files and folders by name: images, archives, and files that are not data.

All layouts leave out the same: hidden files, files that operating systems, network storages and
programs add, texts beside the folders, and folders without images. The log counts them by kind.
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
"""Suffixes of image files, in any case."""

HIDDEN = "hidden"
FROM_SYSTEM = "left by a system or program"
BESIDE = "beside the data"
NO_IMAGES = "folder without images"
_KINDS = (BESIDE, NO_IMAGES, FROM_SYSTEM, HIDDEN)

_ARCHIVES = (".tar", ".zip", ".gz", ".tgz", ".bz2", ".xz")
_TEXTS = ("readme", "license", "licence", "copying", "citation", "md5", "sha256", "checksum")
# Image formats that are not supported: a folder of such files is not empty.
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
# From Windows, in WSL; from Synology's storages.
_ENDS = ("zone.identifier", "@synoeastream", "@synoresource")


def is_image_name(name: str) -> bool:
    """Return whether a name has the suffix of an image."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def is_archive(path: Path) -> bool:
    """Return whether a name has the suffix of an archive, whose kind its first bytes define."""
    return path.suffix.lower() in _ARCHIVES


def is_text_beside(name: str) -> bool:
    """Return whether a name is that of a text about the data, such as a README or a licence."""
    return name.lower().startswith(_TEXTS) and not is_image_name(name)


def may_be_picture(name: str) -> bool:
    """Return whether a file without an image suffix may be an image of an unsupported format."""
    file_name = name.rpartition("/")[2]
    return file_name.lower().endswith(_OTHER_PICTURES) or (
        "." not in file_name and not is_text_beside(file_name)
    )


def no_data(part: str) -> str | None:
    """Return why a file or folder is not data, by one part of its path; None if it is data."""
    if part.startswith("."):
        return HIDDEN
    folded = part.lower()
    if folded in _NAMES or folded.startswith(_STARTS) or folded.endswith(_ENDS):
        return FROM_SYSTEM
    return None


@lru_cache(maxsize=1 << 16)  # many files share a folder
def _is_data(folder: str) -> bool:
    return all(no_data(part) is None for part in folder.split("/"))


@dataclass
class LeftOut:
    """Files and folders that are left out of a dataset, by reason."""

    names: dict[str, dict[str, None]] = field(default_factory=dict)

    def add(self, why: str, names: Iterable[str]) -> None:
        """Add files or folders; a repeated one counts once."""
        self.names.setdefault(why, {}).update(dict.fromkeys(names))

    def takes(self, name: str) -> bool:
        """Return whether a part of a path is not data, and add the path up to that part."""
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
        """Return the folders without images."""
        return list(self.names.get(NO_IMAGES, ()))

    def __str__(self) -> str:
        """Return the number of each kind and the first names."""
        parts = []
        for why in (kind for kind in _KINDS if kind in self.names):
            names = sorted(self.names[why])
            first = ", ".join(repr(name)[1:-1] for name in names[:3])
            parts.append(f"{first}{', ...' if len(names) > 3 else ''} ({len(names)} {why})")
        return "; ".join(parts)


def class_folders(path: Path) -> set[str]:
    """Return the names of the subfolders that hold images: the classes of a folder.

    A single folder that encloses all classes is skipped, as in listings.
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
    """Return whether a folder, or a subfolder down to a depth, holds an image."""
    folders = []
    for item in _kept(path):
        if item.is_dir():
            folders.append(Path(item.path))
        elif is_image_name(item.name):
            return True
    return depth > 1 and any(_holds_image(folder, depth - 1) for folder in folders)
