"""Paths of the configuration: expansion of `~` and `$VAR`, and places of a source's files.

Paths are expanded when the configuration is read, so every machine of a run needs the same
variables. A path that cannot be expanded is refused: otherwise a folder named `$SCRATCH` would be
missing, or be made.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from perturb.config.walk import Forms, rewritten
from perturb.datasets.real.files.places import place_of
from perturb.messages import ConfigError

_VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|\{([^}]*)\})")


def check_paths(raw: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each path with an unknown variable or user."""
    mistakes: list[str] = []

    def check(key: str, value: Any, forms: Forms) -> Any:
        try:
            return _expanded(key, value, forms)
        except ConfigError as error:
            mistakes.append(str(error))

    rewritten(raw, check)
    yield from mistakes


def with_paths(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with `~` and variables expanded in its paths."""
    return rewritten(raw, _expanded)


def _expanded(key: str, value: Any, forms: Forms) -> Any:
    is_path = any(form.get("format") == "path" for form in forms)
    return expanded(key, value) if is_path and isinstance(value, str) else value


def expanded(key: str, path: str) -> str:
    """Return a path without `~` and variables; `$$` stands for a dollar sign.

    Raises
    ------
    ConfigError
        naming the key and the variable, if that is not set or is empty.
    """

    def value(match: re.Match[str]) -> str:
        dollar, plain, braced = match.groups()
        if dollar:
            return dollar
        name = plain or braced
        found = os.environ.get(name, "") if name else ""
        if not found:
            problem = "is empty" if name in os.environ else "is not set"
            raise ConfigError(
                f"{key}: {path!r}: the environment variable {name!r} {problem}; "
                "$$ stands for a dollar sign"
            )
        return found

    home = path.partition("/")[0] if path.startswith("~") else ""
    try:
        folder = str(Path(home).expanduser()) if home else ""
    except RuntimeError:  # what pathlib raises
        raise ConfigError(
            f"{key}: {path!r}: there is no user {home!r}; ./{home} is a folder"
        ) from None
    return folder + _VARIABLE.sub(value, path.removeprefix(home))


def with_places(raw: Mapping[str, Any], data: str) -> dict[str, Any]:
    """Return a configuration with the actual paths of class indices and class maps.

    Parameters
    ----------
    raw : as the schema allows it.
    data : the folder that relative paths of sources are below.
    """
    datasets = {id: _with_places(entry, Path(data)) for id, entry in raw["datasets"].items()}
    return {**raw, "datasets": datasets}


def _with_places(dataset: Mapping[str, Any], data: Path) -> dict[str, Any]:
    placed = dict(dataset)
    if "class_map" in placed:
        placed["class_map"] = str(place_of(data, placed["class_map"]))
    source = placed.get("source", {})
    if source.get("class_index", "numbers") != "numbers":
        index = str(place_of(data, source["class_index"]))
        placed["source"] = {**source, "class_index": index}
    return placed
