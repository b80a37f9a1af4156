"""Tables for the page: the layout for readers, and the files that its reader can save."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from perturb.experiments import registry
from perturb.experiments.captions import table_caption
from perturb.tables.display import Cell, Grid, grid
from perturb.tables.write import csv_text, latex_text


@dataclass(frozen=True)
class ShownTable:
    """A table on the page, with the texts of its files.

    is_open : whether its experiment shows it unfolded, since no chart does.
    """

    id: str
    title: str
    caption: str
    is_open: bool
    grid: Grid
    csv: str
    latex: str

    @property
    def packed(self) -> dict[str, Any]:
        """What the page's script reads: `headers`, `rows` and the files' texts.

        A cell is its text; or text and sort key, where this is another; or these and an interval.
        """
        headers = [
            {"label": head.label, "description": head.description, "isNumber": head.is_number}
            for head in self.grid.headers
        ]
        rows = [[_packed_cell(cell) for cell in row] for row in self.grid.rows]
        return {"headers": headers, "rows": rows, "csv": self.csv, "latex": self.latex}


def shown_table(name: str, table: pa.Table) -> ShownTable:
    """Return the layout for readers of a table made by `make_table`."""
    entry = registry.table(name)
    caption = table_caption(name)
    said = caption if table.num_rows else f"{caption} {entry.empty}"
    layout = grid(table, name)
    return ShownTable(
        id=name,
        title=entry.title,
        caption=said,
        is_open=entry.on_page,
        grid=layout,
        csv=csv_text(table),
        latex=latex_text(layout, name),
    )


def _packed_cell(cell: Cell) -> str | list[Any]:
    if cell.interval:
        return [cell.text, cell.sort, cell.interval]
    return cell.text if cell.text == cell.sort else [cell.text, cell.sort]
