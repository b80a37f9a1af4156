"""Which study a command line names, put together as Snakemake does for the workflow."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from perturb.config import Config, load_config
from perturb.config.schema import ConfigError

DEFAULT = Path("config.yaml")


def add_study_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a study, which are Snakemake's own."""
    parser.add_argument(
        "--configfile", type=Path, default=DEFAULT, help=f"the study; {DEFAULT} unless given"
    )
    parser.add_argument(
        "--config",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="other values than the file's, as a run was given them: --config results=elsewhere",
    )


def given_study(arguments: argparse.Namespace) -> Config:
    """Return the study that the options of `add_study_arguments` name.

    Raises
    ------
    ConfigError
        if it is not valid, or the file or an entry of `--config` cannot be read; it names which.
    """
    given = read_yaml(arguments.configfile)
    merge(given, _entries(arguments.config))
    try:
        return load_config(whole(given))
    except ConfigError as error:
        raise ConfigError(f"{arguments.configfile}: {error}") from None


def _entries(words: Sequence[str]) -> dict[str, Any]:
    if not words:
        return {}
    # Imported late: it takes a second.
    from snakemake.cli import parse_config

    try:
        entries: dict[str, Any] = parse_config(words)
    except ValueError as error:
        raise ConfigError(
            f"--config {' '.join(words)}: expected KEY=VALUE, such as results=elsewhere ({error})"
        ) from None
    return entries


def whole(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with what it lacks: without data sets it changes the default one."""
    raw = {} if "datasets" in given or not DEFAULT.exists() else read_yaml(DEFAULT)
    merge(raw, given)
    return raw


def merge(into: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Put entries into a configuration, key by key at every depth."""
    for key, value in given.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def read_yaml(path: Path) -> dict[str, Any]:
    """Return what a configuration file holds.

    Raises
    ------
    ConfigError
        if it cannot be read, or holds something else than keys and values; it names the file.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} holds {type(raw).__name__}; expected keys and values")
    return raw
