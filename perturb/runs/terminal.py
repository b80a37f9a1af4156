"""Progress on the terminal, together with Snakemake's output.

On a terminal the progress is one line that is updated in place; Snakemake writes to a
pseudo-terminal, whose output is copied line by line above the progress. In a file or a pipe
Snakemake writes directly, and progress lines are inserted at intervals. If writing is not possible
(a closed terminal, a full disk) nothing is shown, and Snakemake's output is still read, so that the
run neither ends nor waits.
"""

import fcntl
import os
import pty
import shutil
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

_CLEAR = "\r\x1b[K"
_EVERY_S = 60


class Display:
    """Output of progress; `output` is the target of Snakemake's standard error."""

    output: int | None = None

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = ""
        self._last = -float(_EVERY_S)

    def show(self, text: str) -> None:
        """Show the progress, if that is due."""
        now = time.monotonic()
        if text != self._shown and now - self._last >= _EVERY_S:
            self._shown, self._last = text, now
            self.tell(text)

    def tell(self, text: str) -> None:
        """Write a permanent line."""
        with suppress(OSError):
            self._stream.write(f"{time.strftime('%H:%M:%S')} {text}\n")
            self._stream.flush()


class Terminal(Display):
    """A terminal, whose last line is the progress."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._line = ""
        self._at_start = True
        self._guard = threading.Lock()
        self._master, self.output = pty.openpty()
        _copy_size(stream.fileno(), self.output)
        self._relay = threading.Thread(target=self._pass_on, daemon=True)
        self._relay.start()

    def show(self, text: str) -> None:
        """Update the line."""
        with self._guard:
            width = shutil.get_terminal_size().columns - 1
            self._line = text[:width]
            self._draw(b"")

    def tell(self, text: str) -> None:
        """Write a permanent line above the progress."""
        with self._guard:
            self._draw(f"{text}\n".encode())

    def close(self) -> None:
        """Copy the rest of Snakemake's output, and keep the last line."""
        if self.output is not None:
            os.close(self.output)
        # A process that outlives Snakemake may keep its terminal open.
        self._relay.join(timeout=2)
        with self._guard:
            line, self._line = self._line, ""
            self._draw(f"{line}\n".encode() if line else b"")

    def _pass_on(self) -> None:
        while True:
            try:
                told = os.read(self._master, 1 << 16)
            except OSError:  # on Linux, if the other end is closed
                return
            if not told:
                return
            with self._guard:
                self._draw(told)

    def _draw(self, told: bytes) -> None:
        """Replace the progress by new output, then draw it again unless a line is incomplete."""
        with suppress(OSError):
            if self._at_start:
                self._stream.write(_CLEAR)
            self._stream.flush()
            os.write(self._stream.fileno(), told)
            if told:
                self._at_start = told.endswith(b"\n")
            if self._at_start:
                self._stream.write(self._line)
                self._stream.flush()


@contextmanager
def display(stream: TextIO | None = None) -> Iterator[Display]:
    """Yield the display for a stream, by default standard error."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield Display(stream)
        return
    terminal = Terminal(stream)
    try:
        yield terminal
    finally:
        terminal.close()


def _copy_size(source: int, target: int) -> None:
    try:
        size = fcntl.ioctl(source, termios.TIOCGWINSZ, b"\0" * 8)
        fcntl.ioctl(target, termios.TIOCSWINSZ, size)
    except OSError:  # a terminal without a size
        return
