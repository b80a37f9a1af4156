"""Whether the parts of stored corruptions name their images alike, before one is decoded.

An image is followed by its name from the clean set through all corruptions. Where one corruption
was written as `.png` and another as `.JPEG`, no image of the one is in the other, and it takes
75 decoded parts to find that out.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from perturb.images.file_names import is_image_name, no_data


def unlike_suffixes(path: Path, parts: Iterable[str], clean: Path | None = None) -> str | None:
    """Return which parts of a folder have files of other suffixes than the others, else None.

    Parameters
    ----------
    path : `[<category>/]<corruption>/<severity>/<class>/<image>`; archives are not looked into.
    parts : `<corruption>-<severity>`.
    clean : the folder of the clean images, `<class>/<image>`, if there is one.
    """
    folders = {part: _folder_of(path, part) for part in parts} | {"the clean set": clean}
    suffixes = {
        name: _suffixes(folder) for name, folder in folders.items() if folder and folder.is_dir()
    }
    found: dict[tuple[str, ...], list[str]] = {}
    for name, of_part in suffixes.items():
        if of_part:
            found.setdefault(of_part, []).append(name)
    return _said(found) if len(found) > 1 else None


def _folder_of(path: Path, part: str) -> Path | None:
    corruption, _, severity = part.rpartition("-")
    below = f"{corruption}/{severity}"
    categories = [item for item in sorted(path.iterdir()) if no_data(item.name) is None]
    folders = [path / below, *(category / below for category in categories)]
    return next((folder for folder in folders if folder.is_dir()), None)


def _suffixes(folder: Path) -> tuple[str, ...]:
    """Return the suffixes in the first class folder with images: one program writes a part."""
    for below in sorted(folder.iterdir()):
        if below.is_dir() and no_data(below.name) is None:
            names = [file.name for file in below.iterdir() if no_data(file.name) is None]
            found = {Path(name).suffix for name in names if is_image_name(name)}
            if found:
                return tuple(sorted(found))
    return ()


def _said(found: Mapping[tuple[str, ...], list[str]]) -> str:
    names = [
        f"files of {', '.join(parts[:3])}{' and others' if parts[3:] else ''} end in "
        f"{', '.join(suffixes)}"
        for suffixes, parts in found.items()
    ]
    return f"{'; '.join(names)}. An image needs one name in the clean set and all corruptions"
