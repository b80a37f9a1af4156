"""Tooltips of marks: the model, the value with its interval, and n."""

import altair as alt

MODEL = (
    alt.Tooltip("architecture_label:N", title="Model"),
    alt.Tooltip("pretraining_label:N", title="Pre-training"),
)


def text(column: str, title: str) -> alt.Tooltip:
    """Return a line of text."""
    return alt.Tooltip(f"{column}:N", title=title)


def number(column: str, title: str, form: str = ".3~g") -> alt.Tooltip:
    """Return a number, in a format of d3's."""
    return alt.Tooltip(f"{column}:Q", title=title, format=form)


def count(column: str, title: str) -> alt.Tooltip:
    """Return a whole number, with commas."""
    return number(column, title, ",")


def interval(column: str, title: str, form: str = ".1%") -> tuple[alt.Tooltip, ...]:
    """Return a value and both ends of its 95 % interval, the columns `_low` and `_high`."""
    return (
        number(column, title, form),
        number(f"{column}_low", "95 % low", form),
        number(f"{column}_high", "95 % high", form),
    )


IMAGES = count("num_images", "Images")
PARAMETERS = count("num_parameters", "Parameters")
EPSILON = number("epsilon_gray", "Epsilon (gray levels)")
BASELINE = number("baseline_accuracy", "Accuracy of the unchanged model", ".1%")
