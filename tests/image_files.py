"""Image files and archives of generated pictures, in the layouts of published datasets."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

TarMode = Literal["w", "w:gz", "w:bz2", "w:xz"]
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


def write_tar(path: Path, files: Mapping[str, bytes], mode: TarMode = "w") -> Path:
    """Write the files as a tar archive, in the order given."""
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
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
