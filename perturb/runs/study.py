"""The study of a Snakemake command line, read as Snakemake reads it."""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path

from perturb.config import Config, ConfigError, load_config
from perturb.config.given import whole


def study_of(arguments: Sequence[str]) -> Config | None:
    """Return the study of a run, or None if it is not a run of this workflow.

    The arguments are valid: Snakemake runs with them.
    """
    # Imported late: the import takes a second, which would delay the run.
    from snakemake.cli import parse_args, parse_config
    from snakemake.settings.types import ConfigSettings

    with redirect_stderr(io.StringIO()):  # it names the profile, which Snakemake has already done
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
