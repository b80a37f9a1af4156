"""What a results folder holds of a grid: decoded datasets, checkpoints, shards, measurements.

Each is an item with the facts that tell whether two folders hold the same one. Tables, charts and
the page are no items: the next run makes them again.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from perturb.datasets.manifests import read_manifest, read_origin
from perturb.evaluation.cell import Cell
from perturb.evaluation.content_digest import content_digest
from perturb.evaluation.digests import digest_of
from perturb.evaluation.identity import dataset_facts, model_facts
from perturb.evaluation.measurements import read_whole_measurement
from perturb.evaluation.shards import read_shard
from perturb.plan.paths import Paths
from perturb.plan.receipts import entries_of

_ROWS = ("image_id", "target", "accepted")


@dataclass(frozen=True)
class Item:
    """A result, by the path of its main file below the results folder.

    kind : ``decoded``, ``checkpoints``, ``shards`` or ``measurements``.
    beside : the file that belongs to it, pixels or weights, which a folder may lack.
    same : facts that are the same wherever the item is found.
    origin : what it was made from, of decoded datasets and checkpoints.
    metadata : of shards and measurements.
    """

    kind: str
    file: str
    same: Mapping[str, Any]
    beside: str | None = None
    origin: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Folder:
    """The items of a results folder.

    images : a digest of the images of each dataset, and the decoded dataset that it was read of.
    receipts : the entries of each receipt, by its path below the folder.
    faults : files that are not whole, or not what their place says.
    """

    path: Path
    items: dict[str, Item] = field(default_factory=dict)
    images: dict[str, tuple[str, str]] = field(default_factory=dict)
    receipts: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def has(self, file: str) -> bool:
        """Return whether a file is there."""
        return (self.path / file).is_file()


def read_folder(path: Path) -> Folder:
    """Return what a results folder holds; the content of results is held against their digests."""
    folder = Folder(path)
    readers: dict[str, tuple[str, Callable[[Folder, str], Item]]] = {
        "decoded": ("manifest.parquet", _decoded),
        "checkpoints": ("card.json", _checkpoint),
        "measurements": (".parquet", _measurement),
        "shards": (".parquet", _shard),
    }
    for kind, (end, read) in readers.items():
        for file in _files(path, kind, end):
            try:
                folder.items[file] = read(folder, file)
            except (ValueError, OSError, LookupError, TypeError) as error:
                folder.faults.append(_told(path / file, error))
    for file in _files(path, "receipts", ".json"):
        folder.receipts[file] = entries_of(path / file)
    return folder


def _files(path: Path, kind: str, end: str) -> Iterator[str]:
    """Yield files of a kind, sorted, below the folder; hidden ones are not finished."""
    found = [
        os.path.relpath(f"{place}/{name}", path)
        for place, _, names in os.walk(path / kind)
        for name in names
        if name.endswith(end) and not name.startswith(".")
    ]
    yield from sorted(found)


def _told(path: Path, error: Exception) -> str:
    said = str(error) or type(error).__name__
    return said if str(path) in said else f"{path}: {said}"


def _decoded(folder: Folder, file: str) -> Item:
    manifest = folder.path / file
    images = manifest.with_name("images.npy")
    table = read_manifest(manifest)
    if b"pixels_digest" not in (table.schema.metadata or {}):
        raise ValueError(f"{manifest}: has no digest of the pixels; its images cannot be compared")
    pixels, rows = dataset_facts(images, manifest)
    store = str(Path(file).parent.relative_to("decoded"))
    seen = table.select([name for name in _ROWS if name in table.column_names])
    digest = digest_of(seen.to_pydict())
    dataset = store.partition("/")[0]
    known, other = folder.images.setdefault(dataset, (digest, store))
    if known != digest:
        raise ValueError(f"{manifest}: has other images or targets than decoded/{other}")
    return Item(
        "decoded",
        file,
        {"pixels": pixels, "images or targets": rows},
        beside=str(Path(file).with_name("images.npy")),
        origin=read_origin(manifest),
    )


def _checkpoint(folder: Folder, file: str) -> Item:
    card = folder.path / file
    facts = json.loads(card.read_text(encoding="utf-8"))
    if facts.get("model") != card.parent.name:
        raise ValueError(f"{card}: is the card of model {facts.get('model')!r}")
    beside = str(Path(file).with_name("weights.safetensors"))
    return Item("checkpoints", file, model_facts(card), beside, facts.get("made_from"))


def _shard(folder: Folder, file: str) -> Item:
    path = folder.path / file
    table, metadata = read_shard(path)
    cell = cell_of(file)
    claims = (cell.model, cell.dataset, cell.perturbation, cell.severity_value)
    found = tuple(metadata.get(n) for n in ("model", "dataset", "perturbation", "severity"))
    if found != claims:
        raise ValueError(f"{path}: holds the cell {' / '.join(map(str, found))}")
    if not metadata.get("identity"):
        raise ValueError(f"{path}: has no identity of its cell")
    facts = {
        "identity": metadata["identity"],
        "rows": content_digest(table, ""),
    }
    return Item("shards", file, facts, metadata=metadata)


def _measurement(folder: Folder, file: str) -> Item:
    path = folder.path / file
    metadata = read_whole_measurement(path)
    claims = (path.parent.name, path.stem)
    found = metadata.get("model"), metadata.get("measurement")
    if found != claims:
        raise ValueError(f"{path}: holds the measurement {' / '.join(map(str, found))}")
    table: pa.Table = pq.read_table(path, partitioning=None)
    rows = hashlib.blake2b(repr(table.to_pydict()).encode(), digest_size=16).hexdigest()
    facts = {"identity": metadata.get("identity"), "rows": rows}
    return Item("measurements", file, facts, metadata=metadata)


def cell_of(file: str) -> Cell:
    """Return the cell of a shard by its path below the results folder.

    Raises
    ------
    ValueError
        if it is no path of a shard.
    """
    parts = Path(file).with_suffix("").parts[1:]
    if len(parts) not in (4, 5):
        raise ValueError(f"{file}: is no place of a shard")
    cell = Cell(*parts)
    if Paths(".").shard(cell) != f"./{file}":
        raise ValueError(f"{file}: is no place of a shard")
    return cell
