"""Pictures for the page: perturbed images, and images on which the models' answers differ."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perturb.page.images import data_uri

# Each has a description in JSON and a sprite, a picture of all its tiles.
_PARTS = ("gallery", "disagreements")


@dataclass(frozen=True)
class Part:
    """The description of some tiles, and their sprite."""

    facts: Mapping[str, Any]
    sprite: str  # data: URI


@dataclass(frozen=True)
class Examples:
    """Pictures of the study; None where it has none."""

    gallery: Part | None = None
    disagreements: Part | None = None

    @property
    def given(self) -> dict[str, Part]:
        """Return the parts that there are, by name."""
        both = {"gallery": self.gallery, "disagreements": self.disagreements}
        return {name: part for name, part in both.items() if part is not None}


def read_examples(files: Mapping[str, Path] | None) -> Examples:
    """Return the pictures of a study.

    Parameters
    ----------
    files : by name: gallery.json, gallery.webp, disagreements.json, disagreements.webp; None and
        missing names for a study without pictures.

    Raises
    ------
    ValueError
        if a description has no sprite, or a sprite no description.
    """
    given = files or {}
    return Examples(**{name: _part(name, given) for name in _PARTS})


def _part(name: str, files: Mapping[str, Path]) -> Part | None:
    names = (f"{name}.json", f"{name}.webp")
    there = [file for file in names if file in files]
    if not there:
        return None
    if len(there) == 1:
        raise ValueError(f"examples: there is {there[0]} alone; needed: {' and '.join(names)}")
    facts, sprite = (Path(files[file]) for file in names)
    described = json.loads(facts.read_text(encoding="utf-8"))
    return Part(described, data_uri("image/webp", sprite.read_bytes()))
