"""What a cell's numbers depend on, as one digest that stands in its shard.

Two evaluations with one identity give the same numbers on one device. Labels, other models, other
cells and the order of the configuration are no part of it. Versions of packages are none either:
`protocol` says when the code's numbers changed, and each shard names the versions it was made with.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from perturb.files import sha256_of


def cell_identity(
    asked: Mapping[str, Any], stores: Iterable[tuple[str, str]], cards: Iterable[Path]
) -> str:
    """Return the identity of a cell, in hexadecimal.

    Parameters
    ----------
    asked : what the configuration says of it, as `perturb.plan.params` returns it.
    stores : images and manifest of each image store that it reads, in the order of its conditions.
    cards : of the checkpoints that take part. A card holds the SHA-256 of its weights, which are
        held against it when they are loaded, and how images are prepared for them.
    """
    class_map = asked.get("class_map")
    facts = {
        "asked": dict(asked),
        "stores": [_store_facts(Path(images), Path(manifest)) for images, manifest in stores],
        "cards": [sha256_of(card) for card in cards],
        "class_map": sha256_of(Path(class_map)) if class_map else None,
    }
    text = json.dumps(facts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@cache
def _store_facts(images: Path, manifest: Path) -> tuple[str, int, int]:
    """Return what a store is: a digest of all pixels would take longer than many a cell."""
    pixels = images.stat()
    return sha256_of(manifest), pixels.st_size, pixels.st_mtime_ns
