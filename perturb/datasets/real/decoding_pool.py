"""Worker processes that read, decode and write images in chunks.

Each is a new interpreter that imports neither torch nor the calling script: `multiprocessing` would
run the script of a workflow again in every process that it spawns, and a fork of a process with
threads may lock up. Tasks and answers are pickled over pipes. If the main process is killed, the
pipes close and the workers end.
"""

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, cast

import perturb
from perturb.datasets.real.decoding import BadImageError, Pixels, decoder
from perturb.datasets.real.files.locators import READ_ERRORS, FileAt, Locator
from perturb.models.resizing import Resizing

_MODULE = "perturb.datasets.real.decoding_pool"

Content = Locator | bytes | None
"""The bytes of an image or their locator, None if the image has no bytes."""


@dataclass(frozen=True)
class Target:
    """The file of the pixels: row r starts at byte `offset` + r * 3 * side * side."""

    path: str
    offset: int
    side: int
    view: Resizing
    decoding: str

    def place(self, row: int) -> int:
        """Return the position of a row in the file [bytes]."""
        return self.offset + row * 3 * self.side * self.side


@dataclass(frozen=True)
class Task:
    """A chunk of rows of the target, with the image of each."""

    target: Target
    rows: Sequence[int]
    contents: Sequence[Content]


@dataclass(frozen=True)
class Answer:
    """The result of a task: rows of unusable images with reasons."""

    task: Task
    bad: Sequence[tuple[int, str]] = field(default_factory=list)


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


def carry_out(task: Task) -> list[tuple[int, str]]:
    """Decode a chunk into its file; return the rows of unusable images with reasons."""
    target, bad = task.target, []
    decode = decoder(target.decoding)
    # Written, not mapped: on a full disk a write to a map kills the process without a message.
    with Path(target.path).open("r+b", buffering=0) as file:
        for row, content in zip(task.rows, task.contents, strict=True):
            try:
                pixels = _checked(decode(load(content), target.view), target.side)
            except BadImageError as error:
                bad.append((row, str(error)))
                continue
            _write(file, memoryview(pixels.tobytes()), target.place(row))
    return bad


def _write(file: IO[bytes], data: memoryview, place: int) -> None:
    while data:
        written = os.pwrite(file.fileno(), data, place)
        data, place = data[written:], place + written


def _checked(pixels: Pixels, side: int) -> Pixels:
    if pixels.shape[1] != side:
        raise BadImageError(f"is {pixels.shape[2]} x {pixels.shape[1]} px; others are {side} px")
    return pixels


def carried_out(tasks: Iterable[Task], num_workers: int) -> Iterator[Answer]:
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
    if num_workers <= 1:
        for task in tasks:
            yield Answer(task, carry_out(task))
        return
    with _pool(num_workers) as (threads, idle):
        running: set[Future[Answer]] = set()
        for task in tasks:
            running.add(threads.submit(_ask, idle, task))
            if len(running) >= 2 * num_workers:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


Worker = subprocess.Popen[bytes]


@contextlib.contextmanager
def _pool(num_workers: int) -> Iterator[tuple[ThreadPoolExecutor, SimpleQueue[Worker]]]:
    """Yield threads that communicate with the workers, and a queue of idle workers."""
    workers = [_start() for _ in range(num_workers)]
    idle: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        idle.put(worker)
    threads = ThreadPoolExecutor(num_workers)
    try:
        yield threads, idle
    finally:
        threads.shutdown(cancel_futures=True)
        for worker in workers:
            _stop(worker)


def _start() -> Worker:
    package_root = str(Path(perturb.__file__).resolve().parents[1])
    path = [package_root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    # One thread each: there are as many processes as cores.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", _MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )


def _stop(worker: Worker) -> None:
    assert worker.stdin is not None
    assert worker.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        worker.stdin.close()
    worker.stdout.close()
    worker.wait()


def _ask(idle: "SimpleQueue[Worker]", task: Task) -> Answer:
    worker = idle.get()
    try:
        assert worker.stdin is not None
        assert worker.stdout is not None
        pickle.dump(task, worker.stdin, protocol=5)
        worker.stdin.flush()
        answer: Any = pickle.load(worker.stdout)
    except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
        status = worker.wait()
        raise RuntimeError(
            f"a decoding process ended with status {status} (negative: a signal, often because "
            f"memory ran out) in rows {task.rows[0]} to {task.rows[-1]} of {task.target.path}"
        ) from error
    finally:
        idle.put(worker)
    return Answer(task, answer)


def main() -> None:
    """Carry out tasks from standard input until it ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keeps output of libraries out of the answers
    while True:
        try:
            task = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(carry_out(task), answers, protocol=5)
        answers.flush()


if __name__ == "__main__":
    main()
