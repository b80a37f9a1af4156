"""The example of the library's page: run as a notebook, with the output that the page shows."""

import contextlib
import io
import re
from typing import Any

import pytest

from tests.workspace import ROOT

PAGE = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
_NUMBER = re.compile(r"\d+\.\d+")
# Training on another machine rounds differently.
_TOLERANCE = 0.06


def test_the_example_prints_what_the_page_shows() -> None:
    cells = re.findall(r"```python\n(.+?)```\n\n```text\n(.+?)```", PAGE, flags=re.S)
    assert len(cells) == PAGE.count("```python") == PAGE.count("```text")
    names: dict[str, Any] = {}
    for code, shown in cells:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, names)
        found = printed.getvalue()
        assert _words(found) == _words(shown), found
        values = [float(number) for number in _NUMBER.findall(found)]
        expected = [float(number) for number in _NUMBER.findall(shown)]
        assert values == pytest.approx(expected, abs=_TOLERANCE), found


def _words(text: str) -> list[str]:
    return _NUMBER.sub("number", text).split()
