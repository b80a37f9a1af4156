"""The register of public datasets: addresses, sizes and hashes of their files.

`resources/downloads.yaml` lists them. Reading it imports no heavy package: a configuration with an
unknown dataset, or a file that cannot be verified, is refused before any job starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from perturb.datasets.download.unpacking import Bound


def _object(required: str, **properties: Any) -> dict[str, Any]:
    """Return the schema of an object with these keys and no other."""
    keys = {"properties": properties, "required": required.split()}
    return {"type": "object", "additionalProperties": False, **keys}


def _text(pattern: str = "") -> dict[str, str]:
    return {"type": "string", "pattern": pattern}


_NUMBER = {"type": "integer", "minimum": 0}
_FILE = _object(
    "name",
    name=_text(r"^[A-Za-z0-9][A-Za-z0-9._-]*$"),
    url=_text("^https?://"),
    size=_NUMBER,
    sha256=_text("^[0-9a-f]{64}$"),
    md5=_text("^[0-9a-f]{32}$"),
    unpacked=_object("num_files num_bytes", num_files=_NUMBER, num_bytes=_NUMBER),
)
_ENTRY = {
    **_object(
        "homepage licence citation images path files",
        **dict.fromkeys(("homepage", "licence", "citation", "path", "login"), _text()),
        images=_NUMBER,
        files={"type": "array", "items": _FILE, "minItems": 1},
    ),
    # What needs a login is downloaded by hand, and needs no address.
    "if": {"not": {"required": ["login"]}},
    "then": {"properties": {"files": {"items": {"required": ["url"]}}}},
}
_REGISTER = {"type": "object", "additionalProperties": _ENTRY}


@dataclass(frozen=True)
class RemoteFile:
    """A file of a dataset.

    name : local name.
    url : http(s) address; None if the file can only be downloaded by hand.
    size : size [bytes]; None if not published.
    sha256 : hash in hexadecimal; None if not published.
    md5 : hash by the publisher; compared too, never sufficient alone.
    unpacked : maximum content of an archive; None for a file that is not unpacked.
    """

    name: str
    url: str | None
    size: int | None
    sha256: str | None
    md5: str | None
    unpacked: Bound | None


@dataclass(frozen=True)
class Entry:
    """A dataset of the register.

    images : number of images; 0 for labels only.
    path : path of its images or labels in the folder that `download` makes.
    login : instructions, if the publisher requires an account; else None.
    """

    name: str
    homepage: str
    licence: str
    citation: str
    images: int
    path: str
    login: str | None
    files: tuple[RemoteFile, ...]


def read_register(path: Path) -> dict[str, Entry]:
    """Return the entries of a register by name.

    Raises
    ------
    ValueError
        naming entry and key of each missing or unknown key and of each invalid value.
    """
    register = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    errors = jsonschema.Draft202012Validator(_REGISTER).iter_errors(register)
    found = [(".".join(map(str, error.absolute_path)), error.message) for error in errors]
    if found:
        raise ValueError("\n".join(f"{path}: {key}: {message}" for key, message in found))
    return {name: _entry(f"{path}: {name}", name, values) for name, values in register.items()}


def register_entry(path: Path, name: str, sha256: Mapping[str, str] | str | None = None) -> Entry:
    """Return an entry whose files all have an address and a SHA-256.

    Parameters
    ----------
    sha256 : SHA-256 from the configuration for files without one in the register, by file name
        (or alone, for an entry of one file).

    Raises
    ------
    ValueError
        if there is no such entry or file, the publisher requires a login, or a SHA-256 is missing,
        or contradicts the register.
    """
    register = read_register(path)
    if name not in register:
        raise ValueError(f"download: {name!r} is not in {path}; allowed: {', '.join(register)}")
    entry = register[name]
    if entry.login is not None:
        raise ValueError(f"download: {name} cannot be downloaded without a login. {entry.login}")
    if isinstance(sha256, str):
        sha256 = {file.name: sha256 for file in entry.files}
    given = dict(sha256 or {})
    files = tuple(_with_sha256(name, file, given.pop(file.name, None)) for file in entry.files)
    if given:
        raise ValueError(
            f"sha256 of {name}: {next(iter(given))!r} is none of its files; "
            f"allowed: {', '.join(file.name for file in files)}"
        )
    _check_sha256_known(name, files)
    return replace(entry, files=files)


def _with_sha256(entry: str, file: RemoteFile, sha256: str | None) -> RemoteFile:
    if sha256 is None:
        return file
    sha256 = str(sha256).lower()
    if file.sha256 not in (None, sha256):
        raise ValueError(
            f"sha256 of {entry}, {file.name}: {sha256} contradicts the register's {file.sha256}"
        )
    return replace(file, sha256=sha256)


def _check_sha256_known(entry: str, files: tuple[RemoteFile, ...]) -> None:
    unknown = [file for file in files if file.sha256 is None]
    if not unknown:
        return
    names = ", ".join(file.name for file in unknown)
    urls = ", ".join(str(file.url) for file in unknown)
    to_give = ", ".join(f"{file.name}: ..." for file in unknown)
    md5 = "; ".join(f"{file.name} {file.md5}" for file in unknown if file.md5)
    raise ValueError(
        f"download: the SHA-256 of {names} ({entry}) is not published, and no file is fetched "
        f"without one. Either download by hand ({urls}), unpack, and give `path` instead of "
        f"`download`; or run sha256sum on a copy that you trust and give "
        f"`sha256: {{{to_give}}}` beside `download`."
        + (f" MD5s from the publisher: {md5}." if md5 else "")
    )


def _entry(where: str, name: str, values: Mapping[str, Any]) -> Entry:
    files = tuple(_file(file) for file in values["files"])
    if len({file.name for file in files}) != len(files):
        raise ValueError(f"{where}: files: each needs a name of its own")
    return Entry(name=name, **{"login": None, **values, "files": files})


def _file(values: Mapping[str, Any]) -> RemoteFile:
    bound = values.get("unpacked")
    given = {**dict.fromkeys(_FILE["properties"]), **values}
    return RemoteFile(**{**given, "unpacked": bound and Bound(**bound)})
