"""Digests of the configured inputs of a result: the part of an identity that needs no file."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def asked_digest(asked: Mapping[str, Any]) -> str:
    """Return the digest of the configured inputs of a result, in hexadecimal."""
    return digest_of(ordered(asked))


def ordered(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configured inputs with their conditions in a fixed order."""
    return {**asked, "conditions": sorted(asked.get("conditions", ()))}


def digest_of(facts: Any) -> str:
    """Return the digest of JSON-compatible facts, in hexadecimal."""
    text = json.dumps(facts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
