"""Versions, device and commit behind a result, recorded with every result.

Each is found once in a process, whose code stays what it was at the start.
"""

import platform
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from perturb import places
from perturb.version import __version__

_CPU_FACTS = Path("/proc/cpuinfo")
_RECORDED = ("torch", "timm", "numpy", "pyarrow", "pillow")


def versions() -> dict[str, str]:
    """Return the versions of Python, of Perturb and of the packages that results depend on."""
    return {"python": platform.python_version(), "perturb": __version__, **_of_packages()}


@cache
def _of_packages() -> Mapping[str, str]:
    return {name: version(name) for name in _RECORDED}


@cache
def device_name(device: torch.device) -> str:
    """Return the manufacturer's name of a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if _CPU_FACTS.is_file():
        found = re.search(r"^model name\s*: (.+)$", _CPU_FACTS.read_text(), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


@cache
def commit() -> str:
    """Return the commit of this code, with `+` if the tree was changed, or `unknown`."""
    if places.IS_INSTALLED:  # a repository around the environment is not ours
        return "unknown"
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*", "--abbrev=12"],
            cwd=places.WORKFLOW,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive, or no git
        return "unknown"
    return described.stdout.strip()
