"""Sentences about the claims, made from the table of claims.

No number is computed here: a sentence states a row of the table and its verdict.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perturb.experiments import registry
from perturb.formatting import formatted

Row = Mapping[str, Any]

VERDICTS = {
    "supported": "Supported",
    "contradicted": "Contradicted",
    "mixed": "Mixed",
    "undecided": "Undecided",
    "not testable": "Not testable here",
}


@dataclass(frozen=True)
class Finding:
    """One part of a claim on one test set."""

    verdict: str
    sentence: str
    paper: str


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, its verdict, and the findings behind it."""

    id: str
    statement: str
    verdict: str
    findings: list[Finding]


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Return the claims in their order, from the rows of the table `claims`."""
    found = []
    for id in dict.fromkeys(row["claim"] for row in rows):
        parts = [row for row in rows if row["claim"] == id]
        found.append(
            Claim(
                id=id,
                statement=parts[0]["statement"],
                verdict=parts[0]["claim_verdict"],
                findings=[Finding(row["verdict"], sentence(row), row["paper"]) for row in parts],
            )
        )
    return found


def sentence(row: Row) -> str:
    """Return the sentence of a row of the table `claims`."""
    where = row["test_set_label"]
    if row["verdict"] == "not testable":
        return f"{where}: not testable; {row['reason']}."
    interval = f"95 % interval {_text(row, 'estimate_low')} to {_text(row, 'estimate_high')}"
    return f"{where}: {_SENTENCES[row['kind']](row)} ({interval}; {_size(row)})."


def summary(found: Sequence[Claim]) -> str:
    """Return a sentence with the number of claims per verdict."""
    counts = {verdict: sum(claim.verdict == verdict for claim in found) for verdict in VERDICTS}
    parts = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    return f"Of {len(found)} claims of the paper: {', '.join(parts)}."


def _rank_correlation(row: Row) -> str:
    return (
        f"over {row['num_models']} models, the rank correlation of clean and perturbed accuracy "
        f"is {_text(row, 'estimate')}"
    )


def _mean_pair(row: Row) -> str:
    among = _LEVELS.get(row.get("level"), "")
    return f"ViTs are {_difference(row)} accurate than ResNets of matched size{among}"


def _small_patch_pair(row: Row) -> str:
    return f"ViTs with small patches are {_difference(row)} accurate than ResNets of matched size"


def _mean_patch_pair(row: Row) -> str:
    others = "ViTs of the same size and pre-training set with small ones"
    declared = registry.test_sets().get(row["test_set"])
    if declared is not None and declared.measure is not None:
        size = _points(row)
        direction = "higher" if row["estimate"] > 0 else "lower"
        return (
            f"the {declared.measure} of ViTs with large patches is {size} {direction} than that of "
            f"{others}"
        )
    return f"ViTs with large patches are {_difference(row)} accurate than {others}"


def _family_mean(row: Row) -> str:
    return (
        "perturbations of ViTs change, in energy, "
        f"{formatted(row['estimate'], 'ratio')} times as much across the borders of the model's "
        "own patches as inside them"
    )


def _family_difference(row: Row) -> str:
    direction = "larger" if row["estimate"] > 0 else "smaller"
    size = formatted(abs(row["estimate"]), "ratio")
    return (
        f"the ratio of energy on patch borders to that inside patches is {size} {direction} for "
        "ViTs than for ResNets, measured on the same grids"
    )


def _accuracy_slope(row: Row) -> str:
    return (
        f"a ViT with ten times the parameters is {_difference(row)} accurate, along a straight "
        f"line through {row['num_models']} models"
    )


def _slope_difference(row: Row) -> str:
    steeper = "steeper" if row["estimate"] < 0 else "shallower"
    size = formatted(abs(row["estimate"]), "number")
    return f"the ViTs' slope of log error over log size is {size} {steeper} than the ResNets'"


def _layer_rise(row: Row) -> str:
    direction = "larger" if row["estimate"] > 0 else "smaller"
    size = formatted(abs(row["estimate"]), "number")
    return (
        f"the correlation of two layers of a ViT is {size} {direction} on average among the last "
        "third of its layers than among the first third"
    )


def _worst_lesion(row: Row) -> str:
    return (
        f"of the blocks of {row['num_models']} ViTs, the first apart, none costs more than "
        f"{_points(row)} of accuracy when it alone is removed"
    )


def _comparison(row: Row) -> str:
    """Return the sentence that an experiment declares for one of its comparisons."""
    phrases = {
        name: phrase
        for experiment in registry.experiments().values()
        for name, phrase in experiment.phrases.items()
    }
    return phrases[row["name"]].format(difference=_difference(row))


_SENTENCES: Mapping[str, Callable[[Row], str]] = {
    "rank_correlation": _rank_correlation,
    "mean_pair": _mean_pair,
    "accuracy_slope": _accuracy_slope,
    "slope_difference": _slope_difference,
    "small_patch_pair": _small_patch_pair,
    "mean_patch_pair": _mean_patch_pair,
    "family_mean": _family_mean,
    "family_difference": _family_difference,
    "layer_rise": _layer_rise,
    "worst_lesion": _worst_lesion,
    "lesion_pair": _comparison,
    "condition_difference": _comparison,
}
# Claims about one end of the pre-training sets say which end.
_LEVELS: Mapping[str | None, str] = {
    "largest": " at the largest pre-training set",
    "smallest": " at the smallest pre-training set",
}


def _difference(row: Row) -> str:
    return f"{_points(row)} {'more' if row['estimate'] > 0 else 'less'}"


def _points(row: Row) -> str:
    size = formatted(abs(row["estimate"]), "points").lstrip("+")
    return f"{size} percentage points"


def _text(row: Row, column: str) -> str:
    return formatted(row[column], row["unit"])


def _size(row: Row) -> str:
    return f"{formatted(row['num_images'], 'count')} images"
