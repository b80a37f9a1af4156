"""Images read, decoded and written in chunks by the worker processes of joblib.

Its workers (loky) are new interpreters that import neither torch nor the calling script:
`multiprocessing` would run the script of a workflow again in every process that it spawns, and a
fork of a process with threads may lock up.
"""

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from joblib import Parallel, delayed, parallel_config  # type: ignore[import-untyped]

from perturb.datasets.real.decoding import BadImageError, decoder
from perturb.datasets.real.files.locators import READ_ERRORS, FileAt, Locator
from perturb.models.resizing import Resizing

Content = Locator | bytes | None
"""The bytes of an image or their locator, None if the image has no bytes."""

Task = tuple[Sequence[int], Sequence[Content]]
"""The rows of a chunk, with the image of each."""

Answer = tuple[Sequence[int], list[tuple[int, str]]]
"""The rows of a chunk, and those of unusable images with reasons."""


@dataclass(frozen=True)
class Target:
    """The file of the pixels: row r starts at byte `offset` + r * 3 * side * side."""

    path: str
    offset: int
    side: int
    view: Resizing
    decoding: str


def load(content: Content) -> bytes:
    """Return the bytes of an image.

    Raises
    ------
    BadImageError : the bytes cannot be read.
    """
    if content is None:
        raise BadImageError("has no bytes")
    if isinstance(content, bytes):
        return content
    try:
        return cast(FileAt, content).read()
    except READ_ERRORS as error:
        raise BadImageError(f"cannot be read ({error})") from error


def carry_out(target: Target, rows: Sequence[int], contents: Sequence[Content]) -> Answer:
    """Decode a chunk into its file."""
    decode, bad = decoder(target.decoding), []
    # Written, not mapped: on a full disk a write to a map kills the process without a message.
    with Path(target.path).open("r+b") as file:
        for row, content in zip(rows, contents, strict=True):
            try:
                pixels = decode(load(content), target.view)
                _, height, width = pixels.shape
                if height != target.side:
                    raise BadImageError(f"is {width} x {height} px; others are {target.side} px")
            except BadImageError as error:
                bad.append((row, str(error)))
                continue
            file.seek(target.offset + row * pixels.nbytes)
            file.write(pixels.data)
    return rows, bad


def carried_out(target: Target, tasks: Iterable[Task], num_workers: int) -> Iterator[Answer]:
    """Yield the answers to all tasks, in the order of completion.

    Parameters
    ----------
    tasks : consumed as workers become free.
    num_workers : number of processes; 1 runs the tasks in this process.

    Raises
    ------
    RuntimeError
        if a worker ends during a task.
    """
    # One thread each: there are as many processes as cores.
    workers = {"inner_max_num_threads": 1, "initializer": _follow, "initargs": (os.getpid(),)}
    with parallel_config("loky", n_jobs=max(num_workers, 1), **workers):
        parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
    try:
        yield from parallel(delayed(carry_out)(target, *task) for task in tasks)
    except BrokenExecutor as error:
        raise RuntimeError(f"{target.path}: a decoding process ended: {error}") from error


def _follow(parent: int) -> None:
    """End this worker soon after its parent, also if that is killed."""

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
