"""Write the hash locks anew: `python -m envs.lock [OPTION of uv pip compile]...`.

Versions stay as they are unless something asks for a change; `--upgrade` renews them all and
`--upgrade-package NAME` one. What uv resolves is divided among five files:

- `requirements.txt`: what a run needs, without CUDA's libraries;
- `requirements-cuda.txt`: those libraries;
- `requirements-dev.txt`: what the checks need besides;
- `tests/peers/requirements.txt`: what the tests against others' code need besides all of these;
- `tests/real/requirements.txt`: what the tests on published weights need besides all but those.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from envs.pins import read_pins

FOLDER = Path("envs")
RUN_LOCK, CUDA_LOCK, DEV_LOCK = (
    FOLDER / f"requirements{part}.txt" for part in ("", "-cuda", "-dev")
)
PEERS = Path("tests/peers")
PEER_LOCK = PEERS / "requirements.txt"
REAL = Path("tests/real")
REAL_LOCK = REAL / "requirements.txt"
CPU_BUILDS = FOLDER / "torch-cpu.sha256"
# Declared by Snakemake, imported by nothing, and to be had as source only; OpenCV with windows,
# where the peers get the one without; and declared by timm: the registry's build does not fit a CPU
# build of torch, and we import nothing of it.
LEFT_OUT = ("connection-pool", "opencv-python", "torchvision")
_CUDA = re.compile(r"(nvidia|cuda)-.+|triton")


def compile_lock(output: Path, known: list[Path], arguments: list[str]) -> dict[str, str]:
    """Return the pins that uv resolves, for every platform and each Python from 3.11 on.

    Parameters
    ----------
    output
        Receives uv's lock.
    known
        Locks whose versions are kept where they still fit.
    arguments
        Of `uv pip compile`: what is asked for, and further options.
    """
    output.write_text("".join(lock.read_text() for lock in known if lock.exists()))
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal"]
    command += ["--python-version", "3.11", "--fork-strategy", "fewest"]
    command += ["--generate-hashes", "--no-emit-index-url", "--no-annotate"]
    command += [f"--no-emit-package={name}" for name in LEFT_OUT]
    subprocess.run([*command, *arguments, "--output-file", str(output)], check=True)
    return read_pins(output)


def with_cpu_builds(pin: str, sums: str) -> str:
    """Return torch's pin with the sums of its CPU builds added: no registry lists them.

    Parameters
    ----------
    pin
        As uv wrote it.
    sums
        Lines of `sha256sum`: a sum and a wheel's name.

    Raises
    ------
    ValueError
        if no line is of this version.
    """
    version = pin.split()[0].partition("==")[2]
    rows = [line.split() for line in sums.splitlines()]
    hashes = [digest for digest, wheel in rows if wheel.startswith(f"torch-{version}+cpu-")]
    if not hashes:
        raise ValueError(f"{CPU_BUILDS} has no line for torch-{version}+cpu-*.whl: see README.md")
    # uv keeps the sums of the lock before, and so these as well.
    new = [digest for digest in hashes if digest not in pin]
    return pin + "".join(f" \\\n    --hash=sha256:{digest}" for digest in new)


def is_cuda(name: str) -> bool:
    """Return whether a package belongs to a CUDA build of torch alone."""
    return _CUDA.fullmatch(name) is not None


def write_locks(run: dict[str, str], dev: dict[str, str], over: dict[Path, dict[str, str]]) -> None:
    """Write the locks, each without the pins of those below it.

    Parameters
    ----------
    over : pins of the environments that lie over the one of the checks, by their lock.
    """
    run["torch"] = with_cpu_builds(run["torch"], CPU_BUILDS.read_text())
    held = _heads(run)
    _write(RUN_LOCK, [pin for name, pin in run.items() if not is_cuda(name)])
    _write(CUDA_LOCK, [pin for name, pin in run.items() if is_cuda(name)])
    _write(DEV_LOCK, [pin for pin in dev.values() if _head(pin) not in held])
    held |= _heads(dev)
    for lock, pins in over.items():
        _write(lock, [pin for pin in pins.values() if _head(pin) not in held])


def _head(pin: str) -> str:
    """Return a pin without its hashes; its marker differs where checks need it elsewhere too."""
    return pin.partition(" \\\n")[0]


def _heads(pins: dict[str, str]) -> set[str]:
    return set(map(_head, pins.values()))


def _write(path: Path, pins: list[str]) -> None:
    path.write_text("\n".join(["# Written by `make lock`; do not edit.", *pins, ""]))


def main(options: list[str]) -> None:
    """Resolve and write all locks."""
    with tempfile.TemporaryDirectory() as name:
        run, dev, output = (Path(name) / f"{part}.txt" for part in ("run", "dev", "over"))
        asked = ["pyproject.toml", "--group", "env"]
        run_pins = compile_lock(run, [RUN_LOCK, CUDA_LOCK], [*asked, *options])
        fixed = ["--constraints", str(run)]
        dev_pins = compile_lock(dev, [DEV_LOCK], ["--group", "dev", *fixed, *options])
        # What lies over the environment of the checks has to agree with both.
        fixed += ["--constraints", str(dev), "--overrides", str(PEERS / "overrides.in")]
        over = {}
        for lock in (PEER_LOCK, REAL_LOCK):
            asked = [str(lock.with_suffix(".in")), *fixed, *options]
            over[lock] = compile_lock(output, [lock], asked)
        write_locks(run_pins, dev_pins, over)


if __name__ == "__main__":
    main(sys.argv[1:])
