"""Any chart of the report, by name."""

from collections.abc import Callable, Mapping

import altair as alt
import pandas as pd

from perturb.charts.attention import patch_cls, restricted_attention, tokens
from perturb.charts.benchmarks import adversarial, robustness_benchmarks
from perturb.charts.catalogue import CHARTS
from perturb.charts.correlations import correlation_profile, layer_correlations
from perturb.charts.epsilon import robust_accuracy
from perturb.charts.heads import heads
from perturb.charts.heatmap import corruption_heatmap
from perturb.charts.lesions import lesions, lesions_single
from perturb.charts.model_size import model_size
from perturb.charts.paper_comparison import paper_comparison
from perturb.charts.patterns import pattern_alignment
from perturb.charts.sentences import nothing, why_empty
from perturb.charts.spatial import spatial_heatmap
from perturb.charts.texture import shape_bias
from perturb.charts.transfer import transfer_heatmap

_FUNCTIONS: Mapping[str, Callable[..., alt.TopLevelMixin]] = {
    "robustness_benchmarks": robustness_benchmarks,
    "model_size": model_size,
    "corruption_heatmap": corruption_heatmap,
    "paper_comparison": paper_comparison,
    "adversarial": adversarial,
    "robust_accuracy": robust_accuracy,
    "transfer_heatmap": transfer_heatmap,
    "pattern_alignment": pattern_alignment,
    "spatial_heatmap": spatial_heatmap,
    "shape_bias": shape_bias,
    "lesions_single": lesions_single,
    "lesions": lesions,
    "heads": heads,
    "restricted_attention": restricted_attention,
    "patch_cls": patch_cls,
    "tokens": tokens,
    "layer_correlations": layer_correlations,
    "correlation_profile": correlation_profile,
}


def draw(name: str, tables: Mapping[str, pd.DataFrame]) -> alt.TopLevelMixin:
    """Return a chart; one without anything to draw is a sentence that says why.

    Parameters
    ----------
    name : one of `CHARTS`, which says which tables it is drawn from.
    tables : those tables, as `make_table` made them; others are ignored.

    Raises
    ------
    ValueError
        if there is no such chart, or a table is missing.
    """
    if name not in CHARTS:
        raise ValueError(f"chart is {name!r}; allowed: {', '.join(CHARTS)}")
    needed = CHARTS[name].tables
    missing = [table for table in needed if table not in tables]
    if missing:
        raise ValueError(f"{name}: tables {missing} are missing; needed: {list(needed)}")
    reason = why_empty(name, tables)
    if reason:
        return nothing(reason)
    # Altair's limit guards against large files; ours hold all data on purpose.
    alt.data_transformers.disable_max_rows()
    return _FUNCTIONS[name](*(tables[table] for table in needed))
