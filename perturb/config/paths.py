"""Paths of the configuration: one rule for every key that holds one.

`results` and `data` are relative to the working directory. Every other relative path is below
`data`, apart from `resources/...`, which is a file of this project. `~` and variables are expanded
when the configuration is read, so every machine of a run needs the same ones.
"""

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from perturb.config.schema import default
from perturb.config.walk import Forms, Key, named, rewritten
from perturb.messages import ConfigError
from perturb.places import WORKFLOW

RESOURCES = WORKFLOW / "resources"

Refuse = Callable[[Key, ConfigError], None]

_VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|\{([^}]*)\})")
_OWN = "resources/"
_ROOTS = ("data", "results")
# Characters that have a meaning in the paths that Snakemake and DuckDB read.
REFUSED = "{}<>*?[]"


def with_paths(raw: Mapping[str, Any], refuse: Refuse) -> dict[str, Any]:
    """Return a configuration with the actual paths of all its files.

    The path of a source is expanded only: it may be inside a download (`perturb.plan.sources`).

    Parameters
    ----------
    refuse : receives the key and the error of each path that cannot be used.
    """
    faulty: list[Key] = []

    def refuse_root(key: Key, error: ConfigError) -> None:
        faulty.append(key)
        refuse(key, error)

    given = {key: raw[key] for key in _ROOTS if key in raw}
    roots = _rewritten(given, _expanded, refuse_root)
    if "results" in roots and not faulty:
        roots["results"] = _results(roots["results"], refuse)
    place = partial(_placed, data=roots.get("data", default("data")))
    others = {key: value for key, value in raw.items() if key not in given}
    return {**_rewritten(others, _expanded if faulty else place, refuse), **roots}


def _rewritten(
    raw: Mapping[str, Any], place: Callable[[Key, str], str], refuse: Refuse
) -> dict[str, Any]:
    """Return a configuration with a function applied to every path."""

    def rewrite(key: Key, value: Any, forms: Forms) -> Any:
        is_path = any(form.get("format") == "path" for form in forms)
        try:
            return place(key, value) if is_path and isinstance(value, str) else value
        except ConfigError as error:
            refuse(key, error)
            return value

    return rewritten(raw, rewrite)


def _expanded(key: Key, path: str) -> str:
    return expanded(named(key), path)


def _results(path: str, refuse: Refuse) -> str:
    """Return the results folder in its shortest form."""
    found = [character for character in REFUSED if character in path]
    short = os.path.normpath(path)
    if found:
        refuse(
            ("results",),
            ConfigError(
                f"results: {path!r}: {' '.join(found)} cannot be in its path: Snakemake and "
                "DuckDB read them as patterns"
            ),
        )
    elif short == ".":
        refuse(("results",), ConfigError(f"results: {path!r}; allowed: a folder of its own"))
    return short


def _placed(key: Key, path: str, data: str) -> str:
    """Return the place of a file, or refuse a path that earlier versions read otherwise."""
    is_class = key[-1] == "class_index" and path == "numbers"
    path = _expanded(key, path)
    if is_class or key[-2:] == ("source", "path"):
        return path
    place, below = place_of(data, path), Path(data) / path
    if path.startswith(_OWN):
        if below.exists() and not (place.exists() and below.samefile(place)):
            raise ConfigError(
                f"{named(key)}: {path!r} is a file of this project; allowed for {below}: ./{path}"
            )
    elif Path(path).exists() and not below.exists():
        raise ConfigError(
            f"{named(key)}: {path!r} is not below `data` ({below} does not exist); allowed for the "
            f"file in the working directory: {Path(path).absolute()}"
        )
    return str(place)


def place_of(data: str, path: str) -> Path:
    """Return the place of a path: below `data`, of this project (`resources/`), or absolute."""
    if not path.startswith(_OWN):
        return Path(data) / path
    own, folder = RESOURCES / path.removeprefix(_OWN), Path.cwd()
    # A short path, the same in every checkout, where the workflow runs in this project's folder.
    return own.relative_to(folder) if own.is_relative_to(folder) else own


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
