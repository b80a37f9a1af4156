"""The register of public datasets: addresses, sizes and hashes of their files.

`resources/downloads.yaml` lists them. Reading it imports no heavy package: a configuration with an
unknown dataset, or a file that cannot be verified, is refused before any job starts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from perturb.datasets.download.http import SCHEMES
from perturb.datasets.download.unpacking import Bound

_ENTRY_KEYS = ("homepage", "licence", "citation", "images", "path", "login", "files")
_FILE_KEYS = ("name", "url", "size", "sha256", "md5", "unpacked")
_SHA256 = re.compile(r"[0-9a-f]{64}")


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
        naming entry and key, if a key is missing or unknown, or a value is invalid.
    """
    register = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(register, dict):
        raise ValueError(f"{path}: expected datasets by name")  # noqa: TRY004 - the user's file
    return {name: _entry(f"{path}: {name}", name, values) for name, values in register.items()}


def register_entry(path: Path, name: str, sha256: Mapping[str, str] | str | None = None) -> Entry:
    """Return an entry whose files all have an address and a SHA-256.

    Parameters
    ----------
    path : path of the register.
    name : name of the entry.
    sha256 : SHA-256 from the configuration for files without one in the register, by file name
        (or alone, for an entry of one file).

    Raises
    ------
    ValueError
        if there is no such entry or file, the publisher requires a login, or a SHA-256 is missing,
        malformed, or contradicts the register.
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
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"sha256 of {entry}, {file.name}: {sha256!r} is not 64 hexadecimal digits")
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


def _entry(where: str, name: str, values: Any) -> Entry:
    _check_keys(where, values, _ENTRY_KEYS, optional=("login",))
    login = values.get("login")
    files = tuple(_file(f"{where}: files[{i}]", v) for i, v in enumerate(values["files"]))
    for file in files:
        if file.url is None and login is None:
            raise ValueError(f"{where}: {file.name} has no url, and there is no login")
    if len({file.name for file in files}) != len(files) or not files:
        raise ValueError(f"{where}: files: expected one or more, each with a name of its own")
    texts = {key: str(values[key]) for key in ("homepage", "licence", "citation", "path")}
    images = _number(where, values, "images")
    return Entry(name=str(name), images=images, login=login, files=files, **texts)


def _file(where: str, values: Any) -> RemoteFile:
    _check_keys(where, values, _FILE_KEYS, optional=("url", "size", "sha256", "md5", "unpacked"))
    name, url = str(values["name"]), values.get("url")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(f"{where}: name is {name!r}; allowed: letters, digits and . _ -")
    if url is not None and urlsplit(url).scheme not in SCHEMES:
        raise ValueError(f"{where}: url is {url!r}; allowed: {', '.join(SCHEMES)}")
    for key, digits in (("sha256", 64), ("md5", 32)):
        if not re.fullmatch(rf"[0-9a-f]{{{digits}}}", values.get(key) or "0" * digits):
            raise ValueError(f"{where}: {key} is {values[key]!r}; expected {digits} hex digits")
    return RemoteFile(
        name=name,
        url=url,
        size=_number(where, values, "size") if values.get("size") is not None else None,
        sha256=values.get("sha256"),
        md5=values.get("md5"),
        unpacked=_bound(f"{where}: unpacked", values.get("unpacked")),
    )


def _bound(where: str, values: Any) -> Bound | None:
    if values is None:
        return None
    _check_keys(where, values, ("num_files", "num_bytes"))
    return Bound(*(_number(where, values, key) for key in ("num_files", "num_bytes")))


def _number(where: str, values: Mapping[str, Any], key: str) -> int:
    value = values[key]
    if type(value) is not int or value < 0:
        raise ValueError(f"{where}: {key} is {value!r}; allowed: a whole number from 0 on")
    return value


def _check_keys(
    where: str, values: Any, keys: tuple[str, ...], optional: tuple[str, ...] = ()
) -> None:
    if not isinstance(values, dict):
        raise ValueError(f"{where}: expected the keys {', '.join(keys)}")  # noqa: TRY004
    for key in (*values, *keys):
        if key not in keys:
            raise ValueError(f"{where}: unknown key {key!r}; allowed: {', '.join(keys)}")
        if key not in values and key not in optional:
            raise ValueError(f"{where}: {key} is missing")
