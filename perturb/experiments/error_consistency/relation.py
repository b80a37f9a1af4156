"""The relation `error_kappas`: kappas of pairs, and their means within and between families."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from perturb.experiments.error_consistency.kappa import Consistency, Values, consistencies

Fetch = Callable[[str], pa.Table]

_WORD = 60  # deciders in a word of bits
_SCHEMA = pa.schema(
    [
        ("test_set", pa.string()),
        # A pair, or a mean over the pairs of two families, or over those of a model and people.
        ("kind", pa.string()),
        ("one", pa.string()),
        ("other", pa.string()),
        ("num_pairs", pa.int64()),
        ("num_images", pa.int64()),
        ("num_conditions", pa.int64()),
        ("kappa", pa.float64()),
        ("least", pa.float64()),
        ("most", pa.float64()),
        ("observed", pa.float64()),
        ("expected", pa.float64()),
        ("reach", pa.float64()),
        # Sums over images of the second and fourth powers of what they add to kappa.
        ("d2", pa.float64()),
        ("d4", pa.float64()),
    ]
)
_MEANS = ("kappa", "least", "most", "observed", "expected", "reach")
_DECIDERS = """
    SELECT d.decider, CASE WHEN d.is_human THEN 'human' ELSE m.family END AS family, m.entry
    FROM deciders AS d LEFT JOIN benchmark_models AS m ON m.model = d.decider AND NOT d.is_human
    ORDER BY d.place
"""


@dataclass
class _Sum:
    """The sum over some pairs, for their mean."""

    num_pairs: int = 0
    num_conditions: int = 0
    values: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_MEANS, 0.0))
    influence: Values | float = 0.0

    def add(self, found: Consistency, place: int) -> None:
        """Add a pair."""
        self.num_pairs += 1
        self.num_conditions = max(self.num_conditions, int(found.num_conditions[place]))
        for name in _MEANS:
            self.values[name] += float(getattr(found, name)[place])
        self.influence = self.influence + found.influence[:, place]

    def row(self) -> dict[str, Any]:
        """Return the mean."""
        influence = np.asarray(self.influence) / self.num_pairs
        return {
            "num_pairs": self.num_pairs,
            "num_conditions": self.num_conditions,
            "num_images": len(influence),
            **{name: value / self.num_pairs for name, value in self.values.items()},
            **{f"d{power}": float((influence**power).sum()) for power in (2, 4)},
        }


@dataclass(frozen=True)
class _Word:
    """Images, condition by condition, and as bits which deciders of a word decided, and rightly."""

    images: Values
    present: Values
    right: Values

    def is_whole(self, images: Values, num_conditions: int) -> bool:
        """Return whether all conditions and deciders have the same images, and these ones."""
        if not np.array_equal(self.images, images) or len(images) % num_conditions:
            return False
        by_condition = images.reshape(num_conditions, -1)
        return bool(
            (by_condition == by_condition[0]).all() and (self.present == self.present[0]).all()
        )


def error_kappas(fetch: Fetch, _: Mapping[str, float | None]) -> pa.Table:
    """Return the relation, of all test sets on which all models see the same images.

    Parameters
    ----------
    fetch : runs a query over the relations of the table.

    Raises
    ------
    ValueError
        if a model lacks images that others have.
    """
    test_sets = fetch("SELECT DISTINCT test_set FROM consistency_words ORDER BY test_set")
    deciders = fetch(_DECIDERS).to_pylist()
    rows = [
        {"test_set": test_set, **row}
        for test_set in test_sets["test_set"].to_pylist()
        for row in _rows(*_outcomes(fetch, test_set, deciders))
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _rows(is_right: Values, deciders: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    means: dict[tuple[str, str, str], _Sum] = {}
    for place, found in enumerate(consistencies(is_right)):
        one = deciders[place]
        for at, other in enumerate(deciders[place + 1 :]):
            if not found.num_conditions[at]:
                continue
            pair = _Sum()
            pair.add(found, at)
            names = {"one": one["decider"], "other": other["decider"]}
            yield {"kind": "pair", **names, **pair.row()}
            for key in _groups(one, other):
                means.setdefault(key, _Sum()).add(found, at)
    for (kind, group, other_group), total in means.items():
        yield {"kind": kind, "one": group, "other": other_group, **total.row()}


def _groups(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the means that a pair belongs to. Runs of one training are no pair of two models."""
    if one["entry"] is None or one["entry"] != other["entry"]:
        first, second = sorted([one["family"], other["family"]])
        yield "families", first, second
    # People come last, so a pair of a model and a person has the model first.
    if other["family"] == "human" and one["family"] != "human":
        yield "people", one["decider"], "human"


def _outcomes(
    fetch: Fetch, test_set: str, deciders: Sequence[Mapping[str, Any]]
) -> tuple[Values, list[Mapping[str, Any]]]:
    """Return who is right on each image, bool (conditions, images, deciders), and the deciders."""
    conditions = fetch(
        f"SELECT DISTINCT condition, severity FROM consistency_words WHERE test_set = '{test_set}'"
    )
    words = [_word(fetch, test_set, place) for place in range(math.ceil(len(deciders) / _WORD))]
    images = next(word.images for word in words if len(word.images))
    columns: list[Values] = []
    kept: list[Mapping[str, Any]] = []
    for place, word in enumerate(words):
        if len(word.images) and not word.is_whole(images, conditions.num_rows):
            raise ValueError(f"test set {test_set}: a model lacks images that others have")
        for bit, decider in enumerate(deciders[place * _WORD : (place + 1) * _WORD]):
            if len(word.images) and word.present[0] >> bit & 1:
                kept.append(decider)
                columns.append(word.right >> bit & 1 == 1)
    return np.stack(columns, axis=1).reshape(conditions.num_rows, -1, len(kept)), kept


def _word(fetch: Fetch, test_set: str, word: int) -> _Word:
    rows = fetch(
        "SELECT image, present, right_ones FROM consistency_words "
        f"WHERE test_set = '{test_set}' AND word = {word} ORDER BY condition, severity, image"
    )
    return _Word(*(rows[name].to_numpy() for name in ("image", "present", "right_ones")))
