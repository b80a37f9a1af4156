"""Sentences about the claims, made from the table of claims.

No number is computed here: a sentence states a row of the table and its verdict.
"""

from collections.abc import Mapping, Sequence
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
    """One part of a claim on one test set.

    statistic : what is measured.
    effect, interval : of a testable part, the statistic's value and its 95 % interval.
    level : at which its verdict holds, empty without a verdict to one side.
    """

    verdict: str
    where: str
    statistic: str
    effect: str
    interval: str
    level: str
    sentence: str
    paper: str


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, its verdict, at which level it holds, and the findings behind it."""

    id: str
    statement: str
    verdict: str
    level: str  # empty without a verdict to one side
    findings: list[Finding]


def claims(rows: Sequence[Row], chosen_by: str | None = None) -> list[Claim]:
    """Return the claims in their order, from the rows of the table `claims`.

    chosen_by : the networks whose mistakes chose the natural adversarial images, if known.
    """
    found = []
    for id in dict.fromkeys(row["claim"] for row in rows):
        parts = [row for row in rows if row["claim"] == id]
        found.append(
            Claim(
                id=id,
                statement=parts[0]["statement"],
                verdict=parts[0]["claim_verdict"],
                level=_LEVELS_OF_CLAIMS.get(parts[0]["claim_holds_at"], ""),
                findings=[_finding(row, chosen_by) for row in parts],
            )
        )
    return found


def _finding(row: Row, chosen_by: str | None) -> Finding:
    effect, interval = ("", "") if row["verdict"] == "not testable" else _effect(row)
    return Finding(
        verdict=row["verdict"],
        where=row["test_set_label"],
        statistic=row["statistic"],
        effect=effect,
        interval=interval,
        level=_LEVELS_OF_ROWS.get(row.get("holds_at"), ""),
        sentence=sentence(row, chosen_by),
        paper=row["paper"],
    )


def _effect(row: Row) -> tuple[str, str]:
    """Return a statistic's value with its unit, and the ends of its interval."""
    unit = " points" if row["unit"] == "points" else ""
    low, high = _text(row, "estimate_low"), _text(row, "estimate_high")
    return f"{_text(row, 'estimate')}{unit}", "" if row[
        "estimate_low"
    ] is None else f"{low}, {high}"


def testable(found: Sequence[Claim]) -> list[Claim]:
    """Return the claims of which at least one part is tested."""
    return [claim for claim in found if claim.verdict != "not testable"]


def untested(found: Sequence[Claim]) -> str:
    """Return the line in place of the claims that are not tested; nothing if all are."""
    count = len(found) - len(testable(found))
    if not count:
        return ""
    which = (
        "The paper's claim" if len(found) == 1 else f"{count} of the paper's {len(found)} claims"
    )
    if count == len(found) > 1:
        which = f"None of the paper's {count} claims is tested here: they"
        return f"{which} need models or experiments that this study does not have"
    needs, are = ("needs", "it is") if count == 1 else ("need", "they are")
    return f"{which} {needs} models or experiments that this study does not have: {are} not tested"


def sentence(row: Row, chosen_by: str | None = None) -> str:
    """Return the sentence of a row of the table `claims`."""
    where = row["test_set_label"]
    if row["verdict"] == "not testable":
        return f"{where}: not testable; {row['reason']}."
    interval = f"95 % interval {_text(row, 'estimate_low')} to {_text(row, 'estimate_high')}"
    found = _template(row).format(**_words(row))
    images = f"{formatted(row['num_images'], 'count')} images"
    return f"{where}: {found} ({interval}; {images}).{_remarks(row, chosen_by)}"


def summary(found: Sequence[Claim]) -> str:
    """Return sentences with the number of claims per verdict, and how many are sure together.

    An empty text if none of them is tested.
    """
    counts = {verdict: sum(claim.verdict == verdict for claim in found) for verdict in VERDICTS}
    parts = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    if not testable(found):
        return ""
    text = f"Of {len(found)} claims of the paper: {', '.join(parts)}."
    decided = [claim for claim in found if claim.level]
    together = sum(claim.level == _LEVELS_OF_CLAIMS["all claims together"] for claim in decided)
    if not decided:
        return text
    return (
        f"{text} With all claims counted together (Holm), {together} of the {len(decided)} decided "
        "verdicts hold."
    )


# What a claim's verdict is worth, in words.
_LEVELS_OF_CLAIMS: Mapping[str | None, str] = {
    "all claims together": "Also with all claims counted together",
    "this row alone": "For its rows alone, not with all claims counted together",
}
_LEVELS_OF_ROWS: Mapping[str | None, str] = {
    "all claims together": "with all claims counted together",
    "this row alone": "for this row alone",
}
# The choice of images sets back one family more than the other.
_BETWEEN_FAMILIES = ("mean_pair", "slope_difference")
_CHOSEN = (
    " Natural adversarial images are chosen by the mistakes of {}: models like these are at a "
    "disadvantage."
)
_LAST_BLOCK = (
    " One block does not count: a class token, where there is one, reads nothing of what patches "
    "exchange in the last one, so that n last blocks restrict one block less than n first ones."
)


def _remarks(row: Row, chosen_by: str | None) -> str:
    """Return the sentences after that of a row: how sure it is, and what its number hides."""
    is_mixed = row["verdict"] == "mixed"
    # Those of the mean say nothing of components that disagree.
    tests = ("p_disagreement", "p_disagreement_all") if is_mixed else ("p_value", "p_holm")
    alone, together = (_probability(row.get(name)) for name in tests)
    remarks = ""
    if is_mixed:
        unit = " (percentage points)" if row["unit"] == "points" else ""
        remarks += f" The mean hides differences that disagree{unit}: {row['disagreeing']}."
    if row.get("holds_at") == "all claims together":
        holds = "they do so" if is_mixed else "it holds"
        remarks += f" With all claims counted together {holds}, too (p {together})."
    elif row.get("holds_at") == "this row alone":
        holds = "They do so" if is_mixed else "This holds"
        remarks += (
            f" {holds} for the row alone (p {alone}), not with all claims counted together "
            f"(p {together})."
        )
    if row["test_set"] == "natural_adversarial" and row["kind"] in _BETWEEN_FAMILIES:
        remarks += _CHOSEN.format(chosen_by or "other networks")
    if row["test_set"] == "patch_attention":
        remarks += _LAST_BLOCK
    return remarks


def _probability(value: float | None) -> str:
    text = formatted(value, "probability")
    return text if text.startswith("<") else f"= {text}"


# By the kind of a statistic; `_words` fills the placeholders. Other kinds compare conditions of one
# experiment, which declares the sentence (`Experiment.phrases`).
_SENTENCES: Mapping[str, str] = {
    "rank_correlation": "over {num_models} models, the rank correlation of clean and perturbed "
    "accuracy is {estimate}",
    "mean_pair": "ViTs are {difference} accurate than ResNets of matched size{among}",
    "accuracy_slope": "a ViT with ten times the parameters is {difference} accurate, along a "
    "straight line through {num_models} models",
    "slope_difference": "the ViTs' slope of log error over log size is {number} {steeper} than the "
    "ResNets'",
    "small_patch_pair": "ViTs with small patches are {difference} accurate than ResNets of matched "
    "size",
    "mean_patch_pair": "{compared} than {that_of}ViTs of the same size and pre-training set with "
    "small ones",
    "family_mean": "perturbations of ViTs change, in energy, {ratio} times as much across the "
    "borders of the model's own patches as inside them",
    "family_difference": "the ratio of energy on patch borders to that inside patches is {ratio} "
    "{larger} for ViTs than for ResNets, measured on the same grids",
    "layer_rise": "the correlation of two layers of a ViT is {number} {larger} on average among "
    "the last third of its layers than among the first third",
    "worst_lesion": "of the blocks of {num_models} ViTs, the first apart, none costs more than "
    "{points} of accuracy when it alone is removed",
}
# Claims about one end of the pre-training sets say which end.
_LEVELS: Mapping[str | None, str] = {
    "largest": " at the largest pre-training set",
    "smallest": " at the smallest pre-training set",
}


def _template(row: Row) -> str:
    phrases: dict[str, str] = {}
    for experiment in registry.experiments().values():
        phrases |= experiment.phrases
    return _SENTENCES.get(row["kind"]) or phrases[row["name"]]


def _words(row: Row) -> dict[str, Any]:
    """Return the words for the placeholders of sentences."""
    estimate, size = row["estimate"], abs(row["estimate"])
    points = f"{formatted(size, 'points').lstrip('+')} percentage points"
    difference = f"{points} {'more' if estimate > 0 else 'less'}"
    test_set = registry.test_sets().get(row["test_set"])
    measure = test_set.measure if test_set else None
    direction = "higher" if estimate > 0 else "lower"
    with_large = "ViTs with large patches"
    return {
        "num_models": row.get("num_models"),
        "estimate": _text(row, "estimate"),
        "points": points,
        "difference": difference,
        "number": formatted(size, "number"),
        "ratio": formatted(size, "ratio"),
        "larger": "larger" if estimate > 0 else "smaller",
        "steeper": "steeper" if estimate < 0 else "shallower",
        "among": _LEVELS.get(row.get("level"), ""),
        "compared": f"the {measure} of {with_large} is {points} {direction}"
        if measure
        else f"{with_large} are {difference} accurate",
        "that_of": "that of " if measure else "",
    }


def _text(row: Row, column: str) -> str:
    return formatted(row[column], row["unit"])
