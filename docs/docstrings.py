"""The project's docstrings as numpydoc spells them, for Sphinx.

A parameter and its meaning share a line here, ``name : meaning``, and types stand in the signature
alone; numpydoc would take the meaning for the type. Fields of a dataclass follow its summary in the
same form. Footnotes of a module are out of reach of the docstrings of its functions.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

# A section of text alone, unlike "Returns", which is a list of types.
RESULT = "Result"

_ENTRY = re.compile(r"(?P<names>\*{0,2}[A-Za-z_]\w*(, \*{0,2}[a-z_]\w*)*) : (?P<meaning>.+)")
_FOOTNOTE = re.compile(r" ?\[\d+\]_")
_HEADINGS = {"Returns": RESULT}
_REFERENCE = re.compile(r"\.\. \[\d+\] ")


def spelt_out(lines: Sequence[str]) -> list[str]:
    """Return the lines of a docstring with a line of its own for the meaning of each parameter."""
    text = [_HEADINGS.get(line, _FOOTNOTE.sub("", line)) for line in lines]
    return list(_entries(_with_heading(list(_references(text)))))


def _references(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines, with footnotes as items of a list."""
    is_reference = False
    for line in lines:
        if _REFERENCE.match(line):
            is_reference = True
            yield "- " + _REFERENCE.sub("", line)
        else:
            is_reference = is_reference and line.startswith("   ")
            yield line[1:] if is_reference else line


def _with_heading(lines: list[str]) -> list[str]:
    """Return the lines, with a heading before fields that stand under none."""
    fields = (number for number, line in enumerate(lines) if _ENTRY.fullmatch(line))
    first = next(fields, None)
    if first is None or any(line.startswith("---") for line in lines):
        return lines
    return [*lines[:first], "Attributes", "----------", *lines[first:]]


def _entries(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        found = _ENTRY.fullmatch(line)
        yield from (found["names"], f"    {found['meaning']}") if found else (line,)


def _process(*arguments: Any) -> None:
    lines: list[str] = arguments[-1]
    lines[:] = spelt_out(lines)


def setup(app: Any) -> dict[str, bool]:
    """Have Sphinx read docstrings so, before it reads them as numpydoc."""
    app.connect("autodoc-process-docstring", _process, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
