"""Checks of the names of members of an untrusted archive."""

import unicodedata
from pathlib import PurePosixPath

MAX_NAME_BYTES = 255  # of a part of a path, in the file systems of Linux, macOS and Windows
MAX_PATH_BYTES = 1024


def safe_parts(name: str) -> tuple[str, ...]:
    """Return the parts of a member's path.

    Raises
    ------
    ValueError
        if the path may lead out of the folder, or differs in meaning between systems.
    """
    parts = tuple(part for part in PurePosixPath(name).parts if part != ".")
    problem = None
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        problem = "is an absolute path"
    elif not parts or ".." in parts:
        problem = "leads out of the folder" if parts else "is empty"
    elif "\\" in name or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        problem = "holds a backslash, a control character or broken Unicode"
    elif len(name.encode()) > MAX_PATH_BYTES or any(
        len(p.encode()) > MAX_NAME_BYTES for p in parts
    ):
        problem = f"is too long (at most {MAX_NAME_BYTES} bytes a part, {MAX_PATH_BYTES} in all)"
    elif any(part != part.rstrip(" .") for part in parts):
        problem = "has a part that ends with a space or a dot"
    if problem:
        raise ValueError(f"the name {name[:200]!r} {problem}")
    return parts


def folded(parts: tuple[str, ...]) -> str:
    """Return the path as a file system that ignores case and Unicode forms compares it."""
    return unicodedata.normalize("NFC", "/".join(parts)).casefold()
