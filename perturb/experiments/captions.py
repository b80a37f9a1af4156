"""Captions of tables and charts: one reStructuredText file each.

The page, Markdown and LaTeX show the text in one line and the title elsewhere; Snakemake's report
shows the file as it is: the title in bold, then the text.
"""

import re
from functools import cache
from pathlib import Path

from perturb.experiments import registry
from perturb.experiments.registry import FOLDER

_TITLE = re.compile(r"\*\*(?P<title>.+?)\*\* (?P<text>.+)")


def table_caption_file(name: str) -> Path:
    """Return the file of a table's caption."""
    registry.table(name)
    return FOLDER / registry.tables()[name][0] / f"{name}.rst"


def chart_caption_file(name: str) -> Path:
    """Return the file of a chart's caption."""
    registry.chart(name)
    return FOLDER / registry.charts()[name][0] / f"{name}.chart.rst"


def table_caption(name: str) -> str:
    """Return a table's caption in one line, without its title."""
    return _caption(table_caption_file(name), registry.table(name).title)


def chart_caption(name: str) -> str:
    """Return a chart's caption in one line, without its title."""
    return _caption(chart_caption_file(name), registry.chart(name).title)


@cache
def _caption(file: Path, title: str) -> str:
    """Return a caption.

    Raises
    ------
    ValueError
        if there is no such file, or it does not begin with the title in bold.
    """
    if not file.is_file():
        raise ValueError(f"{file.parent.name}: there is no caption {file}")
    found = _TITLE.fullmatch(" ".join(file.read_text(encoding="utf-8").split()))
    if found is None or found["title"] not in (title, f"{title}."):
        raise ValueError(f"{file}: must begin with **{title}.**, the declared title")
    return found["text"]
