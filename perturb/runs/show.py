"""``perturb show [RESULTS]``: opens the report page of a study in the browser."""

import argparse
import sys
import webbrowser
from pathlib import Path

from perturb.config.given import DEFAULT, read_yaml, whole
from perturb.messages import ConfigError
from perturb.plan.paths import Paths

# What `perturb evaluate` writes.
_STUDY = Path("study.yaml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "results",
        nargs="?",
        type=Path,
        metavar="RESULTS",
        help=f"the results folder of a study; unless given, that of {_STUDY}, else of {DEFAULT}",
    )
    parser.add_argument(
        "--path", action="store_true", help="print the page's path and open nothing"
    )


def run(arguments: argparse.Namespace) -> int:
    """Open the page and print its path.

    Returns 0 if there is a page, 1 if there is none, 2 if the configuration cannot be read.
    """
    try:
        results = arguments.results or _results_here()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    page = Path(Paths(str(results)).page)
    why_not = _why_not(results, page)
    if why_not:
        sys.stderr.write(f"{why_not}\n")
        return 1
    # First, so that it can be read whatever the browser does.
    sys.stdout.write(f"{page.resolve()}\n")
    sys.stdout.flush()
    if not arguments.path and not webbrowser.open(page.resolve().as_uri()):
        sys.stderr.write("No browser was found here: open the page in one by hand.\n")
    return 0


def _results_here() -> Path:
    """Return the results folder of the study whose configuration lies here."""
    file = _STUDY if _STUDY.exists() else DEFAULT
    if not file.exists():
        raise ConfigError(
            f"there is neither {_STUDY} nor {DEFAULT} here: name the results folder, "
            "`perturb show RESULTS`"
        )
    results = whole(read_yaml(file)).get("results", "results")
    if not isinstance(results, str):
        raise ConfigError(f"{file}: results is {results!r}; expected the path of a folder")
    return Path(results)


def _why_not(results: Path, page: Path) -> str | None:
    """Return the reason why there is no page, and what makes one; None if there is a page."""
    if page.is_file():
        return None
    if not results.exists():
        return (
            f"{results}: there is no such folder; `snakemake --cores all` makes the study's results"
        )
    if not results.is_dir():
        return f"{results}: is a file; expected the results folder of a study"
    return (
        f"{results}: there is no report yet, {page} is missing; `perturb status` says what the "
        "study lacks, and `snakemake --cores all`, or `perturb evaluate` again, makes it"
    )
