"""``perturb evaluate MODEL... DATA``: writes the study that this means, then runs it.

``perturb init`` takes the same words and only writes the file. Both extend a file that is there:
`perturb evaluate` with another model or experiment evaluates what is new alone.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

from perturb.messages import ConfigError
from perturb.own import study_file
from perturb.own.arguments import add_study_arguments
from perturb.own.estimate import estimate
from perturb.own.study import asked_study, checked
from perturb.places import WORKFLOW


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `perturb evaluate`."""
    add_study_arguments(parser)
    group = parser.add_argument_group("the run; any other option is Snakemake's")
    group.add_argument("--cores", type=int, help="CPUs to use; all of this machine unless given")
    group.add_argument("--profile", help="Snakemake's profile of a cluster, such as slurm")
    parser.set_defaults(hands_on=True, starts=True)


def add_init_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `perturb init`."""
    add_study_arguments(parser)
    parser.set_defaults(starts=False, cores=None, profile=None)


def run(arguments: argparse.Namespace) -> int:
    """Write the study, and become the Snakemake that runs it; return the status of a refusal."""
    try:
        study, changes = asked_study(arguments)
        config = checked(study, arguments)
    except (ConfigError, ValueError, OSError) as error:
        # A message about classes names the option that gives them.
        needed = "`source.class_index` is needed"
        sys.stderr.write(f"{error}\n".replace(needed, f"{needed}, which --classes gives"))
        return 1
    command = _snakemake(arguments)
    if not arguments.study.exists():
        study_file.begin(study, shlex.join(command))
    study_file.write_study(arguments.study, study_file.text_of(study))
    cost = estimate(config, arguments.tflops, arguments.cores)
    for line in [*changes, f"The study: {arguments.study}", *cost]:
        sys.stderr.write(f"{line}\n")
    if arguments.starts:
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-m", *command, *arguments.more])
    sys.stdout.write(f"{shlex.join(command)}\n")
    return 0


def _snakemake(arguments: argparse.Namespace) -> list[str]:
    """Return the command that runs the study."""
    command = ["snakemake", "-s", str(WORKFLOW / "Snakefile"), "--configfile", str(arguments.study)]
    if arguments.profile is None:
        return [*command, "--cores", str(arguments.cores or "all")]
    own = WORKFLOW / arguments.profile
    is_own = not Path(arguments.profile).exists() and own.is_dir()
    return [*command, "--profile", str(own) if is_own else arguments.profile]
