"""Which study a command line of Snakemake's runs, read as Snakemake reads it."""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path

from perturb.config import Config, ConfigError, load_config
from perturb.config.given import whole


def study_of(arguments: Sequence[str]) -> Config | None:
    """Return the study of a run, or None where it is no run of this workflow's.

    The arguments are known to be good: Snakemake runs with them.
    """
    # Imported late: this takes a second, which a run need not wait for.
    from snakemake.cli import parse_args, parse_config
    from snakemake.settings.types import ConfigSettings

    with redirect_stderr(io.StringIO()):  # it tells which profile it reads: Snakemake did already
        _, parsed = parse_args(list(arguments))
    if parsed.directory is not None:
        return None
    settings = ConfigSettings(
        config=parse_config(parsed.config), configfiles=list(map(Path, parsed.configfile or []))
    )
    try:
        return load_config(whole(settings.overwrite_config))
    except ConfigError:
        return None
