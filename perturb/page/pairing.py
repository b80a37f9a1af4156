"""All models by all measures, paired: the summary of a study of a few models.

Each measure on which models are compared image by image has a sentence that decides between them,
or says that they cannot be distinguished.
"""

from dataclasses import dataclass

from perturb.experiments.comparison.means import is_accuracy
from perturb.experiments.sentences import points
from perturb.formatting import MEASURE_FORMATS, formatted, listed
from perturb.page.standings import Standings

# With more models the leaderboard is the summary.
MOST_MODELS = 6
# Of the difference of a better model and a worse one.
_SIGNS = {True: 1, False: -1, None: 0}
_NOT_PAIRED = " *"


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
    """The models of a small study side by side.

    has_unpaired : whether a line's differences come from the intervals of both values.
    """

    names: list[str]
    sentences: list[str]
    lines: list[Line]
    has_unpaired: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the differences of one measure say about all models of the study.

    leader : the model that is distinguishably better than every other, if there is one.
    behind : the models that another is distinguishably better than.
    """

    leader: str | None
    behind: tuple[str, ...]


def paired_summary(found: Standings) -> Summary | None:
    """Return the summary of a study of up to `MOST_MODELS` models, else None."""
    if not 0 < len(found.names) <= MOST_MODELS:
        return None
    measures = list(dict.fromkeys(row["measure"] for row in found.rows))
    decided = {measure: _verdict(found, measure) for measure in measures}
    return Summary(
        list(found.names.values()),
        _sentences(found, {key: value for key, value in decided.items() if value is not None}),
        [_line(found, measure, decided[measure]) for measure in measures if found.values(measure)],
        any(value and not found.is_paired(measure) for measure, value in decided.items()),
    )


def _verdict(found: Standings, measure: str) -> Verdict | None:
    """Return what a measure says; None without differences."""
    row = next(row for row in found.rows if row["measure"] == measure)
    apart, better = found.differences(measure), _SIGNS[row["is_better_high"]]
    if not apart or not better:
        return None
    # A pair without an interval, such as one of a half-life that is only a lower end, is not won.
    won = {pair for pair, part in apart.items() if part.sign == better}
    models = list(found.names)
    leaders = [
        model
        for model in models
        if all((model, other) in won for other in models if other != model)
    ]
    behind = tuple(model for model in models if any((other, model) in won for other in models))
    return Verdict(next(iter(leaders), None), behind)


def _line(found: Standings, measure: str, verdict: Verdict | None) -> Line:
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
        found.label(measure)
        + suffix
        + (_NOT_PAIRED if verdict and not found.is_paired(measure) else ""),
        values,
        _decision(found, measure, verdict),
        formatted(count, "count") if count else "",
    )


def _decision(found: Standings, measure: str, verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    apart, names, leader = found.differences(measure), found.names, verdict.leader
    if leader:
        others = [model for model in names if model != leader]
        nearest = min(others, key=lambda model: abs(apart[leader, model].value))
        lead = points(apart[leader, nearest])
        over = "" if len(names) == 2 else f" over {names[nearest]}"
        return f"{names[leader]}, {lead}{over}"
    if len(names) == 2:
        first, second = names
        return f"cannot be distinguished: {points(apart[first, second])}"
    if not verdict.behind:
        return "cannot be distinguished: all models"
    return f"none; behind: {listed([names[model] for model in verdict.behind])}"


def _sentences(found: Standings, decided: dict[str, Verdict]) -> list[str]:
    """Return the sentences that decide between two models or more."""
    if len(found.names) < 2 or not decided:
        return []
    accuracies = [measure for measure in decided if is_accuracy(measure)]
    if accuracies and not any(verdict.behind for verdict in decided.values()):
        return [_undecided(found, accuracies)]
    alone: dict[str, list[str]] = {}
    tied: dict[tuple[str, ...], list[str]] = {}
    for measure, verdict in decided.items():
        if verdict.leader:
            alone.setdefault(verdict.leader, []).append(found.phrase(measure))
        else:
            tied.setdefault(verdict.behind, []).append(found.phrase(measure))
    best = "better" if len(found.names) == 2 else "best"
    leads = [f"{found.names[id]} is {best} on {listed(labels)}." for id, labels in alone.items()]
    return [*leads, *(_tied(found, *item) for item in tied.items())]


def _tied(found: Standings, behind: tuple[str, ...], labels: list[str]) -> str:
    """Return the sentence of measures without a leader: who is behind another model."""
    who = listed([found.names[model] for model in behind])
    but = f", but {who} {'is' if len(behind) == 1 else 'are'} behind" if behind else ""
    return f"On {listed(labels)} no model can be distinguished as the best{but}."


def _undecided(found: Standings, measures: list[str]) -> str:
    """Return the sentence of models that no measure decides between: what could be hidden."""
    hidden = max(part.high for measure in measures for part in found.differences(measure).values())
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
