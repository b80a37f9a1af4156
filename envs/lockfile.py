"""What a hash lock says: one pin for every package.

Standard library only: `envs.install` reads the lock before anything is installed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = re.compile(
    r"(?P<name>[a-z0-9._-]+)(\[[^\]]*\])?==(?P<version>[^\s;\\]+)(\s*;\s*(?P<marker>[^\\]+))?"
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """One package of a lock: its version, when it applies, and the files that are allowed."""

    name: str
    version: str
    marker: str
    """Environment marker; empty where the package is always needed."""
    hashes: tuple[str, ...]
    """sha256 of every file that may be installed."""
    text: str
    """The pin as the lock spells it, comments included."""


def read_pins(path: Path) -> dict[str, Pin]:
    """The pins of a lock, by package name.

    Raises
    ------
    ValueError
        If a line belongs to no pin, or a pin is not exact or has no hash.
    """
    pins = {}
    for text in _blocks(path):
        head = _HEAD.match(text)
        hashes = tuple(_HASH.findall(text))
        if head is None or not hashes:
            raise ValueError(
                f"{path}: {text.splitlines()[0]!r} is not a pin: name==version and sha256 hashes"
            )
        marker = (head["marker"] or "").strip()
        pins[head["name"]] = Pin(head["name"], head["version"], marker, hashes, text)
    return pins


def _blocks(path: Path) -> list[str]:
    """The lock's text, cut before every line that is neither indented nor a comment."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return [block for block in re.split(r"\n(?=\S)", "\n".join(lines).strip()) if block]
