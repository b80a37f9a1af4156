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
from pathlib import Path

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


def find_browser() -> Path | None:
    """The path of a Chromium or Chrome on this machine, or None."""
    found = (shutil.which(name) for name in BROWSERS)
    return next((Path(path) for path in found if path), None)


def find_venv() -> Path | None:
    """The path of the module that puts pip into a new environment, or None."""
    spec = importlib.util.find_spec("ensurepip")
    return Path(spec.origin) if spec and spec.origin else None


def find_magick() -> Path | None:
    """The name of ImageMagick's library that computes in 16-bit integers, or None.

    ImageMagick 7 computes in floats and gives other pixels than the published ones.
    """
    found = ctypes.util.find_library("MagickWand-6.Q16")
    return Path(found) if found else None


def _find_daemon(name: str) -> Path | None:
    """The path of a daemon, also where only root's PATH looks, or None."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    return Path(found) if found else None


def find_slurm() -> Path | None:
    """The path of SLURM's controller, if its node daemon and its commands are here too, or None."""
    parts = [_find_daemon(name) for name in ("slurmctld", "slurmd", "sbatch")]
    return parts[0] if all(parts) else None


def find_munge() -> Path | None:
    """The path of the daemon that SLURM proves identities with, or None."""
    return _find_daemon("munged")


# What can be asked for: how it is found, and Debian's package for it.
NEEDS = {
    "browser": (find_browser, "chromium"),
    "venv": (find_venv, "python3-venv"),
    "magick": (find_magick, "libmagickwand-6.q16-6"),
    "slurm": (find_slurm, "slurm-wlm"),
    "munge": (find_munge, "munge"),
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
    """Install Debian packages.

    Parameters
    ----------
    packages
        Their names.
    command
        `apt-get` with whatever goes before it.
    """
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
    missing = [NEEDS[need][1] for need in needs if NEEDS[need][0]() is None]
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
    still = [need for need in needs if NEEDS[need][0]() is None]
    if still:
        raise SystemExit(f"Still missing after installing {', '.join(missing)}: {', '.join(still)}")


if __name__ == "__main__":
    main(sys.argv[1:])
