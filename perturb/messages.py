"""Messages about a configuration: collected, listed, raised together."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Any


class ConfigError(ValueError):
    """An invalid configuration."""


def each(*checks: Iterable[str]) -> Iterator[str]:
    """Yield the messages of all checks; a check that cannot continue raises its message."""
    for check in checks:
        try:
            yield from check
        except ConfigError as error:
            yield str(error)


def refuse(messages: Iterable[str]) -> None:
    """Raise a ConfigError with a line for each message, if there is any."""
    lines = "\n".join(dict.fromkeys(messages))
    if lines:
        raise ConfigError(lines)


def nearest(value: object, allowed: Iterable[object]) -> str | None:
    """Return the allowed word nearest to a misspelt one, None if none is near."""
    # Words of three letters that differ in one are different words: gpu, cpu.
    near = difflib.get_close_matches(str(value), list(map(str, allowed)), n=1, cutoff=0.7)
    return near[0] if near else None


def did_you_mean(value: object, allowed: Iterable[object]) -> str:
    """Return a sentence with the allowed word nearest to a misspelt one, or nothing."""
    near = nearest(value, allowed)
    return f" Did you mean `{near}`?" if near else ""


def listed(values: Iterable[Any]) -> str:
    """Return the values as a list in words."""
    return ", ".join(str(value) for value in values)
