"""The answer to the study's question in two sentences, made from its numbers.

The first says which model is the most robust on average, and whether its lead is more than chance;
the second what it is weakest on, and whether the most accurate model is also the most robust.
"""

from collections.abc import Collection, Sequence

from perturb.experiments.comparison.means import CLEAN
from perturb.experiments.sentences import Interval, percent, points
from perturb.formatting import listed
from perturb.page.standings import Standings

# So many models are named; of more, the number is given.
_NUM_NAMED = 2


def answer(found: Standings, at_chance: Collection[str] = ()) -> list[str]:
    """Return the sentences; none if no model has a clean accuracy or one under perturbation.

    Parameters
    ----------
    at_chance : the models whose clean accuracy is no better than chance.
    """
    clean = found.values(CLEAN)
    if not clean and not found.means:
        return []
    if clean and set(clean) <= set(at_chance):
        return [_at_chance(len(clean))]
    if not found.means:
        return _without_perturbed_images(found)
    if all(value.value == 1 for value in [*clean.values(), *found.means.values()]):
        return _all_correct(found)
    return [_most_robust(found), *filter(None, [_weakest_and_most_accurate(found)])]


def _at_chance(count: int) -> str:
    who = {1: "The model is", 2: "Both models are"}.get(count, f"All {count} models are")
    return (
        f"{who} no better than chance on unchanged images: before this is mended, no number below "
        "says anything about robustness."
    )


def _without_perturbed_images(found: Standings) -> list[str]:
    clean = found.values(CLEAN)
    best = max(clean, key=lambda model: clean[model].value)
    others = [found.label(measure) for measure in found.undeclared]
    rest = "No test set of this study has perturbed images: it does not say how robust"
    if others:
        rest = (
            f"What is changed in the images of {listed(others)} is not declared: this study does "
            "not say how robust"
        )
    if len(clean) == 1:
        accuracy = (
            f"{found.names[best]} is correct on {percent(clean[best])} of the unchanged images."
        )
        return [accuracy, f"{rest} the model is to changes of the images."]
    lead, _ = _lead(found, CLEAN, best, list(clean))
    leader = (
        f"{found.names[best]} has the {'higher' if len(clean) == 2 else 'highest'} accuracy of "
        f"{_counted(len(clean))} models on unchanged images, {percent(clean[best])}; {lead}."
    )
    return [leader, f"{rest} they are to changes of the images."]


def _all_correct(found: Standings) -> list[str]:
    sizes = [found.num_images(measure) for measure in (CLEAN, *found.averaged)]
    spread = f"{min(sizes):,}" + ("" if min(sizes) == max(sizes) else f" to {max(sizes):,}")
    count, lowest = len(found.names), min(value.low for value in found.means.values())
    one = f"{next(iter(found.names.values()))} classifies"
    who = {1: one, 2: "Both models classify"}.get(count, f"All {count} models classify")
    apart = "" if count == 1 else ", and the models cannot be distinguished"
    return [
        f"{who} every image correctly, unchanged and perturbed.",
        f"With {spread} images a test set, the true accuracy under perturbation may still be as "
        f"low as {100 * lowest:.1f}\N{NO-BREAK SPACE}%{apart}.",
    ]


def _most_robust(found: Standings) -> str:
    means, best = found.means, next(iter(found.means))
    name, over = found.names[best], listed([found.phrase(id) for id in found.averaged])
    average = (
        f"{percent(means[best])} {'on average ' if len(found.averaged) > 1 else ''}over {over}"
    )
    clean = found.values(CLEAN).get(best)
    if len(means) == 1:
        beside = f", against {percent(clean)} on unchanged images" if clean else ""
        return f"The accuracy of {name} is {average}{beside}."
    lead, is_alone = _lead(found, found.mean, best, list(means))
    first = "is the most robust" if is_alone else "has the highest accuracy under perturbation"
    first = first.replace("most", "more").replace("highest", "higher") if len(means) == 2 else first
    return f"{name} {first} of {_counted(len(means))} models, {average}; {lead}."


def _lead(
    found: Standings, measure: str | None, best: str, models: Sequence[str]
) -> tuple[str, bool]:
    """Return what the paired differences say about the best of these models, and if it leads."""
    apart, names = found.differences(measure), found.names
    others = [model for model in models if model != best]
    if any((best, model) not in apart for model in others):
        return "its lead is not tested, because some models do not share its images", False
    tied = [model for model in others if apart[best, model].sign <= 0]
    if not tied:
        lead = min((apart[best, model] for model in others), key=lambda part: part.value)
        who = (
            "every other model is behind, the next"
            if others[1:]
            else f"{names[others[0]]} is behind"
        )
        return f"{who} by {_gap(lead)}", True
    if len(others) == 1:
        lead = apart[best, tied[0]]
        return f"it cannot be distinguished from {names[tied[0]]} ({points(lead)})", False
    if len(tied) == len(others):
        return "but no other model can be distinguished from it", False
    named = [names[model] for model in tied[:_NUM_NAMED]]
    rest = len(tied) - _NUM_NAMED
    more = [f"{rest} other{'s' if rest > 1 else ''}"] if rest > 0 else []
    return f"it cannot be distinguished from {listed([*named, *more])}", False


def _counted(count: int) -> str:
    return "two" if count == 2 else f"{count:,}"


def _gap(lead: Interval) -> str:
    """Return a difference that is known to be positive as text."""
    return points(lead).replace("+", "")


def _weakest_and_most_accurate(found: Standings) -> str:
    best = next(iter(found.means))
    weakest = _weakest(found, best) if len(found.averaged) > 1 else ""
    accurate = _most_accurate(found, best) if len(found.means) > 1 else ""
    # The sentence before may end with the name of another model.
    text = "; ".join(filter(None, [weakest, accurate]))
    if text.startswith("it "):
        return f"{found.names[best]} {text.removeprefix('it ')}."
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _weakest(found: Standings, best: str) -> str:
    values = {measure: found.values(measure)[best] for measure in found.averaged}
    measure = min(values, key=lambda name: values[name].value)
    return f"it is weakest on {found.phrase(measure)}, {percent(values[measure])}"


def _most_accurate(found: Standings, best: str) -> str:
    """Return whether the most accurate model on unchanged images is the most robust one, too."""
    clean = {id: value for id, value in found.values(CLEAN).items() if id in found.means}
    if best not in clean:
        return ""
    top = max(clean, key=lambda model: (clean[model].value, model == best))
    if top == best:
        if any(value.value == clean[best].value for id, value in clean.items() if id != best):
            return f"no other model is more accurate on unchanged images, {percent(clean[best])}"
        return f"it is also the most accurate on unchanged images, {percent(clean[best])}"
    there = f"on unchanged images {found.names[top]} is more accurate, {percent(clean[top])}"
    apart = found.differences(CLEAN).get((top, best))
    behind = found.differences(found.mean).get((best, top))
    if apart is None or behind is None:
        return there
    if apart.sign <= 0:
        return f"{there}, but the two cannot be distinguished there"
    if behind.sign > 0:
        return f"{there}, and less robust, by {_gap(behind)}"
    return f"{there}; under perturbation the two cannot be distinguished"
