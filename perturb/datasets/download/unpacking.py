"""Safe unpacking of archives from untrusted sources.

Names, kinds and sizes of members are claims of the author of an archive. Members are written one
after another into a new folder beside the final one, which gets its name when all are written. A
member that could write outside that folder, fill the disk or replace another file is refused, also
where a tolerant reader would skip or rename it. Only names and contents are kept: no modes, owners
or dates.
"""

import shutil
import stat
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from perturb.datasets.download.safe_names import folded, safe_parts
from perturb.datasets.real.files.archive_formats import BROKEN, kind_of, members

_OTHER = "neither a file nor a folder (a link or a device)"


@dataclass(frozen=True)
class Bound:
    """The maximum content of an archive.

    num_files : number of members, files and folders.
    num_bytes : size of all files together.
    """

    num_files: int
    num_bytes: int


@dataclass
class _Claims:
    """The members of an archive so far: their number, sizes and names."""

    bound: Bound
    num_files: int = 0
    num_bytes: int = 0
    paths: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, size: int | None) -> None:
        """Add a member of a declared size [bytes], None for a folder.

        Raises
        ------
        ValueError
            if its name is unsafe or another member's, or the bound is exceeded.
        """
        parts = safe_parts(name)
        self.num_files += 1
        self.num_bytes += size or 0
        if self.num_files > self.bound.num_files:
            raise ValueError(f"more than {self.bound.num_files} files and folders, at {name!r}")
        if self.num_bytes > self.bound.num_bytes:
            raise ValueError(f"more than {self.bound.num_bytes} bytes, at {name!r}")
        for depth in range(1, len(parts) + 1):
            is_file = size is not None and depth == len(parts)
            path = "/".join(parts[:depth]) + ("" if is_file else "/")
            key = folded(parts[:depth])
            if (is_file and key in self.paths) or self.paths.setdefault(key, path) != path:
                raise ValueError(
                    f"{path!r} and {self.paths[key]!r} are one name: it occurs twice, as a file "
                    "and a folder, or differs in case only"
                )


def unpack(archive: Path, folder: Path, bound: Bound) -> None:
    """Unpack a zip file, or a tar file with or without gzip, bzip2 or xz, into a new folder.

    The first bytes define the kind, not the name: ImageNetV2's `.tar.gz` is a plain tar. A killed
    process leaves a hidden folder that the next call removes.

    Raises
    ------
    ValueError
        if the folder exists; if the archive is broken, ends early or exceeds the bound; if a member
        is a link or a device, is encrypted, has an absolute path, a part `..` or another unsafe
        name, or has the name of another member.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise ValueError(f"{folder}: exists; {archive} is unpacked into a new folder only")
    temporary = folder.with_name(f".{folder.name}.unpacking")
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir(parents=True)
    claims = _Claims(bound)
    try:
        extract = _extract_zip if kind_of(archive) == "zip" else _extract_tar
        extract(archive, temporary, claims)
        if all(path.endswith("/") for path in claims.paths.values()):
            raise ValueError("it holds no file")
        temporary.rename(folder)
    except (ValueError, RuntimeError, *BROKEN) as error:
        raise ValueError(f"{archive}: refused: {error}") from error
    except OSError as error:
        # Broken gzip and bzip2 streams raise an OSError without a number; a full disk has one.
        if error.errno is not None:
            raise
        raise ValueError(f"{archive}: refused: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _extract_tar(path: Path, folder: Path, claims: _Claims) -> None:
    for archive, member in members(path, "r|"):
        # `tar -C folder .` adds the folder itself as a member.
        if member.isdir() and not PurePosixPath(member.name).parts:
            continue
        if not (member.isdir() or member.isreg()) or member.issparse():
            raise ValueError(f"{member.name!r} is {_OTHER}")
        claims.add(member.name, None if member.isdir() else member.size)
        # Python 3.11.3 and older have no filter; `claims` refuses all that it would.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extract(member, folder, set_attrs=False)


def _extract_zip(path: Path, folder: Path, claims: _Claims) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ValueError(f"{member.filename!r} is {_OTHER}")
            # The original name: that of the reader ends at a zero byte.
            claims.add(member.orig_filename, None if member.is_dir() else member.file_size)
            archive.extract(member, folder)
