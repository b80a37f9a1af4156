"""Sentences in place of marks: the reason why a panel or a chart has no value."""

import textwrap
from collections.abc import Sequence

import altair as alt
import pandas as pd

from perturb.charts.style import config

# Column with the sentence of a panel; null if there is a value to draw.
WORDS = "words"
NO_MODEL = "No such model in this study."
_FONT_SIZE = 12
_CHARACTER = 6.4  # mean width of a character, in px
_MARGIN = 12  # px
_WIDTH = 560  # of a chart that is a sentence, in px


def nothing(sentence: str) -> alt.ConcatChart:
    """Return a chart that is a sentence."""
    lines = pd.DataFrame({WORDS: [_wrapped(sentence, _WIDTH)]})
    text = alt.Chart(lines).mark_text(fontSize=_FONT_SIZE).encode(text=alt.Text(f"{WORDS}:N"))
    chart: alt.ConcatChart = (
        alt.concat(text.properties(width=_WIDTH, height=60))
        .configure(**config())
        .configure_view(stroke=None)
    )
    return chart


def with_words(
    frame: pd.DataFrame, panel: str, columns: Sequence[str], sentence: str
) -> pd.DataFrame:
    """Return the rows, with the sentence in `WORDS` for panels without values.

    Parameters
    ----------
    panel : the column that tells the panels apart.
    columns : of the values, any of which makes a mark.
    """
    has_value = frame[list(columns)].notna().any(axis=1).groupby(frame[panel]).transform("any")
    if has_value.all():
        return frame
    said = frame.copy()
    said[WORDS] = [None if known else sentence for known in has_value]
    return said


def sentence_in(width: float, height: float, sentence: str, data: alt.Chart) -> alt.Chart:
    """Return the layer that shows the sentence in `WORDS` of each panel's rows.

    Parameters
    ----------
    width, height : of a panel, in px.
    data : a chart of these rows without encodings.
    """
    chosen = data.transform_filter(f"isValid(datum.{WORDS})")
    # One row per panel remains, and so one sentence.
    once = chosen.transform_aggregate(rows="count()", groupby=[WORDS])
    text: alt.Chart = once.mark_text(fontSize=_FONT_SIZE, text=_wrapped(sentence, width)).encode(
        x=alt.value(width / 2), y=alt.value(height / 2 - 8)
    )
    return text


def _wrapped(sentence: str, width: float) -> list[str]:
    return textwrap.wrap(sentence, max(12, int((width - _MARGIN) / _CHARACTER)))
