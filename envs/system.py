"""System packages that the checks need: `python -m envs.system venv browser slurm munge`.

What is missing is installed where that is allowed (as root, or with a sudo that does not ask),
and is otherwise named together with the one line that installs it.

Standard library only.
"""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


def find(*programs: str) -> str | None:
    """The path of the first of some programs that is there, also where only root's PATH looks."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    return next(filter(None, (shutil.which(name, path=path) for name in programs)), None)


# What can be asked for: how it is found, and Debian's package for it.
NEEDS: dict[str, tuple[Callable[[], object], str]] = {
    "browser": (lambda: find(*BROWSERS), "chromium"),
    "venv": (lambda: importlib.util.find_spec("ensurepip"), "python3-venv"),
    # ImageMagick 7 computes in floats and gives other pixels than the published ones.
    "magick": (lambda: ctypes.util.find_library("MagickWand-6.Q16"), "libmagickwand-6.q16-6"),
    "slurm": (lambda: all(map(find, ("slurmctld", "slurmd", "sbatch"))), "slurm-wlm"),
    "munge": (lambda: find("munged"), "munge"),
}


def apt_get() -> list[str] | None:
    """The command that installs Debian packages without asking anything, or None."""
    if shutil.which("apt-get") is None:
        return None
    command = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    if os.geteuid() == 0:
        return command
    if shutil.which("sudo") is None:
        return None
    asked = subprocess.run(["sudo", "--non-interactive", "true"], capture_output=True, check=False)
    return ["sudo", "--non-interactive", *command] if asked.returncode == 0 else None


def install(packages: list[str], command: list[str]) -> None:
    """Install Debian packages with a command: `apt-get` and whatever goes before it."""
    options = ["-o", "DPkg::Lock::Timeout=120", "-qq"]
    subprocess.run([*command, *options, "update"], check=True)
    install_only = ["install", "--yes", "--no-install-recommends"]
    # dpkg writes a line for every package it unpacks; errors go to the other stream.
    subprocess.run(
        [*command, *options, *install_only, *packages], check=True, stdout=subprocess.DEVNULL
    )


def main(needs: list[str]) -> None:
    """See to it that everything asked for is there.

    Raises
    ------
    SystemExit
        If something is missing and may not be installed; the message has the line that does it.
    """
    missing = [NEEDS[need][1] for need in needs if not NEEDS[need][0]()]
    if not missing:
        return
    line = f"sudo apt-get install -y {' '.join(missing)}"
    command = apt_get()
    if command is None:
        raise SystemExit(f"Missing on this system: {', '.join(missing)}. Install with: {line}")
    sys.stdout.write(f"Missing on this system: {', '.join(missing)}. Installing with apt-get\n")
    sys.stdout.flush()
    try:
        install(missing, command)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"apt-get failed (exit status {error.returncode}). Try: {line}") from error
    still = [need for need in needs if not NEEDS[need][0]()]
    if still:
        raise SystemExit(f"Still missing after installing {', '.join(missing)}: {', '.join(still)}")


if __name__ == "__main__":
    main(sys.argv[1:])
