"""Kinds of weights files by content, independent of their names.

A failed download, or a repository cloned without its large files, leaves a file with the right name
and other content. Errors name the kind of such content.
"""

import re
import struct
import tarfile
import zipfile
from pathlib import Path

SAFETENSORS, TORCH, NPZ = "safetensors", "torch", "npz"
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".tar", ".npz", ".ckpt", ".th")
_EXPECTED = {".safetensors": "a safetensors file", ".npz": "a .npz file of arrays"}
# A pickle of torch's magic number, the start of its files before 1.6.
_LEGACY_TORCH = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
_NUM_BYTES = 1024
# Errors of Python on damaged directories of zip archives.
_DAMAGED_ZIP = (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error)
_TEXTS = (
    (re.compile(rb"version https://git-lfs"), "a Git LFS pointer: `git lfs pull` fetches the file"),
    (re.compile(rb"<(!doctype\s+)?html|<head|<body", re.I), "an HTML page, such as a login's"),
    (re.compile(rb"<"), "XML or HTML text, such as a server's error"),
    (re.compile(rb"[\[{]\s*[\"\[{]"), "JSON text, such as a server's error or an index of parts"),
)
_BINARIES = (
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"BZh", "a bzip2 archive: unpack it first"),
    (b"\xfd7zXZ", "an xz archive: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras saves models"),
    (b"\x93NUMPY", "a single NumPy array (.npy)"),
    (b"GGUF", "a GGUF file"),
    (b"PK\x05\x06", "an empty zip archive"),
)


def kind_of_file(path: Path) -> str:
    """Return `SAFETENSORS`, `TORCH` or `NPZ`, by the file's content.

    Raises
    ------
    ValueError
        If the file has another kind, which the message names if known.
    """
    with path.open("rb") as file:
        head = file.read(_NUM_BYTES)
    if head.startswith(b"PK\x03\x04"):
        kind, problem = _kind_of_zip(path)
    elif head.startswith(_LEGACY_TORCH):
        kind, problem = TORCH, ""
    elif _is_safetensors(head, path.stat().st_size):
        kind, problem = SAFETENSORS, ""
    else:
        kind, problem = "", _name_of(head, path)
    if problem:
        raise ValueError(f"{path}: {_refusal(path)}: it is {problem}")
    return kind


def _refusal(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        return f"kind {path.suffix!r}; allowed: {', '.join(SUFFIXES)}"
    return f"not {_EXPECTED.get(suffix, 'a file of torch.save')}"


def _is_safetensors(head: bytes, num_bytes: int) -> bool:
    """Return whether a file starts with the length of a JSON header and its brace."""
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and length <= num_bytes - 8


def _kind_of_zip(path: Path) -> tuple[str, str]:
    """Return the kind of a zip archive, or an empty text and a description."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except _DAMAGED_ZIP as error:
        return "", f"a damaged zip archive, such as half a download ({error})"
    inner = {name.partition("/")[2] for name in names}
    if "data.pkl" in inner and (
        "constants.pkl" in inner or any(n.startswith("code/") for n in inner)
    ):
        return "", (
            "a TorchScript archive, which holds code; allowed: "
            "torch.save(torch.jit.load(...).state_dict(), ...)"
        )
    if "data.pkl" in inner:
        return TORCH, ""
    if names and all(name.endswith(".npy") for name in names):
        return NPZ, ""
    return (
        "",
        f"a zip archive of {', '.join(names[:3])} ({len(names)} in all): no file of torch.save",
    )


def _name_of(head: bytes, path: Path) -> str:
    """Return a description of a file without weights."""
    if not head:
        return "empty, such as a download that failed"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, name in _TEXTS:
        if pattern.match(text):
            return name
    for magic, name in _BINARIES:
        if head.startswith(magic):
            return name
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    if head.startswith(b"\x08") and re.search(rb"pytorch|onnx|tf2onnx|keras", head[:200]):
        return "an ONNX model"
    if tarfile.is_tarfile(path):
        return "a tar archive, also torch's own before 0.4: unpack it, or save it anew"
    if head.startswith(b"\x80") and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a Python pickle that torch.save did not write, such as of joblib"
    if head.isascii() and head.decode("ascii").replace("\n", " ").isprintable():
        return f"text that begins {head[:40].decode('ascii')!r}"
    return f"of unknown content; its first bytes are {head[:8].hex(' ')}"
