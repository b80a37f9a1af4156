"""What the page is put together from: parts in order, styles, scripts.

A part is a template that makes a section of the page, and an entry of its contents. A section that
a study does not have is left out of both.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from perturb.experiments import registry
from perturb.formatting import formatted

_TEMPLATES = Path(__file__).parent / "templates"
# In the order in which they need each other.
_SCRIPTS = (
    *("unpack", "charts", "tables", "print", "downloads", "copies", "contents"),
    *("link", "elements", "leaderboard", "filters", "front", "choosing", "answers", "compare"),
    *("model", "gallery"),
)
_STYLES = ("page", "figures", "tables", "side_by_side", "words", "print")


@dataclass(frozen=True)
class Part:
    """A part of the page.

    id : of its section.
    label : its name in the contents.
    template : the file that makes the section, without `.html`.
    needs : a name of the page's data. A study for which it is empty does not have the part; empty
        text: every study has it.
    """

    id: str
    label: str
    template: str
    needs: str = ""


PARTS = (
    Part("asked", "Question", "asked"),
    Part("found", "Answers", "found", needs="has_findings"),
    Part("leaderboard", "Leaderboard", "leaderboard", needs="board"),
    Part("choosing", "Choosing", "choosing", needs="board"),
    Part("compare", "Compare", "compare", needs="pairs"),
    Part("model", "One model", "model", needs="board"),
    Part("gallery", "Images", "gallery", needs="gallery"),
    Part("experiments", "Experiments", "experiments", needs="sections"),
    Part("claims", "Claims", "claims"),
    Part("sure", "How sure", "how_sure"),
    Part("run", "Methods", "methods"),
    Part("numbers", "All numbers", "all_numbers"),
)


def parts_of(data: Mapping[str, object]) -> list[Part]:
    """Return the parts that a study has, in order, given the data of its page."""
    return [part for part in PARTS if not part.needs or data[part.needs]]


def environment() -> jinja2.Environment:
    """Return the template engine, which escapes every text that is not marked as HTML."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader([_TEMPLATES, registry.FOLDER]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.filters["formatted"] = formatted
    return found


def styles() -> Markup:
    """Return all styles of the page."""
    return _joined(f"styles/{name}.css" for name in _STYLES)


def scripts() -> Markup:
    """Return all scripts of the page, one module."""
    return _joined(f"scripts/{name}.js" for name in _SCRIPTS)


def _joined(names: Iterable[str]) -> Markup:
    return Markup("\n").join(
        Markup((_TEMPLATES / name).read_text(encoding="utf-8")) for name in names
    )
