"""What a result's numbers depend on, as one digest that stands in its file.

Two evaluations of one identity give the same predictions. Labels, titles, other models, other
severities, the order of the configuration, the results folder and file times are no part of it.
Neither are the batch size, the device and compilation: numbers differ by them in the last digits
alone. Versions of packages are none either: `protocol` says when the code's numbers changed, and
each shard names the versions it was made with.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from perturb.files import sha256_of

# What finds the files, whose content is what the numbers depend on.
_PLACES = ("stores", "class_map")


def asked_digest(asked: Mapping[str, Any]) -> str:
    """Return the digest of what is known of an identity before any file is there."""
    return _digest(_ordered(asked))


def identity_of(
    asked: Mapping[str, Any], stores: Iterable[tuple[str, str]], cards: Iterable[Path]
) -> str:
    """Return the identity of a cell or a measurement, in hexadecimal.

    Parameters
    ----------
    asked : what the configuration says of it, as `perturb.plan.params` returns it.
    stores : images and manifest of each decoded dataset that it reads, in the order of its
        conditions.
    cards : of the checkpoints that take part.
    """
    class_map = asked.get("class_map")
    return _digest(
        {
            "asked": {key: value for key, value in _ordered(asked).items() if key not in _PLACES},
            "datasets": [dataset_facts(Path(images), Path(rows)) for images, rows in stores],
            "models": [_model_facts(card) for card in cards],
            "class_map": sha256_of(Path(class_map)) if class_map else None,
        }
    )


def _ordered(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is asked for, whatever the order in which the configuration lists conditions."""
    return {**asked, "conditions": sorted(asked.get("conditions", ()))}


def _digest(facts: Any) -> str:
    text = json.dumps(facts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@cache
def dataset_facts(images: Path, manifest: Path) -> tuple[str, int]:
    """Return what a decoded dataset holds: its manifest's SHA-256 and the size of its pixels."""
    return sha256_of(manifest), images.stat().st_size


@cache
def _model_facts(card: Path) -> dict[str, Any]:
    """Return what a model's predictions depend on: its weights, network and preprocessing.

    The SHA-256 is held against the weights when they are loaded.
    """
    facts = json.loads(card.read_text())
    names = ("weights_sha256", "preprocessing", "timm", "family", "arguments", "num_classes")
    return {name: facts.get(name) for name in names}
