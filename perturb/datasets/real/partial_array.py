"""An unfinished array of pixels: a file beside its final place, and a journal of its chunks.

A killed build resumes from them. The first line of the journal holds shape and settings of the
build; each further line is the digest of a chunk on the disk: its images, their locators and the
state of their files. Chunks with another digest are decoded again.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from perturb.files import reserve, sync

logger = logging.getLogger(__name__)

_COMMIT_S = 5.0


class PartialArray:
    """An unfinished uint8 array (N, 3, S, S) in NumPy's file format, beside its final place.

    Attributes
    ----------
    path : path of the unfinished file.
    offset : size of its header [bytes].
    """

    def __init__(self, final: Path, shape: tuple[int, int, int, int], facts: Mapping[str, Any]):
        """Open the file of a killed build if its facts are the same, else start a new one.

        Parameters
        ----------
        facts : all that pixels depend on beside the images: preprocessing, decoding, versions.

        Raises
        ------
        ValueError
            if the disk has too little room.
        """
        self.final = final
        self.path = final.with_name(f".{final.name}.partial")
        self._journal = final.with_name(f".{final.name}.journal")
        self._shape = shape
        self._header = json.dumps({"shape": shape, **facts}, sort_keys=True)
        final.parent.mkdir(parents=True, exist_ok=True)
        self._done = self._left_over()
        self._waiting: list[str] = []
        self._committed_at = time.monotonic()
        self._check_room()
        if not self._done:
            self._begin()
        self.offset = int(self.pixels.offset)

    @property
    def pixels(self) -> np.memmap[Any, np.dtype[np.uint8]]:
        """The pixels, a read-only map of the unfinished file."""
        pixels: np.memmap[Any, np.dtype[np.uint8]] = np.load(self.path, mmap_mode="r")
        return pixels

    def holds(self, digest: str) -> bool:
        """Return whether a chunk is on the disk."""
        return digest in self._done

    def note(self, digest: str) -> None:
        """Record a written chunk; commit every few seconds."""
        self._waiting.append(digest)
        if time.monotonic() - self._committed_at > _COMMIT_S:
            self.commit()

    def commit(self) -> None:
        """Flush written chunks to the disk, then add them to the journal."""
        sync(self.path)
        with self._journal.open("a", encoding="utf-8") as file:
            file.writelines(f"{digest}\n" for digest in self._waiting)
            file.flush()
            os.fsync(file.fileno())
        self._waiting.clear()
        self._committed_at = time.monotonic()

    def finish(self) -> None:
        """Give the file its final name."""
        self.path.replace(self.final)
        self._journal.unlink(missing_ok=True)

    def _left_over(self) -> set[str]:
        """Return the digests of the chunks of a killed build, none if it had other facts."""
        if not (self.path.exists() and self._journal.exists()):
            return set()
        lines = self._journal.read_text(encoding="utf-8").split("\n")
        # Text after the last line break is incomplete: the process was killed while writing it.
        header, done = lines[0], set(lines[1:-1])
        if header != self._header or self.path.stat().st_size < int(np.prod(self._shape)):
            logger.info("%s: %s is of another build; starting anew", self.final, self.path.name)
            return set()
        return done

    def _begin(self) -> None:
        self._journal.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        np.lib.format.open_memmap(self.path, mode="w+", dtype=np.uint8, shape=self._shape)
        reserve(self.path)
        self._journal.write_text(self._header + "\n", encoding="utf-8")

    def _check_room(self) -> None:
        needed = int(np.prod(self._shape))
        there = self.path.stat().st_blocks * 512 if self._done else 0
        free = shutil.disk_usage(self.final.parent).free
        if needed - there > free:
            raise ValueError(
                f"{self.final}: needs {(needed - there) / 1e9:.3f} GB more, but only "
                f"{free / 1e9:.3f} GB are free in {self.final.parent}"
            )


def digest_of(facts: Iterable[tuple[Any, ...]]) -> str:
    """Return the digest of a chunk from the facts of its images."""
    return hashlib.blake2b(repr(list(facts)).encode(), digest_size=16).hexdigest()


def file_state(path: str) -> tuple[int, int]:
    """Return size and modification time of a file; zeros if it does not exist."""
    try:
        status = os.stat(path)  # noqa: PTH116 - called per image: faster than through a Path
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
