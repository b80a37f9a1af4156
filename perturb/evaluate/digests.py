"""Digests of what is asked for: the part of an identity that is known before any file is there."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def asked_digest(asked: Mapping[str, Any]) -> str:
    """Return the digest of what the configuration says of a result, in hexadecimal."""
    return digest_of(ordered(asked))


def ordered(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is asked for, whatever the order in which the configuration lists conditions."""
    return {**asked, "conditions": sorted(asked.get("conditions", ()))}


def digest_of(facts: Any) -> str:
    """Return the digest of facts that JSON can hold, in hexadecimal."""
    text = json.dumps(facts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
