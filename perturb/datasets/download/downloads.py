"""Downloads, verifies and unpacks public datasets.

A file gets its name only after its size and SHA-256 match the register. If the register has no
SHA-256, the configuration must give it; no file is fetched without one. Archives are unpacked one
after another and removed, so the disk holds one archive at a time beside the content. All work
takes place in a hidden folder beside the final one, which appears when it is complete; a killed job
resumes from the hidden folder.
"""

import hashlib
import logging
import shutil
from pathlib import Path

from perturb.datasets.download.http import length_of, transfer
from perturb.datasets.download.register import Entry, RemoteFile
from perturb.datasets.download.unpacking import unpack

LOG = logging.getLogger(__name__)
MAX_BYTES = 1 << 30
"""Maximum size of a file that is not unpacked and whose size is not published."""


def download(entry: Entry, folder: Path) -> None:
    """Download, verify and unpack a dataset into a folder.

    Raises
    ------
    ValueError
        if the folder exists, the disk has too little room, a file does not match the register, or
        an archive is refused (see `unpack`).
    ConnectionError
        if a server refuses or does not answer.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder}: exists already and is not empty; remove it to download again")
    staging = folder.with_name(f".{folder.name}.download")
    staging.mkdir(parents=True, exist_ok=True)
    LOG.info("%s: %s. Licence: %s. %s", entry.name, entry.homepage, entry.licence, entry.citation)
    if not _complete(staging).exists():
        _check_disk(entry, staging)
        _collect(entry, staging)
        _assemble(entry, staging)
    _finish(staging, folder)
    LOG.info("%s: whole, in %s", entry.name, folder)


def _collect(entry: Entry, staging: Path) -> None:
    """Download and unpack missing files, each into its own folder."""
    for file in entry.files:
        unpacked = _unpacked(file, staging)
        if unpacked.exists():
            LOG.info("%s: here already", file.name)
            continue
        fetched = fetch(file, staging)
        if file.unpacked is None:
            _keep(fetched, unpacked)
        else:
            LOG.info("%s: unpacking", file.name)
            unpack(fetched, unpacked, file.unpacked)
            fetched.unlink()


def fetch(file: RemoteFile, folder: Path) -> Path:
    """Return the path of a verified file in `folder`, downloaded unless it exists.

    Raises
    ------
    ValueError, ConnectionError
        as `download`.
    """
    if file.url is None or file.sha256 is None:
        raise ValueError(f"{file.name}: an address and a SHA-256 are needed")
    target = folder / file.name
    if target.exists() and _mismatch(target, file) is None:
        return target
    part = folder / f"{file.name}.part"
    bound = file.unpacked.num_bytes if file.unpacked else MAX_BYTES
    most = bound if file.size is None else file.size
    is_resumed = part.exists()
    transfer(file.url, part, size=file.size, most=most)
    problem = _mismatch(part, file)
    if problem is None:
        LOG.info("%s: verified", file.name)
        return part.replace(target)
    part.unlink()
    if is_resumed:
        # The earlier part may be of another version of the file, or damaged.
        LOG.warning("%s: %s after resuming from an earlier part; starting over", file.url, problem)
        return fetch(file, folder)
    raise ValueError(f"{file.url}: {problem}; the server has another file")


def _mismatch(path: Path, file: RemoteFile) -> str | None:
    """Return the difference between a file and the register, None if they match."""
    if file.size is not None and length_of(path) != file.size:
        return f"size {length_of(path)}, expected {file.size}"
    for name, expected in (("sha256", file.sha256), ("md5", file.md5)):
        if expected is None:
            continue
        with path.open("rb") as content:
            actual = hashlib.file_digest(content, name).hexdigest()
        if actual != expected:
            return f"{name} {actual}, expected {expected}"
    return None


def _unpacked(file: RemoteFile, staging: Path) -> Path:
    # The hash is in the name: files of an older register or configuration are not reused.
    return staging / "unpacked" / f"{file.name}-{file.sha256}"


def _keep(fetched: Path, unpacked: Path) -> None:
    """Move a file that is not an archive into its own folder, as if unpacked."""
    temporary = unpacked.with_name(f".{unpacked.name}.unpacking")
    temporary.mkdir(parents=True, exist_ok=True)
    fetched.replace(temporary / fetched.name)
    temporary.rename(unpacked)


def _assemble(entry: Entry, staging: Path) -> None:
    """Join the content of all files in one folder; restarts after a kill."""
    whole = staging / "whole"
    whole.mkdir(exist_ok=True)
    for file in entry.files:
        for path in sorted(_unpacked(file, staging).iterdir()):
            if (whole / path.name).exists():
                raise ValueError(f"{entry.name}: {path.name!r} is in more than one of its files")
            path.rename(whole / path.name)
    whole.rename(_complete(staging))


def _finish(staging: Path, folder: Path) -> None:
    """Give the complete folder its final name."""
    # First of all: the emptied folders would later pass for unpacked files.
    if (staging / "unpacked").exists():
        shutil.rmtree(staging / "unpacked")
    if folder.exists():
        folder.rmdir()
    _complete(staging).rename(folder)
    shutil.rmtree(staging)


def _complete(staging: Path) -> Path:
    return staging / "complete"


def _check_disk(entry: Entry, staging: Path) -> None:
    """Raise unless all missing files fit on the disk, beside the largest archive."""
    missing = [file for file in entry.files if not _unpacked(file, staging).exists()]
    sizes = [file.size or 0 for file in missing]
    here = sum(
        length_of(staging / f"{file.name}{end}") for file in missing for end in ("", ".part")
    )
    archives = [file.size or 0 for file in missing if file.unpacked]
    needed = sum(sizes) + max(archives, default=0) - here
    free = shutil.disk_usage(staging).free
    if needed > free:
        raise ValueError(
            f"{staging.parent}: {entry.name} needs about {needed / 1e9:.1f} GB more, "
            f"{free / 1e9:.1f} GB are free"
        )
