"""A table as files: Parquet and CSV for programs, Markdown and LaTeX for readers.

Parquet and CSV contain every column, accuracy and error as fractions, without rounding: the
shortest text that reads as the same number. Markdown and LaTeX show the layout of `display.grid`.
"""

import csv
import io
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from perturb.experiments.captions import table_caption
from perturb.experiments.registry import table as declared_table
from perturb.files import replacing
from perturb.formatting import MINUS, MISSING
from perturb.tables.columns import columns
from perturb.tables.display import Cell, Grid, grid

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "$": r"\$",
        "&": r"\&",
        "#": r"\#",
        "%": r"\%",
        "_": r"\_",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        MINUS: "$-$",
        MISSING: "--",
    }
)
_TAGS = str.maketrans({"<": "&lt;", ">": "&gt;", "\n": " "})
# Characters that Markdown reads as code, emphasis, formulas, links, entities or the end of a cell;
# brackets of intervals and underscores within words are not among them.
_MARKUP = re.compile(r"[\\`*$~|]|(?<!\w)_|_(?!\w)|\](?=[(\[])|&(?=#?\w+;)")


def write_table(
    table: pa.Table, name: str, *, parquet: Path, csv: Path, markdown: Path, latex: Path
) -> None:
    """Write a table made by `make_table(name, ...)` in all four formats.

    The same table gives the same bytes.
    """
    with replacing(parquet) as temporary:
        pq.write_table(_described(table), temporary, compression="zstd")
    shown = grid(table, name)
    texts = {
        csv: csv_text(table),
        markdown: markdown_text(shown, name),
        latex: latex_text(shown, name),
    }
    for path, text in texts.items():
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")


def csv_text(table: pa.Table) -> str:
    """Return a table as CSV: every column, `true` and `false`, empty for null."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in table.to_pylist():
        writer.writerow([_plain(value) for value in row.values()])
    return text.getvalue()


def markdown_text(shown: Grid, name: str) -> str:
    """Return a table's layout as GitHub Markdown, with its title and caption."""
    entry = declared_table(name)
    labels = [_markdown(header.label) for header in shown.headers]
    rules = ["---:" if header.is_number else ":---" for header in shown.headers]
    body = [[_markdown(str(cell)) for cell in row] for row in shown.rows]
    lines = ["| " + " | ".join(row) + " |" for row in [labels, rules, *body]]
    reason = [] if shown.rows else [entry.empty, ""]
    return "\n".join([f"## {entry.title}", "", table_caption(name), "", *lines, "", *reason])


def _markdown(text: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", text).translate(_TAGS)


def latex_text(shown: Grid, name: str) -> str:
    r"""Return a table's layout as a LaTeX `tabular` with booktabs rules, for `\input`."""
    entry = declared_table(name)
    layout = "".join("r" if header.is_number else "l" for header in shown.headers)
    labels = " & ".join(header.label.translate(_LATEX) for header in shown.headers)
    body = [" & ".join(map(_latex_cell, row)) for row in shown.rows]
    empty = rf"\multicolumn{{{len(layout)}}}{{l}}{{{entry.empty.translate(_LATEX)}}}"
    lines = [
        f"% {entry.title}. {table_caption(name)}",
        r"% Needs \usepackage{booktabs}.",
        rf"\begin{{tabular}}{{{layout}}}",
        r"\toprule",
        rf"{labels} \\",
        r"\midrule",
        *(rf"{row} \\" for row in body or [empty]),
        r"\bottomrule",
        r"\end{tabular}",
        "",
    ]
    return "\n".join(lines)


def _latex_cell(cell: Cell) -> str:
    # LaTeX would read these at the start of a row as arguments of the `\\` before it.
    return ("{}" if str(cell).startswith(("[", "*")) else "") + str(cell).translate(_LATEX)


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else value


def _described(table: pa.Table) -> pa.Table:
    """Return the table with the meaning and the unit of each column in its schema."""
    known = columns()
    fields = [
        field.with_metadata({"description": known[field.name].description})
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
