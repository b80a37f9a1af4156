"""Charts of changed models: every row of the tables is drawn, whatever models a study has."""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import vl_convert

from perturb.charts.shading import signed
from perturb.charts.style import CONTROL, SERIES, style_of
from perturb.experiments import registry
from perturb.experiments.drawing import draw
from perturb.experiments.layer_correlations.charts import layer_correlations
from tests.study_tables import CHARTS, table_of
from tests.synthetic_model_perturbations import CORRELATIONS, MODEL_PERTURBATIONS
from tests.synthetic_study import PRETRAINING, make_study

Frames = Mapping[str, pd.DataFrame]
Specs = Mapping[str, Any]

MODEL_EXPERIMENTS = [
    id for id, experiment in registry.experiments().items() if experiment.kind == "network"
]
NAMES = [name for name, (owner, _) in registry.charts().items() if owner in MODEL_EXPERIMENTS]
CURVES = {
    "lesions_single": ("block", "part"),
    "lesions": ("num_removed", "part"),
    "restricted_attention": ("distance_fraction", "control"),
    "patch_attention": ("num_blocks_restricted", "place"),
    "token_removal": ("flops_kept", "method"),
    "weight_noise": ("noise_scale", "noise"),
    "weight_rounding": ("bits", "rounding"),
}
VITS = ["ViT-S/4", "ViT-S/8", "ViT-B/8"]


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    study = make_study(
        tmp_path_factory.mktemp("charts"),
        num_images=20,
        corruptions=(),
        severities=(),
        extras=(*MODEL_PERTURBATIONS, CORRELATIONS),
    )
    needed = {table for name in NAMES for table in CHARTS[name].tables}
    return {name: table_of(study, name).to_pandas() for name in needed}


@pytest.fixture(scope="module")
def specs(frames: Frames) -> Specs:
    """Return the charts of the whole study."""
    return {name: draw(name, frames).to_dict() for name in NAMES}


def only(frames: Frames, **values: list[str]) -> dict[str, pd.DataFrame]:
    """Return the tables of the models that have one of the values in every column given."""
    found = dict(frames)
    for column, allowed in values.items():
        found = {name: frame[frame[column].isin(allowed)] for name, frame in found.items()}
    return found


def parts(spec: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of a chart that has panels of its own, from the first to the last."""
    inner = spec.get("vconcat") or spec.get("concat")
    if inner is None:
        yield spec
    else:
        for part in inner:
            yield from parts(part)


def rows(spec: dict[str, Any], part: dict[str, Any] | None = None) -> pd.DataFrame:
    """Return what a part of a chart, or all of it, is drawn from."""
    chosen = [part] if part is not None else list(parts(spec))
    return pd.concat(
        [
            pd.DataFrame(spec["datasets"][one.get("data", spec.get("data"))["name"]])
            for one in chosen
        ]
    )


def encodings(spec: Any, channel: str) -> Iterator[Any]:
    """Yield what a channel stands for, wherever it does."""
    if isinstance(spec, dict):
        if channel in spec.get("encoding", {}):
            yield spec["encoding"][channel]
        children = [value for key, value in spec.items() if key != "datasets"]
    else:
        children = spec if isinstance(spec, list) else []
    for child in children:
        yield from encodings(child, channel)


def width_of(spec: dict[str, Any]) -> float:
    picture = vl_convert.vegalite_to_svg(spec)
    return float(picture.split('width="', 1)[1].split('"', 1)[0])


@pytest.mark.parametrize("name", list(CURVES))
def test_curves_draw_every_row_in_the_panel_of_its_model(
    frames: Frames, specs: Specs, name: str
) -> None:
    spec = specs[name]
    x, way = CURVES[name]
    table = frames[name]
    columns = list(parts(spec))
    labels = [
        label
        for label in style_of(frames["models"]).labels
        if label in set(table["architecture_label"])
    ]
    assert [rows(spec, one)["architecture_label"].unique().tolist() for one in columns] == [
        [label] for label in labels
    ]
    assert all(one["facet"]["row"]["sort"] == PRETRAINING for one in columns)
    keys = ["model", way, x, "accuracy", "accuracy_low", "accuracy_high", "baseline_accuracy"]
    drawn = rows(spec)[keys].sort_values(keys).reset_index(drop=True)
    expected = table[keys].sort_values(keys).reset_index(drop=True)
    pd.testing.assert_frame_equal(drawn, expected, check_dtype=False)


@pytest.mark.parametrize("name", list(CURVES))
def test_the_unchanged_model_is_one_dashed_line(specs: Specs, name: str) -> None:
    for part in parts(specs[name]):
        [line] = [one for one in part["spec"]["layer"] if "strokeDash" in one["mark"]]
        [aggregate] = line["transform"][0]["aggregate"]
        assert aggregate["field"] == "baseline_accuracy"
        assert line["encoding"] == {"y": {"field": aggregate["as"], "type": "quantitative"}}


def test_accuracy_over_several_lesions_has_errors_and_a_range(specs: Specs) -> None:
    spec = specs["lesions"]
    marks = {one["mark"]["type"]: one["encoding"] for one in next(parts(spec))["spec"]["layer"]}
    assert (marks["area"]["y"]["field"], marks["area"]["y2"]["field"]) == (
        "accuracy_min",
        "accuracy_max",
    )
    drawn = rows(spec).dropna(subset="accuracy_se")
    assert len(drawn)
    half = (drawn["error_high"] - drawn["error_low"]) / 2
    assert half.to_numpy() == pytest.approx(drawn["accuracy_se"].to_numpy())


def test_a_control_is_grey_and_a_way_keeps_its_colour(frames: Frames, specs: Specs) -> None:
    spec = specs["restricted_attention"]
    scale = next(encodings(spec, "color"))["scale"]
    assert scale["range"] == [SERIES[2], CONTROL]
    without = frames["lesions"][frames["lesions"]["part"] != "mlp"]
    colours = [
        next(encodings(draw("lesions", {**frames, "lesions": table}).to_dict(), "color"))["scale"]
        for table in (frames["lesions"], without)
    ]
    both = [dict(zip(one["domain"], one["range"], strict=True)) for one in colours]
    assert len(both[1]) == 2
    assert both[1].items() <= both[0].items()


def test_curves_of_patches_and_cls_start_unrestricted(frames: Frames) -> None:
    table = frames["patch_attention"]
    restricted = table[table["num_blocks_restricted"] > 0]
    spec = draw("patch_attention", {**frames, "patch_attention": restricted}).to_dict()
    drawn = rows(spec)
    starts = drawn[drawn["num_blocks_restricted"] == 0]
    assert len(starts) == table.groupby(["model", "place"]).ngroups == 2 * len(VITS) * 3
    assert (starts["accuracy"] == starts["baseline_accuracy"]).all()
    assert len(drawn) == len(restricted) + len(starts)


def test_more_is_changed_to_the_right(specs: Specs) -> None:
    for name in ("restricted_attention", "token_removal", "weight_rounding"):
        for x in encodings(specs[name], "x"):
            assert x["scale"]["reverse"]
            low, high = x["scale"]["domain"]
            assert low < high


@pytest.mark.parametrize("name", list(CURVES))
def test_numbers_on_the_axis_of_a_change_are_not_negative(specs: Specs, name: str) -> None:
    for x in encodings(specs[name], "x"):
        low, high = x["scale"]["domain"]
        values = x["axis"]["values"]
        assert max(low, 0) <= min(values) <= max(values) <= high


@pytest.mark.parametrize(
    ("scales", "labels"),
    [([0.01, 0.2], ["0", "10", "20"]), ([0.001, 0.01], ["0", "2"])],
)
def test_an_axis_of_noise_starts_at_no_noise(
    frames: Frames, scales: list[float], labels: list[str]
) -> None:
    table = frames["weight_noise"]
    sizes = sorted(table["noise_scale"].unique())
    assert sizes[0] == 0
    other = table[table["noise_scale"] == sizes[1]]
    rows = [table[table["noise_scale"] == 0], *(other.assign(noise_scale=s) for s in scales)]
    noisy = {**frames, "weight_noise": pd.concat(rows)}
    picture = vl_convert.vegalite_to_svg(draw("weight_noise", noisy).to_dict())
    shown = re.findall(r">(\u2212?[\d.]+)</text>", picture)
    assert not [label for label in shown if label.startswith("\u2212")]
    assert [label for label in shown if label in labels].count(labels[1]) >= len(VITS)
    assert set(labels) <= set(shown)


def test_heads_have_a_cell_each(frames: Frames, specs: Specs) -> None:
    spec = specs["heads"]
    assert len(rows(spec)) == len(frames["heads"])
    assert [rows(spec, one)["architecture_label"].iloc[0] for one in parts(spec)] == VITS
    scales = {json.dumps(one["scale"]) for one in encodings(spec, "color") if "scale" in one}
    assert len(scales) == 1


@pytest.mark.parametrize(
    ("values", "domain"),
    [([0.0, 0.1], [0.0, 0.02, 0.04, 0.06, 0.08, 0.1]), ([-0.05, 0.1], [-0.05, 0.0, 0.02])],
)
def test_shades_of_losses_turn_at_zero(values: list[float], domain: list[float]) -> None:
    shades = signed("drop", pd.Series([*values, np.nan]), "Lost")
    assert shades.domain[: len(domain)] == pytest.approx(domain)
    assert len(shades.domain) == len(shades.range)
    neutral = shades.range[shades.domain.index(0.0)]
    assert neutral == signed("drop", pd.Series([0.0]), "Lost").range[0]


@pytest.mark.parametrize(("drop", "number"), [(0.104, "10"), (-0.001, "0"), (-0.2, "\u221220")])
def test_numbers_in_cells(frames: Frames, drop: float, number: str) -> None:
    one = only(frames, architecture_label=["ViT-S/8"], pretraining_label=["Small"])
    picture = vl_convert.vegalite_to_svg(
        draw("heads", {**one, "heads": one["heads"].assign(drop=drop)}).to_dict()
    )
    assert picture.count(f">{number}</text>") >= len(one["heads"])


def test_layers_are_squares_of_all_tokens_beside_cls(frames: Frames, specs: Specs) -> None:
    spec = specs["layer_correlations"]
    assert [band["title"]["text"] for band in spec["vconcat"]] == ["Pearson correlation", "CKA"]
    for band in spec["vconcat"]:
        names = [rows(spec, part)["name"].iloc[0] for part in parts(band)]
        pairs = itertools.product(VITS, ("all", "CLS"))
        assert names == ["ResNet-S", "ResNet-B", *(f"{model}, {scope}" for model, scope in pairs)]
        assert all(part["spec"]["width"] == part["spec"]["height"] for part in parts(band))
    assert len(rows(spec)) == len(frames["layer_correlations"].dropna(subset="value"))
    domains = {json.dumps(one["scale"]["domain"]) for one in encodings(spec, "color")}
    assert domains == {"[0.0, 1.0]"}


def test_negative_correlations_are_in_the_scale(frames: Frames) -> None:
    table = frames["layer_correlations"].assign(value=-0.13)
    spec = layer_correlations(table, frames["models"]).to_dict()
    assert next(encodings(spec, "color"))["scale"]["domain"] == [-0.2, 1.0]


def test_large_studies_are_drawn_whole(frames: Frames) -> None:
    pairs = pd.DataFrame(itertools.product(range(75), repeat=2), columns=["layer_a", "layer_b"])
    one = frames["layer_correlations"].iloc[[0]].drop(columns=["layer_a", "layer_b"])
    table = one.merge(pairs, how="cross")
    spec = draw("layer_correlations", {**frames, "layer_correlations": table}).to_dict()
    assert len(rows(spec)) == 75**2 > 5000


def test_a_profile_has_a_line_a_model_and_a_panel_a_measure(frames: Frames, specs: Specs) -> None:
    spec = specs["correlation_profile"]
    assert len(rows(spec, spec)) == len(frames["correlation_profile"])
    labels = frames["correlation_profile"].drop_duplicates("measure").set_index("measure")
    order = ["pearson_all", "pearson_cls", "cka_all", "cka_cls"]
    assert spec["facet"]["column"]["sort"] == labels.loc[order, "measure_label"].tolist()
    line = spec["spec"]["layer"][0]
    assert line["mark"]["type"] == "line"
    assert line["encoding"]["detail"]["field"] == "model"


def test_legend_of_a_profile_lists_the_models_that_have_a_line(frames: Frames) -> None:
    profile = frames["correlation_profile"]
    lines = profile[profile["architecture_label"] != "ResNet-B"]
    spec = draw("correlation_profile", {**frames, "correlation_profile": lines}).to_dict()
    colours = style_of(frames["models"])
    colour_of = dict(zip(colours.labels, colours.colours, strict=True))
    for channel in ("color", "shape", "strokeDash"):
        for encoding in encodings(spec, channel):
            assert encoding["scale"]["domain"] == ["ResNet-S", *VITS]
    # Those that are left look as they do in every chart.
    scale = next(encodings(spec, "color"))["scale"]
    assert scale["range"] == [colour_of[label] for label in scale["domain"]]


def test_rows_of_panels_stay_aligned_where_a_model_is_missing(frames: Frames) -> None:
    gone = (frames["lesions"]["architecture_label"] == "ViT-B/8") & (
        frames["lesions"]["pretraining_label"] == "Medium"
    )
    spec = draw("lesions", {**frames, "lesions": frames["lesions"][~gone]}).to_dict()
    *_, last = parts(spec)
    drawn = rows(spec, last)
    assert set(drawn["pretraining_label"]) == set(PRETRAINING)
    assert drawn.loc[drawn["pretraining_label"] == "Medium", "accuracy"].isna().all()
    assert vl_convert.vegalite_to_svg(spec)


@pytest.mark.parametrize("name", NAMES)
def test_no_line_of_a_tooltip_hides_another(name: str, specs: Specs) -> None:
    for tooltip in encodings(specs[name], "tooltip"):
        titles = [line["title"] for line in tooltip]
        assert len(set(titles)) == len(titles)


def test_architectures_of_a_large_study_are_wrapped(frames: Frames) -> None:
    sizes = [f"ViT-{number}/8" for number in range(10)]
    copies = {
        name: pd.concat(
            [
                frame[frame["architecture_label"] == "ViT-S/8"].assign(
                    architecture_label=label, model=label, size=label
                )
                for label in sizes
            ]
        )
        for name, frame in frames.items()
    }
    spec = draw("lesions_single", copies).to_dict()
    assert spec["columns"] == 5
    assert width_of(spec) <= 1150


def test_every_chart_of_the_section_is_tried() -> None:
    assert {*CURVES, "heads", "layer_correlations", "correlation_profile"} == set(NAMES)
