"""The answer to the study's question in two sentences, made from its numbers.

The first says which model is the most robust on average, and whether its lead is more than chance;
the second under what it is the weakest, and whether the most accurate model is also the most robust.
"""

from collections.abc import Collection

from perturb.experiments.comparison.means import Interval
from perturb.page.standings import CLEAN, Standings, listed, percent, points, within

# So many models are named; of more, the number is given.
_NUM_NAMED = 2


def answer(found: Standings, at_chance: Collection[str] = ()) -> list[str]:
    """Return the sentences.

    Parameters
    ----------
    at_chance : the models whose clean accuracy is no better than chance.
    """
    clean = found.values(CLEAN)
    if not clean and not found.means:
        return []
    if clean and set(clean) <= set(at_chance):
        who = "The model is" if len(clean) == 1 else f"All {len(clean)} models are"
        return [
            f"{who} no better than chance on unchanged images: none of the numbers below says "
            "anything about robustness before this is mended."
        ]
    if not found.means:
        return _without_perturbed_images(found)
    if _is_all_right(found):
        return _nobody_errs(found)
    return [_most_robust(found), *_weakest_and_most_accurate(found)]


def _without_perturbed_images(found: Standings) -> list[str]:
    clean = found.values(CLEAN)
    best = max(clean, key=lambda model: clean[model].value)
    who = "is correct on" if len(clean) == 1 else f"is the most accurate of {len(clean)} models:"
    unsaid = "No test set of this study has perturbed images: it does not say how robust"
    return [
        f"{found.names[best]} {who} {percent(clean[best])} of the unchanged images.",
        f"{unsaid} {'it is' if len(clean) == 1 else 'they are'} to changes of the images.",
    ]


def _is_all_right(found: Standings) -> bool:
    values = [*found.values(CLEAN).values(), *found.means.values()]
    return all(value.value == 1 for value in values)


def _nobody_errs(found: Standings) -> list[str]:
    measures = [CLEAN, *found.averaged]
    sizes = [found.num_images(measure) for measure in measures]
    count = len(found.names)
    who = {1: f"{next(iter(found.names.values()))} classifies"}.get(
        count, f"{'Both' if count == 2 else f'All {count}'} models classify"
    )
    told = f"{who} every image correctly, unchanged and perturbed."
    lowest = min(value.low for value in found.means.values())
    spread = {min(sizes): f"{min(sizes):,}"}.get(max(sizes), f"{min(sizes):,} to {max(sizes):,}")
    rest = f"The true accuracy under perturbation may be as low as {_ends(lowest)}"
    apart = "" if count == 1 else ", and the models cannot be distinguished"
    return [told, f"With {spread} images a test set that is not much: {rest}{apart}."]


def _ends(value: float) -> str:
    return f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def _most_robust(found: Standings) -> str:
    means = found.means
    best = next(iter(means))
    over = listed([within(found.label(measure)) for measure in found.averaged])
    average = f"on average over {over}" if len(found.averaged) > 1 else f"on {over}"
    keeps = f"it is correct on {percent(means[best])} of the images"
    clean = found.values(CLEAN).get(best)
    beside = f" (unchanged images: {percent(clean)})" if clean else ""
    if len(means) == 1:
        return f"{found.names[best]} keeps {percent(means[best])} {average}{beside}."
    return (
        f"{found.names[best]} is the most robust of {len(means)} models: {average} "
        f"{keeps}{beside}; {_lead(found, best)}."
    )


def _lead(found: Standings, best: str) -> str:
    """Return what the paired differences say about the lead of the most robust model."""
    apart = found.differences(found.averaged)
    others = [model for model in found.means if model != best]
    known = [model for model in others if (best, model) in apart]
    if len(known) < len(others):
        return "its lead is not tested, because not every two models share their images"
    tied = [model for model in known if apart[best, model].sign <= 0]
    if not tied:
        return f"the next, {found.names[others[0]]}, is behind by {_gap(apart[best, others[0]])}"
    if len(tied) == len(others) > 1:
        return "but no other model can be distinguished from it"
    if len(tied) == 1:
        lead = points(apart[best, tied[0]])
        return f"it cannot be distinguished from {found.names[tied[0]]} ({lead})"
    named = [found.names[model] for model in tied[:_NUM_NAMED]]
    rest = len(tied) - _NUM_NAMED
    more = [f"{rest} other{'s' if rest > 1 else ''}"] if rest > 0 else []
    return f"it cannot be distinguished from {listed([*named, *more])}"


def _gap(lead: Interval) -> str:
    return points(lead).removeprefix("+")


def _weakest_and_most_accurate(found: Standings) -> list[str]:
    best = next(iter(found.means))
    weakest = _weakest(found, best) if len(found.averaged) > 1 else ""
    accurate = _most_accurate(found, best) if len(found.means) > 1 else ""
    return [part for part in (weakest, accurate) if part]


def _weakest(found: Standings, best: str) -> str:
    values = {measure: found.values(measure)[best] for measure in found.averaged}
    measure = min(values, key=lambda name: values[name].value)
    return f"It is weakest on {within(found.label(measure))}, {percent(values[measure])}."


def _most_accurate(found: Standings, best: str) -> str:
    clean = {id: value for id, value in found.values(CLEAN).items() if id in found.means}
    if best not in clean:
        return ""
    top = max(clean, key=lambda model: (clean[model].value, model == best))
    if top == best:
        return "It is also the most accurate on unchanged images."
    apart, name = found.differences([CLEAN]).get((top, best)), found.names[top]
    there = f"{name} is the most accurate on unchanged images, {percent(clean[top])}"
    if apart is not None and apart.sign <= 0:
        return f"{there}, where the two cannot be distinguished."
    behind = found.differences(found.averaged).get((best, top))
    if behind is None:
        return f"{there}."
    gap = f"({points(behind)} for {found.names[best]})"
    if behind.sign > 0:
        return f"{there}, but it is less robust {gap}."
    return f"{there}; under perturbation the two cannot be distinguished {gap}."
