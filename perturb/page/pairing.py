"""All models by all measures, paired: the summary of a study of a few models.

Each measure on which models are compared image by image has a sentence that decides between them,
or says that they cannot be distinguished.
"""

from dataclasses import dataclass

from perturb.formatting import MEASURE_FORMATS, formatted, listed
from perturb.page.standings import Standings, points

# With more models the leaderboard is the summary.
MOST_MODELS = 6
# Of the difference of a better model and a worse one.
_SIGNS = {True: 1, False: -1, None: 0}


@dataclass(frozen=True)
class Line:
    """A measure of all models.

    values : text and interval of each model.
    decision : which model is better, or that none is; empty where it is not tested.
    """

    label: str
    values: list[tuple[str, str]]
    decision: str
    num_images: str


@dataclass(frozen=True)
class Summary:
    """The models of a small study side by side."""

    names: list[str]
    sentences: list[str]
    lines: list[Line]


def paired_summary(found: Standings) -> Summary | None:
    """Return the summary of a study of up to `MOST_MODELS` models, else None."""
    if not 0 < len(found.names) <= MOST_MODELS:
        return None
    measures = list(dict.fromkeys(row["measure"] for row in found.rows))
    decided = {measure: _leaders(found, measure) for measure in measures}
    return Summary(
        list(found.names.values()),
        _sentences(found, {key: value for key, value in decided.items() if value is not None}),
        [_line(found, measure, decided[measure]) for measure in measures if found.values(measure)],
    )


def _leaders(found: Standings, measure: str) -> list[str] | None:
    """Return the models that no other is distinguishably better than; None without differences."""
    row = next(row for row in found.rows if row["measure"] == measure)
    apart, better = found.differences([measure]), _SIGNS[row["is_better_high"]]
    models = [model for model in found.names if any(model in pair for pair in apart)]
    if not models or not better:
        return None
    return [
        model
        for model in models
        if not any(
            apart[other, model].sign == better for other in models if (other, model) in apart
        )
    ]


def _line(found: Standings, measure: str, leaders: list[str] | None) -> Line:
    rows = {row["model"]: row for row in found.rows if row["measure"] == measure}
    first = next(iter(rows.values()))
    unit = MEASURE_FORMATS[first["unit"]]
    values = []
    for model in found.names:
        row = rows.get(model, {"value": None, "value_low": None, "value_high": None})
        ends = [row["value_low"], row["value_high"]]
        interval = "" if None in ends else ", ".join(formatted(end, unit) for end in ends)
        values.append((formatted(row["value"], unit), interval))
    units = [
        *(["%"] if unit == "percent" else []),
        *(["less is better"] if _SIGNS[first["is_better_high"]] < 0 else []),
    ]
    suffix = f" ({', '.join(units)})" if units else ""
    count = found.num_images(measure)
    return Line(
        found.label(measure) + suffix,
        values,
        _decision(found, measure, leaders),
        formatted(count, "count") if count else "",
    )


def _decision(found: Standings, measure: str, leaders: list[str] | None) -> str:
    if leaders is None:
        return ""
    apart = found.differences([measure])
    names = found.names
    if len(leaders) == 1:
        others = [model for model in names if (leaders[0], model) in apart]
        nearest = min(others, key=lambda model: abs(apart[leaders[0], model].value))
        lead = points(apart[leaders[0], nearest])
        over = "" if len(names) == 2 else f" over {names[nearest]}"
        return f"{names[leaders[0]]}, {lead}{over}"
    if len(names) == 2:
        first, second = names
        return f"not distinguishable: {points(apart[first, second])}"
    who = "all models" if len(leaders) == len(names) else listed([names[id] for id in leaders])
    return f"not distinguishable: {who}"


def _sentences(found: Standings, decided: dict[str, list[str]]) -> list[str]:
    """Return the sentences that decide between two models or more."""
    if len(found.names) < 2 or not decided:
        return []
    alone: dict[str, list[str]] = {}
    for measure, leaders in decided.items():
        if len(leaders) == 1:
            alone.setdefault(leaders[0], []).append(found.phrase(measure))
    tied = [measure for measure in decided if len(decided[measure]) != 1]
    if not alone:
        return [_undecided(found, tied)]
    sentences = [
        f"{found.names[model]} is {'better' if len(found.names) == 2 else 'best'} on "
        f"{listed(labels)}."
        for model, labels in alone.items()
    ]
    if tied:
        on = listed([found.phrase(measure) for measure in tied])
        sentences.append(f"On {on} no model can be distinguished as the best.")
    return sentences


def _undecided(found: Standings, measures: list[str]) -> str:
    """Return the sentence of models that no measure decides between: what could be hidden."""
    hidden = max(
        part.high for measure in measures for part in found.differences([measure]).values()
    )
    counts = [found.num_images(measure) for measure in measures]
    sizes = (
        f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
    )
    who = "The two models" if len(found.names) == 2 else "The models"
    return (
        f"{who} cannot be distinguished on any test set: with {sizes} images a test set, "
        f"differences of up to {100 * hidden:.1f} percentage points may be hidden. More images "
        "would show smaller ones."
    )
