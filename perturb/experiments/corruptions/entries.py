"""The entries `corruptions` and `stored_corruptions` of a configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from perturb.experiments.corruptions.names import (
    BENCHMARK_CORRUPTIONS,
    CORRUPTIONS,
    JPEG_QUALITY,
    JPEG_SUFFIX,
)
from perturb.messages import did_you_mean, listed, refuse
from perturb.records import PerturbationEntry


def with_corruptions(
    record: PerturbationEntry, entry: Mapping[str, Any], datasets: Mapping[str, Any]
) -> PerturbationEntry:
    """Return the entry with its corruptions; its id depends on the JPEG pass."""
    is_generated = all("source" not in datasets[dataset] for dataset in record.datasets)
    with_jpeg = entry.get("jpeg", not is_generated)
    return replace(
        record,
        id=f"corruptions{JPEG_SUFFIX}" if with_jpeg else "corruptions",
        conditions=_chosen(record.key, entry.get("corruptions", CORRUPTIONS)),
        options={"jpeg_quality": JPEG_QUALITY} if with_jpeg else {},
        denominators=record.options["denominators"],
    )


def with_stored_corruptions(
    record: PerturbationEntry, entry: Mapping[str, Any], _: Mapping[str, Any]
) -> PerturbationEntry:
    """Return the entry with the stored corruptions, by default the benchmark's."""
    return replace(
        record,
        conditions=_chosen(record.key, entry.get("corruptions", BENCHMARK_CORRUPTIONS)),
        options={},
        denominators=record.options["denominators"],
    )


def _chosen(key: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the corruptions in the benchmark's order, whatever their order in the file."""
    known = listed(CORRUPTIONS)
    unknown = [
        f"perturbations.{key}.corruptions.{position}: {name!r} is not one of {known}."
        f"{did_you_mean(name, CORRUPTIONS)}"
        for position, name in enumerate(names)
        if name not in CORRUPTIONS
    ]
    refuse(unknown)
    return tuple(name for name in CORRUPTIONS if name in names)
