"""The study that a command line names, merged as Snakemake does for the workflow."""

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from perturb.config import Config, load_config
from perturb.messages import ConfigError, refuse

DEFAULT = Path("config.yaml")
_MERGE = "tag:yaml.org,2002:merge"
_ABSENT = "there is no such configuration file"


class _Loader(yaml.SafeLoader):
    """YAML loader that notes repeated keys: PyYAML keeps the last one without a warning."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.mistakes: list[str] = []

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Here keys are as written: later they include those of merges (`<<`).
        node = super().compose_mapping_node(anchor)
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            line, value = key.start_mark.line + 1, self.construct_object(key)
            if value in lines:
                self.mistakes.append(
                    f"{self.name}, line {line}: key `{key.value}` stands twice "
                    f"(first in line {lines[value]})"
                )
            lines.setdefault(value, line)
        return node


def add_study_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Snakemake's options that name a study."""
    parser.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        default=[DEFAULT],
        metavar="FILE",
        help=f"the study; of several, the last counts most; {DEFAULT} unless given",
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
    files = arguments.configfile
    given: dict[str, Any] = {}
    for file in files:
        merge(given, read_yaml(file))
    merge(given, _entries(arguments.config))
    try:
        return load_config(whole(given))
    except ConfigError as error:
        raise ConfigError(f"{', '.join(map(str, files))}: {error}") from None


def refuse_faulty_files(arguments: Sequence[str]) -> None:
    """Read the configuration files of a Snakemake command line, for better messages than its own.

    Raises
    ------
    ConfigError
        if one cannot be read, is no YAML or holds a key twice; it names the file and the line.
    """
    are_whole = False
    files = list(_configuration_files(arguments))
    for file in files:
        if len(files) > 1 and not os.path.lexists(file):
            raise ConfigError(
                f"{file}: {_ABSENT} (every word after --configfile is taken for one: what is to be"
                " made goes before it)"
            )
        are_whole |= "datasets" in read_yaml(file)
    if not are_whole and DEFAULT.exists():
        read_yaml(DEFAULT)


def _configuration_files(arguments: Sequence[str]) -> Iterator[Path]:
    is_one = False
    for word in arguments:
        option, _, value = word.partition("=")
        if word.startswith("-"):
            is_one = option in ("--configfile", "--configfiles")
            if is_one and value:
                yield Path(value)
        elif is_one:
            yield Path(word)


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
    """Return a complete configuration: one without datasets is merged into the default."""
    raw = {} if "datasets" in given or not DEFAULT.exists() else read_yaml(DEFAULT)
    merge(raw, given)
    return raw


def merge(into: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Merge entries into a configuration, key by key at every depth."""
    for key, value in given.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the content of a configuration file.

    Raises
    ------
    ConfigError
        if it cannot be read, repeats a key or is no mapping; it names
        the file.
    """
    try:
        raw = _parsed(path)
    except ConfigError:
        raise
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {_fault(error)}") from None
    if raw is None:
        raise ConfigError(f"{path} is empty; expected keys and values")
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} holds {type(raw).__name__}; expected keys and values")
    return raw


def _fault(error: OSError | ValueError | yaml.YAMLError) -> str:
    """Return a sentence with the reason why a configuration file cannot be read."""
    match error:
        case FileNotFoundError():
            return _ABSENT
        case IsADirectoryError():
            return "is a folder; expected a configuration file"
        case OSError():
            return f"cannot be read: {error.strerror}"
        case UnicodeDecodeError():
            return f"is not a text in UTF-8: {error.reason} at byte {error.start}"
        case yaml.MarkedYAMLError(problem_mark=yaml.Mark(line=line, column=column)):
            return f"is not YAML: {error.problem} in line {line + 1}, column {column + 1}"
    return f"is not YAML: {error}"


def _parsed(path: Path) -> Any:
    loader = _Loader(path.read_text(encoding="utf-8-sig"))
    loader.name = str(path)
    try:
        content = loader.get_single_data()
        refuse(loader.mistakes)
        return content
    finally:
        loader.dispose()
