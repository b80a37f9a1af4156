"""Files and folders that a misspelt path may mean."""

from pathlib import Path


def beside(word: str) -> list[str]:
    """Return what lies in the folder that a path names, written as the path is."""
    folder = Path(word).parent
    if not folder.is_dir():
        return []
    return [str(path) for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
