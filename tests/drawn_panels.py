"""What a chart shows when it is rendered, panel by panel: its marks and its words."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import vl_convert

_MARKS = ("symbol", "rect")


@dataclass(frozen=True)
class DrawnPanel:
    """A panel: how many values it shows, and the sentences that stand in it."""

    num_marks: int
    sentences: list[str]


@dataclass(frozen=True)
class Drawn:
    """A rendered chart.

    grids : of each grid of panels its rows, its columns, and how many panels it has.
    words : every text in it: of axes, headers, legends and panels.
    width : in px.
    """

    panels: list[DrawnPanel]
    grids: list[tuple[int, int, int]]
    words: list[str]
    width: float


def drawn(spec: dict[str, Any]) -> Drawn:
    """Render a chart and return what is in it."""
    scene = vl_convert.vegalite_to_scenegraph(spec)
    items = list(_items(scene["scenegraph"]))
    return Drawn(
        panels=[_panel(item) for item in items if any(map(_is_mark, item.get("items", [])))],
        grids=[grid for grid in map(_grid, items) if grid],
        words=[_text(item) for item in items if "text" in item],
        width=scene["width"],
    )


def _items(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every item and every mark of a scene."""
    yield node
    for child in node.get("items", []):
        yield from _items(child)


def _is_mark(mark: dict[str, Any]) -> bool:
    """Whether it is a mark of values or words; axes, headers and legends have other roles."""
    return mark.get("role") == "mark" and mark.get("marktype") in (*_MARKS, "text")


def _panel(group: dict[str, Any]) -> DrawnPanel:
    marks = [mark for mark in group["items"] if _is_mark(mark)]
    values = [item for mark in marks if mark["marktype"] in _MARKS for item in mark["items"]]
    texts = [item for mark in marks if mark["marktype"] == "text" for item in mark["items"]]
    return DrawnPanel(sum(map(_has_place, values)), [_text(item) for item in texts])


def _has_place(item: dict[str, Any]) -> bool:
    places = [item.get(name, 0.0) for name in ("x", "y")]
    return all(place is not None and math.isfinite(place) for place in places)


def _text(item: dict[str, Any]) -> str:
    text = item["text"]
    return " ".join(text) if isinstance(text, list) else str(text)


def _grid(group: dict[str, Any]) -> tuple[int, int, int] | None:
    parts = {part.get("name"): part for part in group.get("items", []) if isinstance(part, dict)}
    sizes = [len(parts.get(name, {}).get("items", [])) for name in ("row_header", "column_header")]
    cells = [len(part["items"]) for name, part in parts.items() if str(name).endswith("cell")]
    return (*sizes, cells[0]) if all(sizes) and cells else None
