"""Sentences beside the charts that depend on the study: what is missing, and what to mistrust."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from perturb.charts.model_size import FAMILY_NAMES
from perturb.tables.chance import warning_of
from perturb.tables.display import formatted

Tables = Mapping[str, pa.Table]
Row = Mapping[str, Any]


def note_beside(chart: str, found: Tables) -> str:
    """Return what a chart's caption cannot know, or nothing."""
    note = _NOTES.get(chart)
    return note(found) if note else ""


def warnings_of(found: Tables) -> list[str]:
    """Return a sentence for each model without any gradient on some of the attacked images.

    Such a model stands every attack that follows the gradient there, however fragile it is.
    """
    if "adversarial_accuracy" not in found:
        return []
    worst: dict[str, Row] = {}
    for row in found["adversarial_accuracy"].to_pylist():
        kept = worst.setdefault(row["model"], row)
        if row["num_zero_gradient"] > kept["num_zero_gradient"]:
            worst[row["model"]] = row
    return [
        f"{row['architecture_label']} ({row['pretraining_label']}): no gradient on "
        f"{formatted(row['num_zero_gradient'], 'count')} of "
        f"{formatted(row['num_attacked'], 'count')} attacked images"
        for row in worst.values()
        if row["num_zero_gradient"] > 0
    ]


def models_at_chance(models: pa.Table) -> list[str]:
    """Return a sentence for each model whose clean accuracy is no better than chance."""
    return [warning_of(_title(row), row) for row in models.to_pylist() if row["warning"]]


def _title(row: Row) -> str:
    pretraining = row["pretraining_label"]
    return f"{row['architecture_label']} ({pretraining})" if pretraining else row["model"]


def _missing_of_model_size(found: Tables) -> str:
    """Return what a logarithmic axis, or a line through several sizes, has no place for."""
    points = found["scaling_models"].to_pylist()
    sentences = [_families_without_line(points), _sets_without_line(points), _no_errors(points)]
    return " ".join([*filter(None, sentences), _by_set(found["scaling_models"], "test_set_label")])


def _families_without_line(points: Sequence[Row]) -> str:
    """Return a sentence about the families that have too few sizes for a slope, or nothing."""
    fitted = {row["family"] for row in points if row["is_fitted"]}
    families = {row["family"] for row in points} - {"other"}
    lacking = [_family(family) for family in sorted(families - fitted)]
    if not lacking:
        return ""
    return f"No line for {' and '.join(lacking)}: fewer than two sizes at this pre-training set."


def _sets_without_line(points: Sequence[Row]) -> str:
    """Return a sentence about the lines that one model without any error prevents, or nothing."""
    lacking = dict.fromkeys(
        f"{_family(row['family'])} on {row['test_set_label']}"
        for row in points
        if row["is_fitted"] and row["fitted_error"] is None
    )
    if not lacking:
        return ""
    return f"No line for {', '.join(lacking)}: a model of the line makes no error there."


def _no_errors(points: Sequence[Row]) -> str:
    """Return a sentence about the models that make no error at all, or nothing."""
    lacking = [
        f"{row['architecture_label']} ({row['test_set_label']})"
        for row in points
        if row["error"] == 0
    ]
    if not lacking:
        return ""
    return f"Not drawn, since no error has no logarithm: {', '.join(lacking)}."


def _family(family: str) -> str:
    return FAMILY_NAMES.get(family, family)


def _epsilon_and_images(table: str) -> Callable[[Tables], str]:
    def note(found: Tables) -> str:
        rows = found[table].to_pylist()
        epsilons = sorted({row["epsilon_gray"] for row in rows if row["epsilon_gray"] is not None})
        epsilon = " and ".join(f"{epsilon:.3g}" for epsilon in epsilons)
        of_what = f"Epsilon: {epsilon} of 255 gray levels. " if epsilons else ""
        return of_what + _images(table)(found)

    return note


def _share_within(found: Tables) -> str:
    """Return a sentence about how many of the paper's numbers were met."""
    met = found["paper_comparison"]["is_within"].to_pylist()
    within, all_of_them = formatted(sum(met), "count"), formatted(len(met), "count")
    return f"{within} of {all_of_them} numbers differ by no more."


def _images(table: str) -> Callable[[Tables], str]:
    def note(found: Tables) -> str:
        most = max((row["num_images"] for row in found[table].to_pylist()), default=0)
        sizes = (_by_set(found[table], label) for label in ("test_set_label", "attack_label"))
        return next(filter(None, sizes), f"{formatted(most, 'count')} images.")

    return note


def _by_set(table: pa.Table, label: str) -> str:
    """Return how many images each test set has where they differ, else nothing."""
    if label not in table.column_names:
        return ""
    sizes = {row[label]: row["num_images"] for row in table.to_pylist()}
    if len(set(sizes.values())) < 2:
        return ""
    listed = ", ".join(f"{name} {formatted(size, 'count')}" for name, size in sizes.items())
    return f"Images: {listed}; the smaller sets of clean images lie within the larger."


_NOTES: Mapping[str, Callable[[Tables], str]] = {
    "robustness_benchmarks": _images("accuracy"),
    "corruption_heatmap": _images("corruption_means"),
    "model_size": _missing_of_model_size,
    "paper_comparison": _share_within,
    "adversarial": _epsilon_and_images("attacks"),
    "robust_accuracy": _images("adversarial_accuracy"),
    "transfer_heatmap": _epsilon_and_images("transfer"),
    "pattern_alignment": _images("perturbation_patterns"),
    "shape_bias": _images("shape_bias"),
    "lesions_single": _images("lesions_single"),
    "lesions": _images("lesions"),
    "heads": _images("heads"),
    "restricted_attention": _images("restricted_attention"),
    "patch_cls": _images("patch_cls"),
    "tokens": _images("tokens"),
    "layer_correlations": _images("layer_correlations"),
    "correlation_profile": _images("correlation_profile"),
}
