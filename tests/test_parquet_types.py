"""Labels, paths and bytes in all suitable types of Arrow, and names of numeric classes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.datasets.real.listing import Listing, list_images
from tests.image_files import IMAGE, bytes_of, in_json, refuses

STRINGS = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
LABELS = [
    *STRINGS,
    pa.dictionary(pa.int32(), pa.large_string()),
    *(pa.binary(), pa.large_binary(), pa.binary_view()),
]
BYTES = [
    *(pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(len(IMAGE))),
    pa.dictionary(pa.int32(), pa.binary()),
]


def _arrow(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    return pa.array(values, kind)


def _written(folder: Path, image: pa.Array, label: pa.Array) -> Listing:
    table = pa.table({"image": image, "label": label})
    # pyarrow cannot write a part of a struct of views.
    has_views = pa.types.is_struct(image.type) and "view" in str(image.type)
    size = len(table) if has_views else 2
    pq.write_table(table, folder / "set.parquet", row_group_size=size)
    return list_images({"path": "set.parquet", "layout": "parquet"}, folder)


@pytest.mark.parametrize("kind", LABELS, ids=str)
def test_names_of_any_type_of_arrow(kind: pa.DataType, tmp_path: Path) -> None:
    image = pa.array([IMAGE] * 3)
    listing = _written(tmp_path, image, _arrow(["dog", "great owl", "dog"], kind))
    assert listing.targets == [0, 1, 0]


@pytest.mark.parametrize(
    "kind",
    [
        *(pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.decimal128(5, 2)),
        *(pa.dictionary(pa.int8(), pa.int64()), pa.dictionary(pa.int8(), pa.float64())),
    ],
    ids=str,
)
def test_numbers_of_any_type_of_arrow(kind: pa.DataType, tmp_path: Path) -> None:
    values = [np.float16(v) for v in (11, 2, 11)] if kind == pa.float16() else [11, 2, 11]
    listing = _written(tmp_path, pa.array([IMAGE] * 3), _arrow(values, kind))
    assert listing.targets == [11, 2, 11]


@pytest.mark.parametrize("kind", BYTES, ids=str)
@pytest.mark.parametrize("path_kind", STRINGS, ids=str)
def test_images_of_any_type_of_arrow(
    kind: pa.DataType, path_kind: pa.DataType, tmp_path: Path
) -> None:
    data = _arrow([IMAGE, IMAGE[::-1], IMAGE], kind)
    label = pa.array([0, 1, 2])
    listing = _written(tmp_path, data, label)
    assert bytes_of(listing.locators) == [IMAGE, IMAGE[::-1], IMAGE]
    paths = _arrow(["a.png", "b.png", "c.png"], path_kind)
    both = pa.StructArray.from_arrays([data, paths], ["bytes", "path"])
    listing = _written(tmp_path, both, label)
    assert bytes_of(listing.locators) == [IMAGE, IMAGE[::-1], IMAGE]
    assert list(listing.image_ids) == ["a.png", "b.png", "c.png"]


def test_columns_with_usual_and_dotted_names(tmp_path: Path) -> None:
    table = pa.table({"IMG": [IMAGE], "file_name": ["x"], "Class": [2]})
    pq.write_table(table, tmp_path / "set.parquet")
    source = {"path": "set.parquet", "layout": "parquet"}
    assert list_images(source, tmp_path).targets == [2]
    table = pa.table({"image.bytes": [IMAGE], "meta.label": [2]})
    pq.write_table(table, tmp_path / "set.parquet")
    source["columns"] = {"image": "image.bytes", "label": "meta.label"}  # type: ignore[assignment]
    assert bytes_of(list_images(source, tmp_path).locators) == [IMAGE]


def _with_names(names: Sequence[str], labels: Sequence[int], path: Path) -> None:
    features = {"label": {"names": list(names), "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"image": [IMAGE] * len(labels), "label": labels})
    pq.write_table(table.replace_schema_metadata(metadata), path)


def test_names_that_a_file_keeps_beside_numbers(tmp_path: Path) -> None:
    _with_names(["dog", "cat", "owl"], [2, 0], tmp_path / "set.parquet")
    source = {"path": "set.parquet", "layout": "parquet"}
    listing = list_images(source, tmp_path)
    assert (listing.targets, listing.given_by) == ([2, 0], "numbers")
    assert {"dog": 0, "cat": 1, "owl": 2}.items() <= listing.classes.items()
    source["class_index"] = in_json(tmp_path / "index.json", {"owl": 7, "dog": 5})
    assert list_images(source, tmp_path).targets == [7, 5]
    for other in ("Owl", "OWL ", "o-w_l"):
        in_json(tmp_path / "index.json", {other: 7, "Dog": 5})
        refuses(source, tmp_path, match=r"index.json: does not know dog, owl")
    in_json(tmp_path / "index.json", {"n01": 0, "n02": 1, "n03": 2})
    assert list_images(source, tmp_path).targets == [2, 0]
    _with_names(["dog", "owl"], [1], tmp_path / "more.parquet")
    with pytest.raises(ValueError, match="its metadata name other classes than"):
        list_images({"path": "*.parquet", "layout": "parquet"}, tmp_path)
