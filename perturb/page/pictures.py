"""Captions of pictures, from the same files as those of Snakemake's report.

They refer to params of the job that draws the picture, as Snakemake's captions do:
``{{ snakemake.params ... }}``.
"""

from types import SimpleNamespace
from typing import Any

import jinja2

from perturb.experiments.registry import FOLDER


def picture_caption(experiment: str, **params: Any) -> str:
    """Return the caption of an experiment's picture in one line.

    Parameters
    ----------
    params : those of the rule that draws the picture.

    Raises
    ------
    ValueError
        if the experiment has no caption for a picture.
    """
    file = FOLDER / experiment / "picture.rst"
    if not file.is_file():
        raise ValueError(f"{experiment}: there is no caption {file}")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    template = environment.from_string(file.read_text(encoding="utf-8"))
    text = template.render(snakemake=SimpleNamespace(params=SimpleNamespace(**params)))
    return " ".join(text.split())
