"""Make the running environment hold what some locks say: `python -m envs.install LOCK...`.

uv does it, several times faster than pip; where uv cannot be had or fails, pip does the same from
the same locks. Either way only files that a lock names by sha256 are installed, and no dependency
is resolved.

torch goes a way of its own. uv does not see the places that pip is configured to look in, and pip,
once it is given hashes, prefers a registry's file over a local one. So pip is asked without hashes
for the wheel it would take, which on some machines is a local CPU build, and that file is installed
if its sum is in the lock. Only a torch of another kind gets CUDA's libraries: they take gigabytes.

Standard library only.
"""

import hashlib
import importlib.metadata
import importlib.util
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

from envs.pins import read_pins

CUDA_LOCK = Path(__file__).resolve().parent / "requirements-cuda.txt"
_RULES = ["--require-hashes", "--only-binary", ":all:"]
if sys.version_info >= (3, 14):
    # Snakemake needs it, and it has wheels up to 3.13: from source, which takes a C compiler.
    _RULES += ["--no-binary", "immutables"]
_PIP = [sys.executable, "-m", "pip"]
_UV = [sys.executable, "-m", "uv", "pip"]

log = logging.getLogger(__name__)


def install(locks: list[Path], folder: Path) -> None:
    """Make the environment hold the locks, and CUDA's libraries if torch needs them."""
    pins = {name: pin for lock in locks for name, pin in read_pins(lock).items()}
    if "uv" in pins and not importlib.util.find_spec("uv"):
        (folder / "uv.txt").write_text(pins["uv"])
        subprocess.run(
            [*_PIP, "install", "--quiet", *_RULES, f"-r{folder / 'uv.txt'}"], check=False
        )
    if "torch" in pins:
        if not importlib.util.find_spec("torch"):
            (folder / "torch.txt").write_text(torch_requirement(pins["torch"], folder / "torch"))
            _install("install", [folder / "torch.txt"])
        locks = locks if has_cpu_build() else [*locks, CUDA_LOCK]
    log.info("Installing %s", ", ".join(lock.name for lock in locks))
    _install("sync", locks)


def torch_requirement(pin: str, folder: Path) -> str:
    """Return the line that installs torch: the wheel that pip prefers here, if the lock has it.

    Parameters
    ----------
    pin
        torch's, whose hashes cover the registry's builds and the known CPU builds.
    folder
        New; receives the wheel.
    """
    named = pin.split()[0]
    log.info("Fetching %s (0.2 GB for a CPU build, 0.5 GB for a CUDA build)", named)
    command = [*_PIP, "download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    subprocess.run([*command, named], check=True)
    (wheel,) = folder.iterdir()
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest not in pin:
        log.warning("%s is not in the lock; taking the registry's build of torch", wheel.name)
        return pin
    # One hash alone: uv wants a file given by its path to match each hash of the line.
    return f"torch @ {wheel.as_uri()} --hash=sha256:{digest}"


def has_cpu_build() -> bool:
    """Return whether the installed torch is a CPU build."""
    importlib.invalidate_caches()
    return importlib.metadata.version("torch").endswith("+cpu")


def _install(command: str, locks: list[Path]) -> None:
    """Add what locks name (`install`), or hold nothing else (`sync`); pip only adds."""
    files = [f"-r{lock}" for lock in locks]
    uv = [*_UV, command, "--quiet", "--python", sys.executable, *_RULES]
    try:
        more = map(str, locks) if command == "sync" else ["--no-deps", *files]
        subprocess.run([*uv, *more], check=True)
    except subprocess.CalledProcessError:
        log.warning("uv did not manage; pip installs the same, more slowly")
        pip = [*_PIP, "install", "--quiet", "--no-compile", "--no-deps", *_RULES]
        subprocess.run([*pip, *files], check=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        with tempfile.TemporaryDirectory(dir=sys.prefix) as name:
            install([Path(lock) for lock in sys.argv[1:]], Path(name))
    except subprocess.CalledProcessError as error:
        sys.exit(f"The environment is not complete: exit status {error.returncode} of {error.cmd}")
