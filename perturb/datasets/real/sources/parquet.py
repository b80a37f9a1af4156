"""Layout of images in the cells of Parquet files: a column of bytes, or of structs {bytes, path}.

Bytes, paths and labels may have any suitable type of Arrow: large and view types, dictionaries, and
fixed-size binaries.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from perturb.datasets.labels import Label, label_of, normal_form, read_class_index
from perturb.datasets.real.files.file_names import LeftOut
from perturb.datasets.real.files.locators import ParquetCell
from perturb.datasets.real.sources.class_index import numbering
from perturb.datasets.real.sources.columns import find_column, usual_columns
from perturb.datasets.real.sources.source import Listing, Source, unique_ids


def list_parquet(source: Source) -> Listing:
    """Return the images of one or several Parquet files, in the order of files and rows.

    Ids are the paths in the structs if all images have distinct ones, else file and row.

    Raises
    ------
    ValueError
        if a file is not Parquet, or lacks a column, or a label is null.
    """
    files = [_read(path, source.options.get("columns", {})) for path in source.paths]
    rows = [(file, row) for file in files for row in _data_rows(file.names, source.left_out)]
    given = [file.names[row] for file, row in rows]
    ids = [name for name in given if name]
    is_named = len(ids) == len(rows) and len(set(ids)) == len(ids)
    fallbacks = [f"{file.path.stem}/{row:06d}" for file, row in rows]
    folders = [file.path.parent.name for file, _ in rows]
    names = _class_names(files)
    labels = [file.labels[row] for file, row in rows]
    if _index_knows(source, names):
        labels = _named(labels, names)
    found = numbering(source, labels, lambda row: f"{rows[row][0].path}, row {rows[row][1]}")
    own = found.given_by == "numbers"
    return Listing(
        image_ids=ids if is_named else unique_ids(fallbacks, folders),
        targets=found.targets,
        locators=[file.cells[row] for file, row in rows],
        classes={**found.classes, **(names if own else {})},
        given_by=found.given_by,
    )


def _data_rows(names: Sequence[str | None], left_out: LeftOut) -> list[int]:
    """Return the rows whose image is data by its file name; folders are of another machine."""
    file_names = [(name or "").replace("\\", "/").rpartition("/")[2] for name in names]
    return [row for row, name in enumerate(file_names) if not left_out.takes(name)]


@dataclass(frozen=True, slots=True)
class _File:
    """Names, labels and locators of the images of a file by row, and the classes by name."""

    path: Path
    names: list[str | None]
    labels: list[Label]
    cells: list[ParquetCell]
    class_names: dict[str, int]


def _read(path: Path, columns: Mapping[str, str]) -> _File:
    """Return the names, labels and locators of a file."""
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            image, name = _image_columns(schema, _column("image", schema, columns, path), path)
            label = _column("label", schema, columns, path)
            labels = _labels(file, label, path)
            names: list[str | None] = [None] * len(labels)
            if name is not None:
                names = _names(file, name)
            sizes = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: cannot be read as Parquet ({error})") from error
    cells = [
        ParquetCell(str(path), image, group, row)
        for group, size in enumerate(sizes)
        for row in range(size)
    ]
    return _File(path, names, labels, cells, _features(schema, label))


def _features(schema: pa.Schema, column: str) -> dict[str, int]:
    """Return the classes by name, as the `datasets` library stores them in the metadata."""
    try:
        content = json.loads((schema.metadata or {})[b"huggingface"])
        names = content["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError):
        return {}
    if not isinstance(names, list):
        return {}
    return {label_of(name).text: number for number, name in enumerate(names)}


def _class_names(files: Sequence[_File]) -> dict[str, int]:
    first, *others = files
    for other in others:
        if other.class_names != first.class_names:
            raise ValueError(f"{other.path}: its metadata name other classes than {first.path}")
    return first.class_names


def _index_knows(source: Source, names: Mapping[str, int]) -> bool:
    """Return whether the class index shares a name with the classes of a file.

    Names in another spelling count, and are refused later as unknown: their numbers in the file
    need not be those of the index.
    """
    path = source.file("class_index") if source.options.get("class_index") != "numbers" else None
    if path is None:
        return False
    return not set(map(normal_form, names)).isdisjoint(map(normal_form, read_class_index(path)))


def _named(labels: Sequence[Label], names: Mapping[str, int]) -> list[Label]:
    by_number = {number: label_of(name) for name, number in names.items()}
    return [
        label if label.number is None else by_number.get(label.number, label) for label in labels
    ]


def _column(key: str, schema: pa.Schema, columns: Mapping[str, str], path: Path) -> str:
    """Return the configured column, else `image` or `label`, else the one with a usual name."""
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
    """Return the dotted names of the column of bytes and of the column of paths, if any."""
    kind = schema.field(image).type
    below = _bytes_in(kind)
    if below is None:
        raise ValueError(
            f"{path}: column {image} is {kind}; allowed: bytes, or structs of bytes and path"
        )
    has_path = bool(below) and any(f.name == "path" and _is_text(f.type) for f in kind)
    return image + below, f"{image}.path" if has_path else None


def _bytes_in(kind: pa.DataType) -> str | None:
    """Return the suffix that leads to the bytes in a column, None if its type has no bytes."""
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
    name = column.rpartition(".")[2]
    # Arrow reads structs with dictionaries one row group at a time.
    groups = range(file.num_row_groups)
    batches = (b for g in groups for b in file.iter_batches(row_groups=[g], columns=[column]))
    rows = (row for batch in batches for row in batch.column(0).to_pylist())
    return [_text(row[name]) if row else None for row in rows]


def _text(value: str | bytes | None) -> str | None:
    return value.decode("utf-8", errors="surrogateescape") if isinstance(value, bytes) else value


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values of a dictionary or an extension."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    return _plain(kind.storage_type) if isinstance(kind, pa.BaseExtensionType) else kind


def _is_text(kind: pa.DataType) -> bool:
    return _is_bytes(kind) or _plain(kind) in (pa.string(), pa.large_string(), pa.string_view())


def _is_bytes(kind: pa.DataType) -> bool:
    plain = _plain(kind)
    is_fixed = pa.types.is_fixed_size_binary(plain)
    return is_fixed or plain in (pa.binary(), pa.large_binary(), pa.binary_view())
