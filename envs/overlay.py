"""Make an environment that lies over the running one: `python -m envs.overlay FOLDER`.

What is installed into it stays in it; everything else is imported from the environment below. So
tests against others' code get that code without another copy of torch, and what they bring cannot
be imported by mistake anywhere else.

Standard library only.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

_WHERE = "import sysconfig; print(sysconfig.get_path('purelib'))"


def make_overlay(folder: Path) -> None:
    """Make an environment in an empty or missing folder, without a pip of its own.

    pip and uv are those of the environment below, and install into the one whose python runs them.
    """
    venv.EnvBuilder(symlinks=True).create(folder)
    python = folder / "bin" / "python"
    answer = subprocess.run([python, "-c", _WHERE], check=True, capture_output=True, text=True)
    below = Path(answer.stdout.strip()) / "below.pth"
    below.write_text(sysconfig.get_path("purelib") + "\n")


if __name__ == "__main__":
    make_overlay(Path(sys.argv[1]))
