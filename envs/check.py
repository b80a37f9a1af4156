"""Is the running environment what the locks say, and does its torch need CUDA's libraries?

In place of `pip check`, which asks for packages that are left out on purpose: torchvision, whose
registry build does not fit a CPU build of torch, and which only timm's data loading would use.
"""

from __future__ import annotations

import importlib.metadata
import re
from typing import TYPE_CHECKING

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from envs.lockfile import Pin, read_pins

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

CUDA_LIBRARY = re.compile(r"(nvidia|cuda)-.+|triton")


def installed_versions() -> dict[str, str]:
    """The version of every package in the running environment, by its canonical name."""
    return {
        canonicalize_name(package.metadata["Name"]): package.version
        for package in importlib.metadata.distributions()
    }


def pin_problem(
    pin: Pin, installed: Mapping[str, str], environment: Mapping[str, str] | None = None
) -> str | None:
    """What is wrong with one package, or None.

    Parameters
    ----------
    pin
        What the lock says; a local version (`2.13.0+cpu`) fulfils the plain one.
    installed
        Versions by canonical name.
    environment
        Values of environment markers; the running interpreter's where missing.
    """
    if pin.marker and not Marker(pin.marker).evaluate(dict(environment or {})):
        return None
    found = installed.get(pin.name)
    if found is None:
        return f"{pin.name} {pin.version} is locked, and not installed"
    if Version(Version(found).public) != Version(pin.version):
        return f"{pin.name} {pin.version} is locked, and {found} is installed"
    return None


def problems(locks: Iterable[Path]) -> list[str]:
    """What is wrong with the running environment, a line for each package; empty if all is well."""
    installed = installed_versions()
    found = (pin_problem(pin, installed) for lock in locks for pin in read_pins(lock).values())
    return [problem for problem in found if problem]


def cuda_libraries(
    requires: Iterable[str], environment: Mapping[str, str] | None = None
) -> list[str]:
    """The CUDA libraries among a package's requirements.

    Parameters
    ----------
    requires
        Requirements as in a wheel's metadata; those of extras do not count.
    environment
        Values of environment markers; the running interpreter's where missing.
    """
    values = {"extra": "", **(environment or {})}
    parsed = [Requirement(line) for line in requires]
    applicable = [one for one in parsed if one.marker is None or one.marker.evaluate(values)]
    names = [canonicalize_name(one.name) for one in applicable]
    return [name for name in names if CUDA_LIBRARY.fullmatch(name)]


def needs_cuda() -> bool:
    """Whether the installed torch is a build that links CUDA's libraries."""
    return bool(cuda_libraries(importlib.metadata.requires("torch") or []))


def missing_cuda() -> list[str]:
    """The CUDA libraries that the installed torch asks for and that are not there."""
    installed = installed_versions()
    wanted = cuda_libraries(importlib.metadata.requires("torch") or [])
    return [name for name in wanted if name not in installed]
