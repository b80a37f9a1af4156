"""Files that are complete or missing, also after a process was killed or a disk was full."""

import errno
import glob
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

# A full disk, a spent quota, a limit on the size of files.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CANNOT_RESERVE = (errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its name when the block ends well.

    A process killed inside the block leaves the old file, or none, under the real name, and its
    temporary one until the next attempt; an exception removes that at once. The file gets the
    permissions of any new file in the folder: some libraries make files for the user alone.

    Raises
    ------
    OSError
        naming `path`, if there is no room for it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    # The process id keeps two jobs apart that were started for one file by mistake.
    temporary = path.with_name(f".{path.name}.{os.uname().nodename}-{os.getpid()}.tmp")
    try:
        mode = _mode_of_new(temporary)
        yield temporary
        if stat.S_IMODE(temporary.stat().st_mode) != mode:
            temporary.chmod(mode)
        # Some file systems report a full disk only now; and without this the name could reach the
        # disk before the content, if the machine goes down.
        sync(temporary)
        temporary.replace(path)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def reserve(path: Path) -> None:
    """Allocate the disk space of a file of zeros.

    Without this, writing to a memory map of the file kills the process where the disk is full.

    Raises
    ------
    OSError
        naming `path`, if there is no room for it.
    """
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            # A file system without allocation is written to directly.
            if error.errno not in _CANNOT_RESERVE:
                raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from error


def sync(path: Path) -> None:
    """Synchronise a file's content to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def as_inputs(paths: Iterable[str]) -> list[str]:
    """Return the existing files that jobs can name as their inputs.

    `beside_inputs` returns the hashes of files with names that Snakemake would read as patterns.
    Missing files are refused before any job.
    """
    return [path for path in paths if not is_pattern(path) and Path(path).is_file()]


def beside_inputs(paths: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of each file that `as_inputs` leaves out because of its name."""
    hidden = [path for path in paths if is_pattern(path) and Path(path).is_file()]
    return {path: sha256_of(Path(path)) for path in hidden}


def is_pattern(path: str) -> bool:
    """Return whether Snakemake reads a path as a pattern: it cannot escape these characters."""
    return not set("{}<>").isdisjoint(path)


def existing(path: Path) -> Path:
    """Return a path, or its nearest existing parent folder."""
    return next(place for place in (path, *path.parents) if os.path.lexists(place))


def refusal_of(folder: Path) -> str | None:
    """Return the reason why a folder (existing or new) cannot be written to; else None."""
    path = existing(folder)
    if not path.is_dir():
        return f"{path} is not a folder"
    try:
        # Permissions do not show a read-only mount, rules of another host or a full disk.
        with tempfile.TemporaryFile(dir=path):
            return None
    except OSError as error:
        return f"{path} cannot be written to: {error.strerror}"


def _mode_of_new(path: Path) -> int:
    """Return the default permissions of a new file.

    They are read from a file made for this purpose: the umask can be read only by changing it for
    all threads, or from /proc, and does not cover a folder with rules of its own (ACL).
    """
    path.unlink(missing_ok=True)  # left by a killed process of the same number
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    path.unlink()
    return mode


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files that killed processes of this machine left of a file."""
    start = f".{path.name}.{os.uname().nodename}-"
    for left in path.parent.glob(f"{glob.escape(start)}*.tmp"):
        process = left.name.removeprefix(start).removesuffix(".tmp")
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            left.unlink(missing_ok=True)
