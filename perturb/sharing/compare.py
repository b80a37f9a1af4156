"""``perturb compare A B``: paired differences of two models over every perturbation of a study."""

import argparse
import sys
from pathlib import Path

from perturb.config.given import DEFAULT, add_study_arguments, given_study
from perturb.files import replacing
from perturb.messages import ConfigError
from perturb.sharing.comparison import compared
from perturb.sharing.shown import csv_of, described

# What `perturb evaluate` writes.
_STUDY = Path("study.yaml")
SORTS = ("difference", "study")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("first", metavar="A", help="the id of a model")
    parser.add_argument("second", metavar="B", help="the id of another")
    add_study_arguments(parser)
    parser.add_argument(
        "--study",
        dest="configfile",
        type=Path,
        nargs=1,
        metavar="FILE",
        help=f"the same as --configfile; {_STUDY} if it is there and none is given",
    )
    parser.add_argument(
        "--sort",
        choices=SORTS,
        default=SORTS[0],
        help="the largest difference first, unless given; or the order of the study",
    )
    parser.add_argument(
        "--conditions",
        action="store_true",
        help="a row for each corruption, not for each group of corruptions",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the rows to a file, too")
    parser.set_defaults(configfile=None)


def run(arguments: argparse.Namespace) -> int:
    """Write the differences to standard output.

    Returns 0 if all cells that both models have were compared, 1 if some were not, 2 if the
    configuration is not valid or has no such models.
    """
    if arguments.configfile is None:
        arguments.configfile = [_STUDY if _STUDY.exists() else DEFAULT]
    try:
        config = given_study(arguments)
        first, second = arguments.first, arguments.second
        found = compared(config, first, second, by_condition=arguments.conditions)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if arguments.sort == SORTS[0]:
        found.rows.sort(key=lambda row: -abs(row.difference.value))
    if arguments.csv is not None:
        try:
            with replacing(arguments.csv) as temporary:
                temporary.write_text(csv_of(found), encoding="utf-8", newline="\n")
        except OSError as error:
            sys.stderr.write(f"--csv {arguments.csv}: {error.strerror}\n")
            return 2
    sys.stdout.write("\n".join(described(config, found)) + "\n")
    return 0 if found.is_whole else 1
