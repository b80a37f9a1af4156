"""Resumption after a crash: ``python -m perturb resume``, with Snakemake's arguments or without.

It finds the jobs that a killed run left running (processes here, jobs on SLURM), shows them, waits
for them or cancels them, removes the lock, and starts Snakemake again, which makes the missing
results. Without arguments it uses those of the last run; with -n alone, it prints what these would
run. `perturb.launch` does the same at every start.
"""

import argparse

from perturb.launch import LaunchOptions, launch
from perturb.runs.orphans import is_dry_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command; all others are passed to Snakemake."""
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
    options = LaunchOptions(
        cancels=arguments.cancel,
        host_is_down=arguments.host_is_down,
        added=tuple(more) if is_only_dry else (),
    )
    return launch(None if is_only_dry else more, options)
