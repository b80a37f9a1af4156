"""Files of the workflow: beside the package in a checkout, within it where it is installed."""

import os
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
_INSTALLED = PACKAGE / "workflow"
IS_INSTALLED = _INSTALLED.is_dir()
#: The folder of the Snakefile, the rules, the scripts and the resources.
WORKFLOW = _INSTALLED if IS_INSTALLED else PACKAGE.parent


def resource(name: str) -> Path:
    """Return a file of `resources/`."""
    return WORKFLOW / "resources" / name


def as_input(file: Path) -> str:
    """Return a file's path for a rule: relative to the working directory if the file is in it."""
    folder = Path.cwd()
    return (file.relative_to(folder) if file.is_relative_to(folder) else file).as_posix()


def code(*files: str) -> list[str]:
    """Return files of the package for a rule, such as ``tables/facts.py``."""
    return [as_input(PACKAGE / file) for file in files]


def wherever(paths: Iterable[str]) -> list[str]:
    """Return the paths of a rule's files without the folder of the workflow, which may be moved."""
    absolute, relative = f"{WORKFLOW.as_posix()}/", f"{as_input(WORKFLOW)}/"
    return [path.removeprefix(absolute).removeprefix(relative) for path in paths]


def prefer_own_code() -> None:
    """Have jobs import the code beside the Snakefile where another copy of it is installed.

    An installed package does nothing: its folder holds packages for one version of Python, and a
    job may run with another.
    """
    if not IS_INSTALLED:
        given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        own = dict.fromkeys([str(WORKFLOW), *filter(None, given)])
        os.environ["PYTHONPATH"] = os.pathsep.join(own)
