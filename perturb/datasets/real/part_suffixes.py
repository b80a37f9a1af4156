"""A check of file suffixes in the parts of stored corruptions, before any part is decoded.

Images are matched by name between the clean set and all corruptions. If one corruption holds `.png`
files and another `.JPEG` files, no image matches; without this check 75 parts would be decoded
first.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from perturb.datasets.real.files.file_names import is_image_name, no_data


def unlike_suffixes(path: Path, parts: Iterable[str], clean: Path | None = None) -> str | None:
    """Return a message on parts whose files have different suffixes, None if all agree.

    Parameters
    ----------
    path : folder of `[<category>/]<corruption>/<severity>/<class>/<image>`; archives are not read.
    parts : names `<corruption>-<severity>`.
    clean : folder of the clean images, `<class>/<image>`, if there is one.
    """
    named = {"the clean set": clean} | {part: _folder_of(path, part) for part in parts}
    folders = {name: folder for name, folder in named.items() if folder and folder.is_dir()}
    # One class is enough: one program writes a part, which may hold a subset of the images.
    first = next(iter(folders.values()), None)
    one = next((name for name in _classes(first) if _suffixes(first / name)), "") if first else ""
    found: dict[tuple[str, ...], list[str]] = {}
    for name, folder in folders.items():
        if one and (suffixes := _suffixes(folder / one)):
            alike = next((known for known in found if set(known) & set(suffixes)), suffixes)
            found.setdefault(alike, []).append(name)
    return _message(found) if len(found) > 1 else None


def _classes(folder: Path) -> list[str]:
    return sorted(
        item.name for item in folder.iterdir() if item.is_dir() and not no_data(item.name)
    )


def _folder_of(path: Path, part: str) -> Path | None:
    corruption, _, severity = part.rpartition("-")
    below = f"{corruption}/{severity}"
    categories = [item for item in sorted(path.iterdir()) if no_data(item.name) is None]
    folders = [path / below, *(category / below for category in categories)]
    return next((folder for folder in folders if folder.is_dir()), None)


def _suffixes(folder: Path) -> tuple[str, ...]:
    """Return the suffixes of the images in a class folder, none if it does not exist."""
    names = [file.name for file in folder.iterdir()] if folder.is_dir() else []
    images = [name for name in names if is_image_name(name) and not no_data(name)]
    return tuple(sorted({Path(name).suffix for name in images}))


def _message(found: Mapping[tuple[str, ...], list[str]]) -> str:
    names = [
        f"files of {', '.join(parts[:3])}{' and others' if parts[3:] else ''} end in "
        f"{', '.join(suffixes)}"
        for suffixes, parts in found.items()
    ]
    return f"{'; '.join(names)}. An image needs one name in the clean set and all corruptions"
