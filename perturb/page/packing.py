"""Packed parts of the page: text that a script unpacks when it is needed.

A packed text is gzip in base64 inside an inert script element, so that a page of many charts,
tables and libraries stays small and is shown before any of them is read.
"""

import base64
import gzip
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vl_convert
from markupsafe import Markup, escape


@dataclass(frozen=True)
class Libraries:
    """The texts of the libraries that the page's scripts import."""

    vega: str
    datatables: str


def read_libraries() -> Libraries:
    """Return Vega-Embed with all that it needs, and DataTables, as modules."""
    return Libraries(
        vl_convert.javascript_bundle("export { vegaEmbed };"),
        _itables("dt_bundle.js").read_text(encoding="utf-8"),
    )


def pack(id: str, content: Any) -> Markup:
    """Return an element that holds a text, or a value as JSON.

    Parameters
    ----------
    id : by which a script asks for the content.
    content : a text, or a value that JSON has.
    """
    text = content if isinstance(content, str) else json.dumps(content, allow_nan=False)
    # Without the time of day, so that the same content gives the same page.
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return Markup('<script type="text/plain" id="packed-{}">{}</script>').format(
        escape(id), Markup(packed)
    )


def _itables(file: str) -> Path:
    # Importing the package reads its samples.
    spec = importlib.util.find_spec("itables")
    if spec is None or spec.origin is None:
        raise ImportError("itables is not installed; `make env` installs it")
    return Path(spec.origin).parent / "html" / file
