"""Shards: one Parquet file per cell, one row per image, condition and sample, one fixed schema.

A shard is the only output of an evaluation, and every number is a query over shards. The writer
leaves a complete file or none. The reader refuses, with the path in the message, a shard that is
truncated, belongs to another cell, has other weights or another protocol, does not hold each image
exactly once per condition and sample, or was changed after it was written. `docs/shards.md`
describes columns and metadata.

Encodings keep 50,000 rows of an ImageNet evaluation below 700 kB with exact float32 columns: the
levels of zstd from 16 on compress image ids to 105 kB, those below to 154 kB.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perturb.evaluation.cell import Cell
from perturb.evaluation.content_digest import content_digest
from perturb.files import replacing
from perturb.parquet import read_parquet

NAMES = pa.dictionary(pa.int16(), pa.string())
SCHEMA = pa.schema(
    [
        ("model", NAMES),
        ("dataset", NAMES),
        ("perturbation", NAMES),
        ("severity", pa.float64()),
        ("condition", NAMES),
        ("sample", pa.int16()),
        ("image_id", pa.string()),
        ("target", pa.int16()),
        ("prediction", pa.int16()),
        ("is_correct", pa.bool_()),
        ("is_top5", pa.bool_()),
        ("target_probability", pa.float32()),
        ("loss", pa.float32()),
        ("confidence", pa.float32()),
        # Columns of some perturbations, null elsewhere.
        ("distance", pa.float32()),  # L-infinity distance to the clean image, units of [0, 1]
        ("gradient_norm", pa.float32()),  # of the loss at the clean image, L-infinity
        ("rotation_deg", pa.float32()),
        ("translation_x_px", pa.int16()),
        ("translation_y_px", pa.int16()),
        ("removed", NAMES),  # which parts of the model
        ("flops_kept", pa.float32()),  # fraction of the unchanged model's forward pass
    ]
)
METADATA_KEY = b"perturb"
DIGEST_KEY = b"perturb_digest"

_DICTIONARY = ["model", "dataset", "perturbation", "condition", "removed"]
_SPLIT = ["target", "prediction", "target_probability", "loss", "confidence"]
_ENCODINGS = {"image_id": "DELTA_LENGTH_BYTE_ARRAY", **dict.fromkeys(_SPLIT, "BYTE_STREAM_SPLIT")}
_DELETE = "delete the folder `shards` of its study, and the next run makes its shards again"


@dataclass(frozen=True)
class Expected:
    """The cell of a shard and its expected inputs.

    samples : sample numbers of each condition.
    image_ids : images that the cell is evaluated on.
    weights_sha256 : weights of the evaluated model.
    identity, identities : of the cell and of each condition, as in the metadata.
    options : options of the perturbation.
    source_sha256 : weights of the model that adversarial images were made against, if another.
    """

    cell: Cell
    samples: Mapping[str, tuple[int, ...]]
    image_ids: pa.StringArray
    protocol: int
    seed: int
    weights_sha256: str
    identity: str
    identities: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    source_sha256: str | None = None


def write_shard(path: Path, table: pa.Table, metadata: Mapping[str, Any]) -> None:
    """Write a shard under a temporary name, then rename it: a killed job leaves no shard.

    Parameters
    ----------
    metadata : how the rows were made, `identity` of the cell among it; written as JSON.
    """
    table, facts = table.cast(SCHEMA), json.dumps(metadata)
    digest = content_digest(table, facts)
    table = table.replace_schema_metadata({METADATA_KEY: facts, DIGEST_KEY: digest})
    with replacing(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=16,
            use_dictionary=_DICTIONARY,
            column_encoding=_ENCODINGS,
            data_page_size=8 << 20,  # each page is compressed by itself
            write_page_checksum=True,
        )


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a shard.

    Raises
    ------
    ValueError
        if the file is no whole Parquet file, or was not written by `write_shard`.
    """
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: not a whole Parquet file ({error})") from error
    if METADATA_KEY not in (schema.metadata or {}):
        raise ValueError(f"{path}: not a shard: it has no {METADATA_KEY.decode()!r} metadata")
    metadata: dict[str, Any] = json.loads(schema.metadata[METADATA_KEY])
    return metadata


def verify_shard(path: Path, expected: Expected) -> dict[str, Any]:
    """Return the metadata of a shard after checking metadata, rows and digest.

    Raises
    ------
    ValueError
        naming the shard, what was expected and what was found.
    """
    metadata = read_metadata(path)
    table = _read_rows(path)
    if not metadata.get("identity"):
        raise ValueError(f"{path}: has no identity of its cell; {_DELETE}")
    cell = expected.cell
    claims = {
        "model": cell.model,
        "dataset": cell.dataset,
        "perturbation": cell.perturbation,
        "severity": cell.severity_value,
        "protocol": expected.protocol,
        "seed": expected.seed,
        "weights_sha256": expected.weights_sha256,
        "options": dict(expected.options),
        "source_sha256": expected.source_sha256,
    }
    for key, value in claims.items():
        if metadata.get(key) != value:
            raise ValueError(f"{path}: {key} is {metadata.get(key)!r}, expected {value!r}")
    _verify_identity(path, metadata, expected)
    _verify_rows(path, table, expected)
    _verify_digest(path, table)
    return metadata


def read_whole(path: Path) -> dict[str, Any]:
    """Return the metadata of a shard of any cell, after checking the digest of its content.

    Raises
    ------
    ValueError
        if the file is not whole, not a shard, or was changed after it was written.
    """
    return read_shard(path)[1]


def read_shard(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Return rows and metadata of a shard; errors as of `read_whole`."""
    metadata, table = read_metadata(path), _read_rows(path)
    _verify_digest(path, table)
    return table, metadata


def _read_rows(path: Path) -> pa.Table:
    try:
        table = read_parquet(path, verified=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: not a whole Parquet file ({error})") from error
    if not table.schema.equals(SCHEMA):
        raise ValueError(f"{path}: {_other_columns(table.schema)}; {_DELETE}")
    return table


def _other_columns(schema: pa.Schema) -> str:
    """Return the difference between a schema and that of shards."""
    missing = [name for name in SCHEMA.names if name not in schema.names]
    if missing:
        return f"has no column {', '.join(missing)}"
    return f"columns are {schema.names} of types {list(map(str, schema.types))}, not of this schema"


def _verify_identity(path: Path, metadata: Mapping[str, Any], expected: Expected) -> None:
    found, wanted = metadata.get("identities", {}), expected.identities
    names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    if names:
        raise ValueError(
            f"{path}: was made of other images, weights or settings than the study's (condition "
            f"{', '.join(names)})"
        )
    if metadata["identity"] != expected.identity:
        raise ValueError(f"{path}: identity does not follow from those of its conditions")


def _verify_rows(path: Path, table: pa.Table, expected: Expected) -> None:
    cell = expected.cell
    identity = (cell.model, cell.dataset, cell.perturbation, cell.severity_value)
    for name, value in zip(("model", "dataset", "perturbation", "severity"), identity, strict=True):
        found = table[name].unique().to_pylist()
        if found != [value]:
            raise ValueError(f"{path}: rows of {name} {found}, expected {[value]}")
    num_samples = sum(map(len, expected.samples.values()))
    num_rows = len(expected.image_ids) * num_samples
    if table.num_rows != num_rows:
        raise ValueError(
            f"{path}: {table.num_rows} rows, expected {num_rows} ({len(expected.image_ids)} "
            f"images x {num_samples} samples of {len(expected.samples)} conditions)"
        )
    _verify_conditions(path, table, expected)
    if not pc.all(pc.equal(table["is_correct"], _is_correct(table))).as_py():
        raise ValueError(f"{path}: `is_correct` does not follow from prediction and target")


def _verify_digest(path: Path, table: pa.Table) -> None:
    kept = table.schema.metadata
    if DIGEST_KEY not in kept:
        raise ValueError(f"{path}: has no digest of its content: another program wrote it")
    if content_digest(table, kept[METADATA_KEY].decode()) != kept[DIGEST_KEY].decode():
        raise ValueError(
            f"{path}: was changed after it was written: its content has another digest"
        )


def _verify_conditions(path: Path, table: pa.Table, expected: Expected) -> None:
    # As jobs write them; sorting the rows of each sample would take three times as long as reading.
    if _is_in_blocks(table, expected):
        return
    wanted = expected.image_ids.take(pc.sort_indices(expected.image_ids))
    groups = table.select(["condition", "sample", "image_id"]).set_column(
        0, "condition", table["condition"].cast(pa.string())
    )
    for condition, samples in expected.samples.items():
        of_condition = groups.filter(pc.equal(groups["condition"], condition))
        for sample in samples:
            rows = of_condition.filter(pc.equal(of_condition["sample"], sample))
            found = rows["image_id"].combine_chunks()
            if not found.take(pc.sort_indices(found)).equals(wanted):
                raise ValueError(
                    f"{path}: sample {sample} of condition {condition!r} does not hold each image "
                    f"of {expected.cell.dataset!r} in the cell exactly once"
                )


def _is_in_blocks(table: pa.Table, expected: Expected) -> bool:
    """Return whether each sample of each condition is one block of the images in their order."""
    image_ids = expected.image_ids
    wanted = [(name, sample) for name, found in expected.samples.items() for sample in found]
    shape = (len(wanted), len(image_ids))
    condition, sample, ids = (
        table[name].combine_chunks() for name in ("condition", "sample", "image_id")
    )
    if 0 in shape or condition.null_count or sample.null_count:
        return False
    codes = condition.indices.to_numpy().reshape(shape)
    numbers = sample.to_numpy().reshape(shape)
    names = condition.dictionary.take(pa.array(codes[:, 0])).to_pylist()
    return (
        bool((codes == codes[:, :1]).all() and (numbers == numbers[:, :1]).all())
        and sorted(zip(names, numbers[:, 0].tolist(), strict=True)) == sorted(wanted)
        and all(
            ids.slice(first, len(image_ids)).equals(image_ids)
            for first in range(0, len(ids), len(image_ids))
        )
    )


def _is_correct(table: pa.Table) -> pa.ChunkedArray:
    return pc.equal(table["prediction"], table["target"])
