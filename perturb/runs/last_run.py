"""The arguments of the last run in a folder, for its resumption after a crash."""

import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from perturb.files import replacing

_FILE = Path(".snakemake") / "perturb" / "run.json"
# Variables of a site that determine where a run's jobs go: slurm/README.md.
_SITE = "PERTURB_SLURM_"


@dataclass(frozen=True)
class Run:
    """A run of the workflow.

    arguments : of Snakemake's command line.
    variables : the site's, from the environment.
    """

    host: str
    pid: int
    arguments: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)


def record_run(folder: Path, arguments: Sequence[str] | None = None) -> None:
    """Record that this Snakemake runs the workflow of a folder, with the command line's arguments.

    Raises
    ------
    OSError
        such as on a full disk.
    """
    run = Run(
        socket.gethostname(),
        os.getpid(),
        tuple(sys.argv[1:] if arguments is None else arguments),
        {name: os.environ[name] for name in sorted(os.environ) if name.startswith(_SITE)},
    )
    with replacing(folder / _FILE) as temporary:
        temporary.write_text(json.dumps(asdict(run)) + "\n")


def last_run(folder: Path) -> Run | None:
    """Return the last run of the workflow in a folder; None without a record."""
    try:
        found = json.loads((folder / _FILE).read_text())
        return Run(**{**found, "arguments": tuple(found["arguments"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
