"""What the study found, in sentences made from the table of claims.

No number is computed here: a sentence says what a row of the table says, verdict included.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perturb.tables.display import formatted

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
    """A claim of the paper, its verdict, and the findings that the verdict comes from."""

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
    """Return what a row of the table `claims` says."""
    where = row["test_set_label"]
    if row["verdict"] == "not testable":
        return f"{where}: not testable; {row['reason']}."
    interval = f"95 % interval {_text(row, 'estimate_low')} to {_text(row, 'estimate_high')}"
    return f"{where}: {_SENTENCES[row['kind']](row)} ({interval}; {_size(row)})."


def summary(found: Sequence[Claim]) -> str:
    """Return how many claims met which verdict, in one sentence."""
    counts = {verdict: sum(claim.verdict == verdict for claim in found) for verdict in VERDICTS}
    parts = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    return f"Of {len(found)} claims of the paper that are tested here: {', '.join(parts)}."


def _rank_correlation(row: Row) -> str:
    return (
        f"over {row['num_models']} models, the rank correlation of clean and perturbed accuracy "
        f"is {_text(row, 'estimate')}"
    )


def _mean_pair(row: Row) -> str:
    return f"ViTs are {_difference(row)} accurate than ResNets of matched size"


def _accuracy_slope(row: Row) -> str:
    return (
        f"a ViT with ten times the parameters is {_difference(row)} accurate, along a straight "
        f"line through {row['num_models']} models"
    )


def _slope_difference(row: Row) -> str:
    steeper = "steeper" if row["estimate"] < 0 else "shallower"
    size = formatted(abs(row["estimate"]), "number")
    return f"the ViTs' slope of log error over log size is {size} {steeper} than the ResNets'"


_SENTENCES: Mapping[str, Callable[[Row], str]] = {
    "rank_correlation": _rank_correlation,
    "mean_pair": _mean_pair,
    "accuracy_slope": _accuracy_slope,
    "slope_difference": _slope_difference,
}


def _difference(row: Row) -> str:
    size = formatted(abs(row["estimate"]), "points").lstrip("+")
    return f"{size} percentage points {'more' if row['estimate'] > 0 else 'less'}"


def _text(row: Row, column: str) -> str:
    return formatted(row[column], row["unit"])


def _size(row: Row) -> str:
    return f"{formatted(row['num_images'], 'count')} images"
