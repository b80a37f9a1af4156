"""The pins of a lock. Standard library only: they are read before anything is installed."""

import re
from pathlib import Path

_PIN = re.compile(r"(?P<name>[a-z0-9._-]+)(\[.*?\])?==\S+")


def read_pins(lock: Path) -> dict[str, str]:
    """Return the pins of a lock by package, as the lock spells them.

    Raises
    ------
    ValueError
        if a line belongs to no pin, or a pin is not exact or has no hash.
    """
    text = re.sub(r"^#.*\n", "", lock.read_text(), flags=re.MULTILINE).strip()
    pins = {}
    # A pin begins with a line that is not indented.
    for block in re.split(r"\n(?=\S)", text) if text else ():
        head = _PIN.match(block)
        if head is None or "--hash=sha256:" not in block:
            line = block.splitlines()[0]
            raise ValueError(f"{lock}: {line!r} is not a pin: name==version and sha256 hashes")
        pins[head["name"]] = block
    return pins
