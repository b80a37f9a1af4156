"""A stream that shows messages and, below them, the progress.

On a terminal the progress is one line that is updated in place. In a file or a pipe it is a line
at intervals. Errors in writing (a closed terminal, a full disk) are raised to the caller.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

_CLEAR = "\r\x1b[K"
_EVERY_S = 60


class Screen:
    """A file or a pipe."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = ""
        self._last = -float(_EVERY_S)

    def show(self, progress: str) -> None:
        """Show the progress, if that is due."""
        now = time.monotonic()
        if progress and progress != self._line and now - self._last >= _EVERY_S:
            self._line, self._last = progress, now
            self.write([f"{time.strftime('%H:%M:%S')} {progress}"])

    def write(self, lines: Sequence[str]) -> None:
        """Write lines that stay."""
        if lines:
            with self.cleared():
                self._stream.writelines(f"{line}\n" for line in lines)
                self._stream.flush()

    @contextmanager
    def cleared(self) -> Iterator[None]:
        """Let the block write to the stream."""
        yield

    def close(self) -> None:
        """Leave the stream to others."""


class Terminal(Screen):
    """A terminal, whose last line is the progress."""

    def show(self, progress: str) -> None:
        """Update the last line."""
        line = progress[: shutil.get_terminal_size().columns - 1]
        if line != self._line:
            self._line = line
            self._draw()

    def _draw(self) -> None:
        # Foreign output, such as that of a job, begins in the first column and not behind it.
        self._stream.write(f"{_CLEAR}{self._line}\r")
        self._stream.flush()

    @contextmanager
    def cleared(self) -> Iterator[None]:
        """Let the block write above the last line."""
        if self._line:
            self._stream.write(_CLEAR)
        yield
        if self._line:
            self._draw()

    def close(self) -> None:
        """Keep the last line."""
        if self._line:
            self._stream.write(f"{_CLEAR}{self._line}\n")
            self._stream.flush()
            self._line = ""


def screen_of(stream: TextIO) -> Screen:
    """Return the screen of a stream."""
    return Terminal(stream) if stream.isatty() else Screen(stream)
