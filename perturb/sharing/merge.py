"""``perturb merge RESULTS... --into FOLDER``: results folders of one grid laid together."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from perturb.files import refusal_of
from perturb.plan.origins import differences
from perturb.sharing.folders import Folder, read_folder
from perturb.sharing.laying import Copy, copies, lay, write_receipts
from perturb.sharing.refusals import mixed_versions, refusals

_NUM_NAMED = 20
_NAMES = {
    "shards": ("shard", "shards"),
    "measurements": ("measurement", "measurements"),
    "checkpoints": ("checkpoint", "checkpoints"),
    "decoded": ("decoded dataset", "decoded datasets"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help="results folders")
    parser.add_argument(
        "--into",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="receives what it does not have yet; a new folder, or a results folder",
    )
    parser.add_argument(
        "--mixed-versions",
        action="store_true",
        help="accept results of several versions of perturb, torch or timm",
    )


def run(arguments: argparse.Namespace) -> int:
    """Lay results folders together; return 1 if they differ, or cannot be read or written."""
    into: Path = arguments.into
    paths = _distinct([*([into] if into.is_dir() else []), *arguments.results])
    faults = [f"{path}: there is no such folder" for path in paths if not path.is_dir()]
    refusal = refusal_of(into)
    faults += [f"--into {into}: {refusal}"] if refusal else []
    if faults:
        return _refused(faults)
    folders = [read_folder(path) for path in paths]
    faults = [
        f"{folder.path}: holds no shard; allowed: results folders"
        for folder in folders
        if folder.path != into and _is_empty(folder)
    ]
    faults += refusals(folders)
    mixed = mixed_versions(folders)
    if mixed and not arguments.mixed_versions:
        faults += [f"{line}: several versions; --mixed-versions accepts them" for line in mixed]
    if faults:
        return _refused(faults)
    copied = copies(folders, into)
    try:
        lay(copied, into)
        write_receipts(folders, into)
    except OSError as error:
        return _refused([f"{error}. The same command continues the merge"])
    sys.stdout.write("\n".join(_described(folders, copied, into, mixed)) + "\n")
    return 0


def _distinct(paths: Sequence[Path]) -> list[Path]:
    """Return folders once each, however they are written."""
    return list({path.resolve(): path for path in reversed(paths)}.values())[::-1]


def _is_empty(folder: Folder) -> bool:
    return not folder.faults and all(item.kind != "shards" for item in folder.items.values())


def _refused(faults: Sequence[str]) -> int:
    count = "1 reason" if len(faults) == 1 else f"{len(faults)} reasons"
    more = [f"and {len(faults) - _NUM_NAMED} more"] if len(faults) > _NUM_NAMED else []
    named = [f"Not merged, for {count}:", *faults[:_NUM_NAMED], *more]
    sys.stderr.write("\n".join(named) + "\n")
    return 1


def _described(
    folders: Sequence[Folder], copied: Sequence[Copy], into: Path, mixed: Sequence[str]
) -> Iterator[str]:
    new = Counter(copy.kind for copy in copied if not copy.file.endswith((".npy", ".safetensors")))
    total = Counter({item.file: item.kind for f in folders for item in f.items.values()}.values())
    for kind, names in _NAMES.items():
        if total[kind]:
            what = names[total[kind] != 1]
            yield f"{total[kind]:,} {what} in {into}, of which {new[kind]:,} are new"
    yield from (f"Mixed versions of {line}" for line in mixed)
    yield from _other_origins(folders)
    yield f"Next: snakemake --cores all --configfile STUDY --config results={into}"


def _other_origins(folders: Sequence[Folder]) -> Iterator[str]:
    """Yield the equal decoded datasets and checkpoints that do not say the same of their origin."""
    known: dict[str, tuple[Folder, object]] = {}
    for folder in folders:
        for file, item in folder.items.items():
            if item.origin is None:
                continue
            first, origin = known.setdefault(file, (folder, item.origin))
            for line in differences(item.origin, origin):
                yield (
                    f"Kept {first.path / file}: equal, but in {folder.path} {line}. A study that "
                    "says otherwise makes it again; cells stay"
                )
