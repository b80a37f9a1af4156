"""Which study a command line of Snakemake's runs, read as Snakemake reads it."""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import yaml

from perturb.config import Config, ConfigError, load_config

DEFAULT = Path("config.yaml")


def study_of(arguments: Sequence[str]) -> Config | None:
    """Return the study of a run, or None where it is no run of this workflow's.

    The arguments are known to be good: Snakemake runs with them.
    """
    # Imported late: this takes a second, which a run need not wait for.
    from snakemake.cli import parse_args, parse_config
    from snakemake.settings.types import ConfigSettings
    from snakemake.utils import update_config

    with redirect_stderr(io.StringIO()):  # it tells which profile it reads: Snakemake did already
        _, parsed = parse_args(list(arguments))
    if parsed.directory is not None:
        return None
    settings = ConfigSettings(
        config=parse_config(parsed.config), configfiles=list(map(Path, parsed.configfile or []))
    )
    given: dict[str, Any] = settings.overwrite_config
    # As the Snakefile does: a given configuration replaces the default one.
    raw = {} if "datasets" in given or not DEFAULT.exists() else read_yaml(DEFAULT)
    update_config(raw, given)
    try:
        return load_config(raw)
    except ConfigError:
        return None


def read_yaml(path: Path) -> dict[str, Any]:
    """Return what a configuration file holds."""
    raw: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return raw
