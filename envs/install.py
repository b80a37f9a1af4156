"""Install hash locks into the running environment: `python -m envs.install LOCK...`.

uv does it, several times faster than pip; where uv cannot be had or fails, pip does the
same from the same locks. Either way only files that the lock names by sha256 are installed, and no
dependency is resolved.

torch goes a way of its own. uv does not see the places that pip is configured to look in, and pip,
once it is given hashes, prefers a registry's file over a local one. So pip is asked without hashes
for the wheel it would take, which on some machines is a local CPU build, and that file is
installed if its sum is in the lock. Only a torch that asks for CUDA's libraries gets them: they
take gigabytes.

Standard library only, until the locks are installed.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

from envs.lockfile import Pin, read_pins

_FOLDER = Path(__file__).resolve().parent
CUDA_LOCK = _FOLDER / "requirements-cuda.txt"
_RULES = ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
if sys.version_info >= (3, 14):
    # Snakemake needs it, and it has wheels up to 3.13: from source, which takes a C compiler.
    _RULES += ["--no-binary", "immutables"]
_PIP = [sys.executable, "-m", "pip"]

log = logging.getLogger(__name__)


def torch_requirement(pin: Pin, folder: Path) -> str:
    """The line that installs torch: the wheel pip prefers on this machine, where the lock has it.

    Parameters
    ----------
    pin
        torch's pin, whose hashes cover the registry's builds and the known CPU builds.
    folder
        Empty; receives the wheel.
    """
    log.info("Fetching torch %s (0.2 GB for a CPU build, 0.5 GB for a CUDA build)", pin.version)
    command = [*_PIP, "download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    subprocess.run([*command, f"{pin.name}=={pin.version}"], check=True)
    (wheel,) = folder.iterdir()
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest not in pin.hashes:
        log.warning("%s is not in the lock; taking the registry's build of torch", wheel.name)
        return pin.text
    # One hash alone: uv wants a file given by its path to match each hash of the line.
    return f"{pin.name} @ {wheel.as_uri()} --hash=sha256:{digest}"


def _uv(folder: Path) -> list[str]:
    """The command that starts uv, installed from the development lock."""
    lock = folder / "uv.txt"
    lock.write_text(read_pins(_FOLDER / "requirements-dev.txt")["uv"].text + "\n")
    subprocess.run([*_PIP, "install", "--quiet", *_RULES, "-r", str(lock)], check=True)
    return [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]


def _install(requirements: Path, folder: Path) -> None:
    """Install a file of requirements with uv, or with pip where uv does not manage."""
    try:
        subprocess.run([*_uv(folder), *_RULES, "-r", str(requirements)], check=True)
    except subprocess.CalledProcessError:
        log.warning("uv did not manage; pip installs the same, more slowly")
        command = [*_PIP, "install", "--quiet", "--no-compile", *_RULES]
        subprocess.run([*command, "-r", str(requirements)], check=True)


def install(lock: Path) -> None:
    """Install every package of a lock that applies to this machine."""
    pins = read_pins(lock)
    log.info("Installing %s", lock.name)
    with tempfile.TemporaryDirectory(dir=sys.prefix) as name:
        folder = Path(name)
        lines = {pin.name: pin.text for pin in pins.values()}
        if "torch" in pins:
            (folder / "torch").mkdir()
            lines["torch"] = torch_requirement(pins["torch"], folder / "torch")
        requirements = folder / "requirements.txt"
        requirements.write_text("\n".join(lines.values()) + "\n")
        _install(requirements, folder)


def main(locks: list[Path]) -> int:
    """Install the locks, CUDA's libraries if torch needs them, and check the result."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    for lock in locks:
        install(lock)
    # Not importable before: its parser of markers comes with the locks.
    importlib.invalidate_caches()
    from envs import check

    if check.missing_cuda():
        install(CUDA_LOCK)
    problems = check.problems([*locks, *([CUDA_LOCK] if check.needs_cuda() else [])])
    for problem in problems:
        log.error(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main([Path(name) for name in sys.argv[1:]]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"The environment is not complete: exit status {error.returncode} of {error.cmd}")
