"""Go on after a crash: ``python -m perturb resume``, with Snakemake's arguments or without.

Everything that a person would have to know then: it finds the jobs that a killed run left behind
(processes here, jobs on SLURM), shows them, waits for them or cancels them, removes the lock, and
starts Snakemake again, which does what is missing. Without arguments it takes those of the last
run; with -n alone, it says what these would do. It does nothing that `perturb.launch` does not do
at every start.
"""

import argparse

from perturb.launch import LaunchOptions, launch
from perturb.runs.orphans import is_dry_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command understands; everything else is handed on to Snakemake."""
    parser.allow_abbrev = False
    parser.usage = (
        "python -m perturb resume [-h] [--cancel] [--host-is-down] [arguments of Snakemake ...]"
    )
    parser.epilog = (
        "Without arguments of Snakemake: those of the last run in this folder. With -n alone:"
        " these, as a dry run, which waits for nothing and cancels nothing."
    )
    parser.add_argument(
        "--cancel",
        action="store_true",
        help="cancel the jobs that a killed run left behind, instead of waiting for them",
    )
    parser.add_argument(
        "--host-is-down",
        action="store_true",
        help="the last run's host is another one and known to be down: its Snakemake is dead",
    )
    parser.set_defaults(hands_on=True)


def run(arguments: argparse.Namespace) -> int:
    """Resume; return Snakemake's exit status. `more` are the arguments for Snakemake."""
    more = arguments.more
    is_only_dry = all(is_dry_run([word]) for word in more)
    options_of_launch = LaunchOptions(
        cancels=arguments.cancel,
        host_is_down=arguments.host_is_down,
        added=tuple(more) if is_only_dry else (),
    )
    return launch(None if is_only_dry else more, options_of_launch)
