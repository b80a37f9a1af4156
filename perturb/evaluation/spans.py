"""The division of a search into stages, by which searches are planned without any data."""


def spans(num_steps: int) -> list[range]:
    """Return the steps of each stage of a search in which most images leave after few steps.

    Stages end after 1, 2, 3, 4, 6, 9, 13, ... steps. So an image that leaves at a step is worked on
    for at most half as many steps more, and the number of stages grows as the logarithm of that of
    the steps.
    """
    stops = [1]
    while stops[-1] < num_steps:
        stops.append(min(max(stops[-1] + 1, stops[-1] * 3 // 2), num_steps))
    return [range(start, stop) for start, stop in zip([0, *stops], stops, strict=False)]
