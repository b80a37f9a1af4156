"""Write the hash locks anew: `python -m envs.lock [OPTION of uv pip compile]...`.

Versions stay as they are unless something asks for a change; `--upgrade` renews them all and
`--upgrade-package NAME` one. What uv resolves is divided among four files:

- `requirements.txt`: what a run needs, without CUDA's libraries;
- `requirements-cuda.txt`: those libraries, and the torchvision that fits;
- `requirements-dev.txt`: what the checks need besides;
- `tests/peers/requirements.txt`: what the tests against others' code need besides all of these.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from envs.check import CUDA_LIBRARY
from envs.lockfile import Pin, read_pins

FOLDER = Path("envs")
RUN_LOCK, CUDA_LOCK, DEV_LOCK = (
    FOLDER / f"requirements{part}.txt" for part in ("", "-cuda", "-dev")
)
PEER_SOURCE = Path("tests/peers/requirements.in")
PEER_OVERRIDES = Path("tests/peers/overrides.in")
PEER_LOCK = PEER_SOURCE.with_suffix(".txt")
CPU_BUILDS = FOLDER / "torch-cpu.sha256"
LEFT_OUT = ("connection-pool", "opencv-python")
"""Declared by Snakemake, imported by nothing, and to be had as source only: installing it would
run a build with tools that no lock holds. Of OpenCV the peers get the build without windows."""
_HEADER = "# Written by `make lock` from {source}; do not edit.\n"


def compile_lock(source: Path, known: list[Path], folder: Path, options: list[str]) -> Path:
    """The path of uv's lock of one source file.

    Parameters
    ----------
    source
        Requirements to resolve, for every platform and each Python from 3.11 on.
    known
        Locks whose versions are kept where they still fit.
    folder
        Where the result is written.
    options
        Further options of `uv pip compile`.
    """
    folder.mkdir(exist_ok=True)
    output = folder / source.with_suffix(".txt").name
    output.write_text("".join(lock.read_text() for lock in known if lock.exists()))
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal"]
    command += ["--python-version", "3.11", "--fork-strategy", "fewest"]
    command += ["--generate-hashes", "--no-emit-index-url"]
    for name in LEFT_OUT:
        command += ["--no-emit-package", name]
    subprocess.run([*command, *options, "--output-file", str(output), str(source)], check=True)
    return output


def with_cpu_builds(pin: Pin, sums: str) -> str:
    """torch's pin with the sums of its CPU builds added: no registry tells them.

    Parameters
    ----------
    pin
        As uv wrote it.
    sums
        Lines of `sha256sum`: a sum and a wheel's name.

    Raises
    ------
    ValueError
        If no line is of this version.
    """
    prefix = f"torch-{pin.version}+cpu-"
    rows = [line.split() for line in sums.splitlines()]
    hashes = [digest for digest, wheel in rows if wheel.startswith(prefix)]
    if not hashes:
        raise ValueError(f"{CPU_BUILDS} has no line for {prefix}*.whl; envs/README.md tells how")
    # uv keeps the sums of the lock before, and so these as well.
    new = [digest for digest in hashes if digest not in pin.hashes]
    last = f"    --hash=sha256:{pin.hashes[-1]}"
    added = "".join(f" \\\n    --hash=sha256:{digest}" for digest in new)
    return pin.text.replace(last, last + added)


def is_cuda(name: str) -> bool:
    """Whether a package belongs to a CUDA build of torch alone."""
    return name == "torchvision" or CUDA_LIBRARY.fullmatch(name) is not None


def write_locks(run: dict[str, Pin], dev: dict[str, Pin], peers: dict[str, Pin]) -> None:
    """Write the four locks.

    Parameters
    ----------
    run, dev, peers
        Pins that a run needs, that the checks need, and that the peers need; a pin of several goes
        to the first.
    """
    texts = {name: pin.text for name, pin in run.items()}
    texts["torch"] = with_cpu_builds(run["torch"], CPU_BUILDS.read_text())
    _write(RUN_LOCK, "requirements.in", [texts[name] for name in run if not is_cuda(name)])
    _write(CUDA_LOCK, "requirements.in", [texts[name] for name in run if is_cuda(name)])
    _write(DEV_LOCK, "requirements-dev.in", _own(dev, run))
    _write(PEER_LOCK, PEER_SOURCE.name, _own(peers, run, dev))


def _own(pins: dict[str, Pin], *others: dict[str, Pin]) -> list[str]:
    """The text of the pins that none of the others holds.

    The same package may be needed on more platforms by the checks than by a run.
    """
    held = {(name, pin.marker) for other in others for name, pin in other.items()}
    return [pin.text for name, pin in pins.items() if (name, pin.marker) not in held]


def _write(path: Path, source: str, blocks: list[str]) -> None:
    text = "".join(block + "\n" for block in blocks)
    # The constraint on the other lock is this script's doing, and its path a temporary one.
    text = re.sub(r"\n +# +-c \S+", "", re.sub(r"\n +# via -c \S+", "", text))
    path.write_text(_HEADER.format(source=source) + text)


def main(options: list[str]) -> None:
    """Resolve and write all locks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = compile_lock(FOLDER / "requirements.in", [RUN_LOCK, CUDA_LOCK], folder, options)
        constraint = ["--constraints", str(run)]
        dev_source = FOLDER / "requirements-dev.in"
        dev = compile_lock(dev_source, [DEV_LOCK], folder, [*options, *constraint])
        # The peers lie over the environment of the checks, and so have to agree with both.
        over = [*constraint, "--constraints", str(dev), "--overrides", str(PEER_OVERRIDES)]
        peers = compile_lock(PEER_SOURCE, [PEER_LOCK], folder / "peers", [*options, *over])
        write_locks(read_pins(run), read_pins(dev), read_pins(peers))


if __name__ == "__main__":
    main(sys.argv[1:])
