"""Images in the cells of Parquet files: a column of bytes, or of structs {bytes, path}."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perturb.images.file_names import LeftOut
from perturb.images.locators import ParquetCell
from perturb.images.sources.class_index import class_index
from perturb.images.sources.rows import Listing, Source, some, unique_ids

_COLUMNS = {"image": "image", "label": "label"}


def list_parquet(source: Source) -> Listing:
    """Return the images of one or several Parquet files, in the order of files and rows.

    Ids are the paths in the structs where every image has one of its own, else file and row.

    Raises
    ------
    ValueError
        if a file is not Parquet, or lacks a column, or a label is null.
    """
    columns = _COLUMNS | dict(source.options.get("columns", {}))
    names: list[str | None] = []
    fallbacks: list[str] = []
    labels: list[str] = []
    locators: list[ParquetCell] = []
    for path in source.paths:
        found = _read(path, columns)
        rows = _data_rows(found["names"], source.left_out)
        names += [found["names"][row] for row in rows]
        labels += [found["labels"][row] for row in rows]
        locators += [found["locators"][row] for row in rows]
        fallbacks += [f"{path.stem}/{row:06d}" for row in rows]
    ids = [name for name in names if name]
    is_named = len(ids) == len(names) and len(set(ids)) == len(ids)
    folders = [Path(cell.path).parent.name for cell in locators]
    classes = class_index(source, set(labels), are_labels=True)
    return Listing(
        image_ids=ids if is_named else unique_ids(fallbacks, folders),
        targets=[classes[label] for label in labels],
        locators=locators,
        classes=classes,
    )


def _data_rows(names: Sequence[str | None], left_out: LeftOut) -> list[int]:
    """Return the rows whose image is data by its file's name; its folders are another machine's."""
    file_names = [(name or "").replace("\\", "/").rpartition("/")[2] for name in names]
    return [row for row, name in enumerate(file_names) if not left_out.takes(name)]


def _read(path: Path, columns: Mapping[str, str]) -> dict[str, list[Any]]:
    """Return the names, labels and locators of a file."""
    try:
        with pq.ParquetFile(path) as file:
            image, name = _image_columns(file.schema_arrow, columns, path)
            labels = _labels(file, columns["label"], path)
            names = _names(file, name) if name else [None] * len(labels)
            sizes = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: cannot be read as Parquet ({error})") from error
    locators = [
        ParquetCell(str(path), image, group, row)
        for group, size in enumerate(sizes)
        for row in range(size)
    ]
    return {"names": names, "labels": labels, "locators": locators}


def _image_columns(
    schema: pa.Schema, columns: Mapping[str, str], path: Path
) -> tuple[str, str | None]:
    """Return the dotted names of the column of bytes and, if there is one, of paths."""
    for key, column in columns.items():
        if column not in schema.names:
            raise ValueError(
                f"source.columns.{key} is {column!r}, not a column of {path}; "
                f"allowed: {some(schema.names)}"
            )
    image = columns["image"]
    kind = schema.field(image).type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return image, None
    fields = [field.name for field in kind] if pa.types.is_struct(kind) else []
    if "bytes" not in fields:
        raise ValueError(
            f"{path}: column {image} is {kind}; allowed: bytes, or structs of bytes and path"
        )
    return f"{image}.bytes", f"{image}.path" if "path" in fields else None


def _labels(file: pq.ParquetFile, column: str, path: Path) -> list[str]:
    values = file.read(columns=[column])[column]
    if not (pa.types.is_integer(values.type) or pa.types.is_string(values.type)):
        raise ValueError(f"{path}: column {column} is {values.type}; allowed: integers, strings")
    if values.null_count:
        row = pc.index(pc.is_null(values), True).as_py()
        raise ValueError(f"{path}: row {row} has no label")
    return [str(value) for value in values.to_pylist()]


def _names(file: pq.ParquetFile, column: str) -> list[str | None]:
    struct, _, name = column.partition(".")
    return [row[name] for row in file.read(columns=[column])[struct].to_pylist()]
