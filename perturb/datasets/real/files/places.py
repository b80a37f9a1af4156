"""Paths of the files beside the images of a source: class indices, class maps, label files."""

from pathlib import Path


def place_of(root: Path, name: str) -> Path:
    """Return the path of a file: below the root, or else relative to the working directory.

    The working directory holds the class indices of this repository. A file that exists in neither
    gets the path below the root.
    """
    below = root / name
    return Path(name) if not below.exists() and Path(name).exists() else below
