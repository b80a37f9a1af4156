"""Images in the cells of Parquet files: a column of bytes, or of structs {bytes, path}.

Bytes, paths and labels may have any of Arrow's types for them: large and view types, dictionaries,
and binaries of one size.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from perturb.images.file_names import LeftOut
from perturb.images.locators import ParquetCell
from perturb.images.sources.class_index import numbering
from perturb.images.sources.columns import find_column, usual_columns
from perturb.images.sources.labels import Label, label_of
from perturb.images.sources.rows import Listing, Source, unique_ids


def list_parquet(source: Source) -> Listing:
    """Return the images of one or several Parquet files, in the order of files and rows.

    Ids are the paths in the structs where every image has one of its own, else file and row.

    Raises
    ------
    ValueError
        if a file is not Parquet, or lacks a column, or a label is null.
    """
    columns = source.options.get("columns", {})
    names: list[str | None] = []
    fallbacks: list[str] = []
    labels: list[Label] = []
    locators: list[ParquetCell] = []
    places: list[tuple[Path, int]] = []
    for path in source.paths:
        found = _read(path, columns)
        rows = _data_rows(found["names"], source.left_out)
        names += [found["names"][row] for row in rows]
        labels += [found["labels"][row] for row in rows]
        locators += [found["locators"][row] for row in rows]
        places += [(path, row) for row in rows]
        fallbacks += [f"{path.stem}/{row:06d}" for row in rows]
    ids = [name for name in names if name]
    is_named = len(ids) == len(names) and len(set(ids)) == len(ids)
    folders = [Path(cell.path).parent.name for cell in locators]
    numbers = numbering(
        source,
        labels,
        lambda row: f"{places[row][0]}, row {places[row][1]}",
        are_folders=False,
    )
    return Listing(
        image_ids=ids if is_named else unique_ids(fallbacks, folders),
        targets=numbers.targets,
        locators=locators,
        classes=numbers.classes,
        given_by=numbers.given_by,
    )


def _data_rows(names: Sequence[str | None], left_out: LeftOut) -> list[int]:
    """Return the rows whose image is data by its file's name; its folders are another machine's."""
    file_names = [(name or "").replace("\\", "/").rpartition("/")[2] for name in names]
    return [row for row, name in enumerate(file_names) if not left_out.takes(name)]


def _read(path: Path, columns: Mapping[str, str]) -> dict[str, list[Any]]:
    """Return the names, labels and locators of a file."""
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            image, name = _image_columns(schema, _column("image", schema, columns, path), path)
            labels = _labels(file, _column("label", schema, columns, path), path)
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


def _column(key: str, schema: pa.Schema, columns: Mapping[str, str], path: Path) -> str:
    """Return the column that is given, or `image` and `label`, or the one with a usual name."""
    if key in columns:
        return find_column(key, schema.names, columns, str(path))
    fits = [f.name for f in schema if key == "label" or _bytes_in(f.type) is not None]
    found = [] if key in schema.names else usual_columns(key, fits)
    if len(found) == 1:
        return found[0]
    if found:
        return find_column(key, found, columns, str(path))
    return find_column(key, schema.names, {key: key}, str(path))


def _image_columns(schema: pa.Schema, image: str, path: Path) -> tuple[str, str | None]:
    """Return the dotted names of the column of bytes and, if there is one, of paths."""
    kind = schema.field(image).type
    below = _bytes_in(kind)
    if below is None:
        raise ValueError(
            f"{path}: column {image} is {kind}; allowed: bytes, or structs of bytes and path"
        )
    has_path = bool(below) and any(f.name == "path" and _is_text(f.type) for f in kind)
    return image + below, f"{image}.path" if has_path else None


def _bytes_in(kind: pa.DataType) -> str | None:
    """Return where the bytes lie in a column of a type: in itself, in a field, or nowhere."""
    if _is_bytes(kind):
        return ""
    fields = kind if pa.types.is_struct(kind) else ()
    return ".bytes" if any(f.name == "bytes" and _is_bytes(f.type) for f in fields) else None


def _labels(file: pq.ParquetFile, column: str, path: Path) -> list[Label]:
    kind = _plain(file.schema_arrow.field(column).type)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if not (is_number or _is_text(kind) or _is_bytes(kind) or pa.types.is_null(kind)):
        raise ValueError(
            f"{path}: column {column} is {kind}; allowed: integers, strings, whole floats"
        )
    return [label_of(value) for value in file.read(columns=[column])[column].to_pylist()]


def _names(file: pq.ParquetFile, column: str) -> list[str | None]:
    struct, _, name = column.rpartition(".")
    rows = file.read(columns=[column])[struct].to_pylist()
    return [_text(row[name]) if row else None for row in rows]


def _text(value: str | bytes | None) -> str | None:
    return value.decode("utf-8", errors="surrogateescape") if isinstance(value, bytes) else value


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values of a dictionary or an extension."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    return _plain(kind.storage_type) if isinstance(kind, pa.BaseExtensionType) else kind


def _is_text(kind: pa.DataType) -> bool:
    plain = _plain(kind)
    types = pa.types
    is_string = types.is_string(plain) or types.is_large_string(plain)
    return is_string or types.is_string_view(plain) or _is_bytes(plain)


def _is_bytes(kind: pa.DataType) -> bool:
    plain = _plain(kind)
    types = pa.types
    is_binary = types.is_binary(plain) or types.is_large_binary(plain)
    return is_binary or types.is_binary_view(plain) or types.is_fixed_size_binary(plain)
