"""Image files and archives of generated pictures, in the layouts of published datasets."""

import csv
import io
import json
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from perturb.datasets.real.files.locators import Locator, read_in_order, reading_order
from perturb.datasets.real.listing import Listing, list_images

TarMode = Literal["w", "w:gz", "w:bz2", "w:xz"]
NFC, NFD = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
WNIDS = ("n01440764", "n01443537", "n01484850")


def picture(seed: int, width: int = 40, height: int = 30) -> Image.Image:
    """Return a smooth picture with some noise, as photographs are."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (max(2, height // 8), max(2, width // 8), 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC))
    noise = rng.integers(-20, 21, smooth.shape)
    return Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, file_format: str = "JPEG", **options: Any) -> bytes:
    """Return the bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def class_folder_files(per_class: int = 3) -> dict[str, bytes]:
    """Return files of `<wnid>/ILSVRC2012_val_<number>.JPEG`, numbered from 1 across the classes."""
    files = {}
    for serial in range(len(WNIDS) * per_class):
        name = f"{WNIDS[serial % len(WNIDS)]}/ILSVRC2012_val_{serial + 1:08d}.JPEG"
        files[name] = encoded(picture(serial, 40 + serial, 30))
    return files


def write_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files below a folder."""
    for name, data in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return path


def tar_of(files: Mapping[str, bytes], mode: TarMode = "w") -> bytes:
    """Return the files as a tar archive, in the order given."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def write_tar(path: Path, files: Mapping[str, bytes], mode: TarMode = "w") -> Path:
    """Write the files as a tar archive, in the order given."""
    path.write_bytes(tar_of(files, mode))
    return path


def write_zip(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write the files as a zip archive."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_as(kind: str, folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files as a folder or an archive of a kind, and return its path."""
    writers = {
        "folder": lambda: write_folder(folder / "set", files),
        "tar": lambda: write_tar(folder / "set.tar", files),
        "tar.gz": lambda: write_tar(folder / "set.tar.gz", files, "w:gz"),
        "tgz": lambda: write_tar(folder / "set.tgz", files, "w:gz"),
        "tar.xz": lambda: write_tar(folder / "set.tar.xz", files, "w:xz"),
        "zip": lambda: write_zip(folder / "set.zip", files),
        "stored zip": lambda: write_zip(folder / "set.zip", files, zipfile.ZIP_STORED),
    }
    return writers[kind]()


KINDS = ("folder", "tar", "tar.gz", "tgz", "tar.xz", "zip", "stored zip")
IMAGE = encoded(picture(0))
FOLDERS = class_folder_files()


def by_id(listing: Listing) -> dict[str, int]:
    """Return the target of each image by its id."""
    return dict(zip(listing.image_ids, listing.targets, strict=True))


def bytes_of(locators: Sequence[Locator]) -> list[bytes | None]:
    """Return the bytes at each locator, read in the order of their files."""
    found = dict(read_in_order(locators, reading_order(locators)))
    return [found[row] for row in range(len(locators))]


def in_json(path: Path, value: object) -> str:
    """Write a value as JSON, and return the name of the file."""
    path.write_text(json.dumps(value))
    return path.name


def refuses(source: Mapping[str, Any], folder: Path, *, match: str, **expected: Any) -> str:
    """Check that a source is refused for a reason; return the whole message."""
    with pytest.raises(ValueError, match=match) as caught:
        list_images(source, folder, **expected)
    return str(caught.value)


def source_of(path: Path, layout: str = "class_folders", **more: Any) -> dict[str, Any]:
    """Return the source of a dataset below the folder that a file or folder lies in."""
    return {"path": path.name, "layout": layout, **more}


def _write_table(delimiter: str, folder: Path, labels: Sequence[Any]) -> dict[str, Any]:
    names = [f"i{number:02d}.png" for number in range(len(labels))]
    path = write_folder(folder / "flat", dict.fromkeys(names, IMAGE))
    if delimiter == "  ":
        lines = [f"{name}  {label}\n" for name, label in zip(names, labels, strict=True)]
        (folder / "labels").write_text("".join(lines))
    else:
        with (folder / "labels").open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.writer(file, delimiter=delimiter)
            writer.writerows([("File", "Label"), *zip(names, labels, strict=True)])
    return source_of(path, "labelled_files", labels="labels")


def _write_shard(suffix: str, folder: Path, labels: Sequence[Any]) -> dict[str, Any]:
    files: dict[str, bytes] = {}
    for number, label in enumerate(labels):
        record = json.dumps({"label": label}) if suffix == "json" else str(label)
        files |= {f"i{number:02d}.png": IMAGE, f"i{number:02d}.{suffix}": record.encode()}
    return source_of(write_tar(folder / "set.tar", files), "webdataset")


def _write_parquet(folder: Path, labels: Sequence[Any]) -> dict[str, Any]:
    table = pa.table({"image": [IMAGE] * len(labels), "label": labels})
    pq.write_table(table, folder / "set.parquet")
    return source_of(folder / "set.parquet", "parquet")


LABELLED: dict[str, Callable[[Path, Sequence[Any]], dict[str, Any]]] = {
    "csv": partial(_write_table, ","),
    "tsv": partial(_write_table, "\t"),
    "semicolons": partial(_write_table, ";"),
    "lines": partial(_write_table, "  "),
    "cls": partial(_write_shard, "cls"),
    "json": partial(_write_shard, "json"),
    "parquet": _write_parquet,
}
"""Layouts with a label for each image: write images i00.png, ... with labels, return the source."""
