"""Where the files beside a source's images lie: class indices, class maps, lists of labels."""

from pathlib import Path


def place_of(root: Path, name: str) -> Path:
    """Return where a file lies: below the root, or else as it is named from the working directory.

    In the working directory lie the class indices of this repository. Of a file that is in neither
    it is the place below the root, where it belongs.
    """
    below = root / name
    return Path(name) if not below.exists() and Path(name).exists() else below
