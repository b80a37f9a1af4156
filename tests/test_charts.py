"""Charts: what is drawn is what the tables say, and every eye can tell the models apart."""

import functools
import itertools
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import vl_convert

from perturb.charts.save import save_chart
from perturb.charts.style import FAMILIES, nice_log_ticks, ramp, style_of
from perturb.experiments.drawing import draw
from perturb.experiments.registry import charts_of
from tests.study_tables import CHARTS, table_of, tables_of, with_runs
from tests.synthetic_study import ARCHITECTURES, make_study

Frames = Mapping[str, pd.DataFrame]
SpecOf = Callable[[str], dict[str, Any]]

# Machado, Oliveira, Fernandes, IEEE TVCG 15 (2009), severity 1, on linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
}  # fmt: skip


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    folder = tmp_path_factory.mktemp("charts")
    study = make_study(folder, num_images=30).joined()
    tables = tables_of(study, folder / "tables")
    found = {name: pq.read_table(path).to_pandas() for name, path in tables.items()}
    (folder / "runs").mkdir()
    of_runs = with_runs(study, folder / "runs")
    names = ("training_runs", "single_runs")
    return found | {name: table_of(of_runs, name).to_pandas() for name in names}


@pytest.fixture(scope="module")
def spec_of(frames: Frames) -> SpecOf:
    """Return what draws a chart of the study, once."""
    return functools.cache(lambda name: draw(name, frames).to_dict())


def lab(colour: str, deficiency: str) -> np.ndarray:
    """Return CIE L*a*b* of a colour as a reader with the deficiency sees it."""
    channels = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    linear = np.where(channels > 0.04045, ((channels + 0.055) / 1.055) ** 2.4, channels / 12.92)
    seen = np.clip(np.array(DEFICIENCIES[deficiency]) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ seen / [0.9505, 1.0, 1.089]
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


@pytest.mark.parametrize("deficiency", list(DEFICIENCIES))
@pytest.mark.parametrize("count", [2, 3, 5])
def test_families_and_sizes_differ_for_every_eye(deficiency: str, count: int) -> None:
    colours = [colour for family in FAMILIES for colour in ramp(family, count)]
    assert len(set(colours)) == 3 * count
    for one, other in itertools.combinations(colours, 2):
        distance = np.linalg.norm(lab(one, deficiency) - lab(other, deficiency))
        # 2.3 is just noticeable; marks also differ in shape, place and area.
        assert distance > 7, (one, other, distance)


def test_look_is_colour_by_size_shape_by_patch_area_by_parameters(frames: Frames) -> None:
    looks = style_of(frames["models"])
    assert looks.labels == ["ResNet-S", "ResNet-B", "ViT-S/4", "ViT-S/8", "ViT-B/8"]
    assert looks.colours[2] == looks.colours[3] != looks.colours[4]
    assert looks.shapes == ["circle", "circle", "diamond", "square", "square"]
    by_size = sorted(zip([row[3] for row in ARCHITECTURES], range(5), strict=True))
    labels = ["ResNet-S", "ResNet-B", "ViT-S/8", "ViT-S/4", "ViT-B/8"]
    areas = [looks.areas[looks.labels.index(labels[place])] for _, place in by_size]
    assert areas == sorted(areas)


def test_look_does_not_depend_on_which_rows_a_chart_shows(frames: Frames) -> None:
    assert style_of(frames["models"].iloc[::-1]) == style_of(frames["models"])


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (50_000, 600_000, [50_000, 100_000, 200_000, 500_000]),
        (0.008, 0.3, [0.01, 0.02, 0.05, 0.1, 0.2]),
        (113_600, 177_500, [142_000]),
    ],
)
def test_log_ticks(low: float, high: float, ticks: list[float]) -> None:
    assert nice_log_ticks(low, high) == ticks


@pytest.mark.parametrize("name", list(CHARTS))
def test_chart_is_drawn_from_its_tables_alone(frames: Frames, name: str) -> None:
    needed = {table: frames[table] for table in CHARTS[name].tables}
    spec = draw(name, needed).to_dict()
    assert json.dumps(spec, allow_nan=False)
    dropped = dict(list(needed.items())[1:])
    with pytest.raises(ValueError, match="are missing; needed"):
        draw(name, dropped)


def test_unknown_chart_is_refused(frames: Frames) -> None:
    with pytest.raises(ValueError, match="chart is 'pie'; allowed: robustness_benchmarks"):
        draw("pie", frames)


def test_benchmarks_show_every_row_with_its_interval(frames: Frames, spec_of: SpecOf) -> None:
    spec = spec_of("robustness_benchmarks")
    assert len(_data(spec)) == len(frames["accuracy"]) == 60
    assert spec["facet"]["column"]["sort"] == [
        "Clean",
        "Corruptions",
        "Renditions",
        "Natural adversarial",
    ]
    marks = [layer["mark"]["type"] for layer in spec["spec"]["layer"]]
    assert marks == ["point", "rule"]
    offsets = spec["spec"]["layer"][0]["encoding"]["xOffset"]["scale"]["domain"]
    middle = offsets.index("between")
    # The tick stays in the middle: as many places left of it as right.
    assert middle == len(offsets) - 1 - middle
    assert all(not place.startswith("ViT") for place in offsets[:middle])


def test_heatmap_has_a_cell_for_every_corruption_and_model(spec_of: SpecOf) -> None:
    spec = spec_of("corruption_heatmap")
    cells = pd.DataFrame(_data(spec))
    # 19 corruptions, clean images and the mean; 15 models.
    assert len(cells) == 21 * 15
    domain = spec["spec"]["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert [row for row in domain if not row.endswith(":")] == list(dict.fromkeys(cells["row"]))
    assert [row for row in domain if row.endswith(":")] == [
        "Overall:",
        "Noise:",
        "Blur:",
        "Weather:",
        "Digital:",
        "Extra:",
    ]


def test_model_size_leaves_out_what_a_logarithm_cannot_show(frames: Frames) -> None:
    points = frames["scaling_models"].copy()
    points.loc[0, ["error", "error_low"]] = 0.0
    spec = draw("model_size", {**frames, "scaling_models": points}).to_dict()
    assert len(_data(spec)) == len(points) - 1


def test_attacks_stand_beside_the_same_images_unattacked(frames: Frames, spec_of: SpecOf) -> None:
    spec = spec_of("adversarial")
    panels = ["Clean", "FGSM", "PGD", "Attack ensemble", "Adversarial spatial"]
    assert spec["facet"]["column"]["sort"] == panels
    rows = pd.DataFrame(_data(spec))
    assert len(rows) == len(frames["attacks"]) == 5 * 15
    assert set(rows["test_set_label"]) == set(panels)
    # One form: the same layers with the same scales as in Figure 2.
    other = spec_of("robustness_benchmarks")
    for channel in ("xOffset", "color", "shape", "size", "y"):
        scales = [one["spec"]["layer"][0]["encoding"][channel]["scale"] for one in (spec, other)]
        assert scales[0] == scales[1], channel


def test_curves_start_clean_and_follow_the_last_stage(frames: Frames, spec_of: SpecOf) -> None:
    curve = frames["adversarial_accuracy"]
    rows = pd.DataFrame(_data(spec_of("robust_accuracy")))
    # 15 models, 3 attacks, 3 epsilons and the start.
    assert len(rows) == 15 * 3 * 4
    assert set(rows["condition"]) == {"fgsm", "pgd", "square"}
    starts = rows[rows["epsilon_gray"] == 0]
    clean = curve.drop_duplicates("model").set_index("model")
    for end in ("", "_low", "_high"):
        expected = clean.loc[starts["model"], f"clean_accuracy{end}"].to_numpy()
        assert starts[f"accuracy{end}"].to_numpy() == pytest.approx(expected)
    assert not starts["is_headline"].any()


def test_marks_of_a_curve_stand_aside_by_as_many_px_everywhere(
    frames: Frames, spec_of: SpecOf
) -> None:
    spec = spec_of("robust_accuracy")
    rows = pd.DataFrame(_data(spec))
    scale = spec["spec"]["layer"][0]["encoding"]["x"]["scale"]
    assert scale["type"] == "symlog"

    def px(value: pd.Series) -> pd.Series:
        return (
            spec["spec"]["width"]
            * np.log1p(value / scale["constant"])
            / np.log1p(scale["domain"][1] / scale["constant"])
        )

    aside = (px(rows["place"]) - px(rows["epsilon_gray"])).groupby(rows["architecture_label"])
    assert aside.std().max() < 1e-6
    means = aside.mean()[style_of(frames["models"]).labels].to_numpy()
    assert np.diff(means) == pytest.approx(2.5)
    assert means.mean() == pytest.approx(0)


def test_transfer_is_ordered_by_family_then_pretraining_then_size(spec_of: SpecOf) -> None:
    [spec] = spec_of("transfer_heatmap")["vconcat"]
    boxes = spec["layer"][0]["encoding"]
    sources, targets = boxes["y"]["scale"]["domain"], boxes["x"]["scale"]["domain"]
    assert sources == targets
    assert sources[:3] == ["ResNet-S · Small", "ResNet-B · Small", "ResNet-S · Medium"]
    assert sources[6:9] == ["ViT-S/4 · Small", "ViT-S/8 · Small", "ViT-B/8 · Small"]
    lines = [layer for layer in spec["layer"] if layer["mark"]["type"] == "rule"]
    borders = {
        (channel, line["encoding"][channel]["datum"]): line["mark"]["strokeWidth"]
        for line in lines
        for channel in line["encoding"]
    }
    thick = [place for place, width in borders.items() if width == max(borders.values())]
    assert thick == [("x", "ViT-S/4 · Small"), ("y", "ViT-S/4 · Small")]
    assert len(borders) == 2 * 5


def test_transfer_marks_a_model_on_its_own_images(spec_of: SpecOf) -> None:
    chart = spec_of("transfer_heatmap")
    boxes, *_, framed = chart["vconcat"][0]["layer"]
    assert framed["transform"] == [{"filter": "datum.source == datum.target"}]
    assert framed["mark"]["stroke"]
    rows = pd.DataFrame(_data(chart, boxes))
    assert len(rows) == 15 * 15
    assert (rows["source"] == rows["target"]).sum() == 15


def test_every_epsilon_of_transfer_has_a_heat_map_on_one_scale(frames: Frames) -> None:
    once = frames["transfer"]
    stronger = once.assign(epsilon_gray=2 * once["epsilon_gray"], accuracy=0.5 * once["accuracy"])
    both = pd.concat([once, stronger], ignore_index=True)
    parts = draw("transfer_heatmap", {"transfer": both}).to_dict()["vconcat"]
    assert [part["title"] for part in parts] == [
        "Epsilon: 4 of 255 gray levels",
        "Epsilon: 8 of 255 gray levels",
    ]
    domains = [part["layer"][0]["encoding"]["color"]["scale"]["domain"] for part in parts]
    assert domains[0] == domains[1]
    assert domains[0][0] <= both["accuracy"].min()


def test_spatial_heatmap_has_a_panel_a_model(frames: Frames, spec_of: SpecOf) -> None:
    spec = spec_of("spatial_heatmap")
    assert spec["facet"]["column"]["sort"] == style_of(frames["models"]).labels
    assert spec["facet"]["row"]["sort"] == ["Small", "Medium", "Large"]
    encoding = spec["spec"]["layer"][0]["encoding"]
    assert encoding["x"]["sort"][0] == "-30 to -20"
    assert encoding["x"]["sort"][-1] == "20 to 30"
    assert len(_data(spec)) == len(frames["spatial_grid"])


def test_shape_bias_stands_beside_the_rates_it_comes_from(frames: Frames, spec_of: SpecOf) -> None:
    spec = spec_of("shape_bias")
    panels = spec["facet"]["column"]["sort"]
    assert panels == ["Shape bias", "Shape predictions", "Texture predictions"]
    rows = pd.DataFrame(_data(spec))
    bias = frames["shape_bias"]
    for panel, column in zip(panels, ("shape_bias", "shape_rate", "texture_rate"), strict=True):
        drawn = rows[rows["panel"] == panel].set_index("model")
        for end in ("", "_low", "_high"):
            expected = bias.set_index("model")[f"{column}{end}"]
            assert drawn[f"share{end}"].to_dict() == pytest.approx(expected.to_dict())


def test_two_cue_conflict_sets_are_told_apart(frames: Frames) -> None:
    bias = frames["shape_bias"]
    both = pd.concat([bias, bias.assign(dataset="second")], ignore_index=True)
    spec = draw("shape_bias", {**frames, "shape_bias": both}).to_dict()
    assert len(spec["facet"]["sort"]) == 6
    assert spec["facet"]["sort"][-1] == "Texture predictions (second)"


def test_the_papers_numbers_lie_across_ours(frames: Frames, spec_of: SpecOf) -> None:
    spec = spec_of("paper_comparison")
    comparison = frames["paper_comparison"]
    rows = pd.DataFrame(_data(spec))
    assert len(rows) == len(comparison)
    assert spec["facet"]["sort"] == list(dict.fromkeys(comparison["quantity_label"]))
    filled, hollow, across, upwards, diagonal = spec["spec"]["layer"]
    assert filled["transform"] == [{"filter": "datum.is_within"}]
    assert hollow["transform"] == [{"filter": "!datum.is_within"}]
    assert hollow["mark"]["filled"] is False
    assert (across["encoding"]["x"]["field"], across["encoding"]["x2"]["field"]) == (
        "paper_low",
        "paper_high",
    )
    assert upwards["encoding"]["y2"]["field"] == "ours_high"
    assert [diagonal["encoding"][end] for end in ("x", "y", "x2", "y2")] == [
        {"datum": 0},
        {"datum": 0},
        {"datum": 1},
        {"datum": 1},
    ]
    bounds = rows[rows["is_upper_bound"]]
    assert len(bounds)
    assert (bounds["paper_low"] == 0).all()
    others = rows[~rows["is_upper_bound"]]
    assert (others["paper_high"] - others["paper_low"]).to_numpy() == pytest.approx(0.01)


def test_patterns_show_vits_on_their_own_patches_and_resnets_on_all(
    frames: Frames, spec_of: SpecOf
) -> None:
    chart = spec_of("pattern_alignment")
    borders, objects = (pd.DataFrame(_data(chart, part)) for part in chart["hconcat"])
    shown = borders.groupby("architecture_label")["patch_px"].agg(lambda column: set(column))
    assert shown.to_dict() == {
        "ResNet-S": {4, 8},
        "ResNet-B": {4, 8},
        "ViT-S/4": {4},
        "ViT-S/8": {8},
        "ViT-B/8": {8},
    }
    assert len(objects) == 15
    table = frames["perturbation_patterns"]
    assert set(objects["num_images"]) == set(table["num_foregrounds"]) != set(table["num_images"])
    line = chart["hconcat"][0]["spec"]["layer"][-1]
    assert line["encoding"]["y"] == {"datum": 1.0}


def test_patterns_without_masks_have_no_panel_of_the_object(frames: Frames) -> None:
    patterns = frames["perturbation_patterns"].copy()
    patterns[["foreground_ratio", "foreground_ratio_low", "foreground_ratio_high"]] = np.nan
    chart = draw("pattern_alignment", {**frames, "perturbation_patterns": patterns}).to_dict()
    assert len(chart["hconcat"]) == 1


@pytest.mark.parametrize("name", list(CHARTS))
def test_charts_fit_on_the_page(spec_of: SpecOf, name: str) -> None:
    picture = vl_convert.vegalite_to_svg(spec_of(name))
    assert float(picture.split('width="', 1)[1].split('"', 1)[0]) <= 1150


@pytest.mark.parametrize(("num_panels", "columns"), [(1, None), (5, None), (6, 3), (7, 4), (12, 4)])
def test_panels_are_narrowed_and_then_wrapped(
    frames: Frames, num_panels: int, columns: int | None
) -> None:
    one = frames["accuracy"][frames["accuracy"]["test_set"] == "clean"]
    several = [one.assign(test_set_label=f"Set {number}") for number in range(num_panels)]
    tables = {**frames, "accuracy": pd.concat(several, ignore_index=True)}
    spec = draw("robustness_benchmarks", tables).to_dict()
    assert spec.get("columns") == columns
    picture = vl_convert.vegalite_to_svg(spec)
    assert float(picture.split('width="', 1)[1].split('"', 1)[0]) <= 1150


def _data(chart: dict[str, Any], part: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the rows that a chart, or one part of it, is drawn from."""
    if part is not None:
        return chart["datasets"][part["data"]["name"]]
    [rows] = chart["datasets"].values()
    return rows


@pytest.mark.parametrize(
    ("available", "more"),
    [
        (set(), set()),
        ({"none", "corruptions"}, {"corruption_heatmap"}),
        ({"attacks"}, {"adversarial", "robust_accuracy"}),
        ({"fgsm", "transfer"}, {"transfer_heatmap"}),
        ({"spatial", "cue_conflict"}, {"spatial_heatmap", "shape_bias"}),
        ({"patterns"}, {"pattern_alignment"}),
        ({"paper"}, {"paper_comparison"}),
    ],
)
def test_a_study_has_the_charts_that_it_can_draw(available: set[str], more: set[str]) -> None:
    confidence = {"reliability_diagram", "calibration_by_severity", "risk_coverage_curves"}
    always = {"robustness_benchmarks", "model_size", "data_scaling", "data_gaps"} | confidence
    always |= {"effective_robustness", "error_consistency", "overview"}
    assert set(charts_of(available)) == always | more


def test_saved_charts_need_no_network(frames: Frames, tmp_path: Path) -> None:
    paths = {kind: tmp_path / f"chart.{kind}" for kind in ("json", "html", "svg", "png", "pdf")}
    save_chart(draw("robustness_benchmarks", frames), **paths)
    html = paths["html"].read_text()
    assert "<script src=" not in html
    assert "<link" not in html
    svg = paths["svg"].read_text()
    width = float(svg.split('width="')[1].split('"')[0])
    header = paths["png"].read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    assert struct.unpack(">I", header[16:20])[0] == pytest.approx(2 * width, abs=2)
    assert paths["pdf"].read_bytes().startswith(b"%PDF")


def test_curve_of_a_single_epsilon(frames: Frames) -> None:
    curve = frames["adversarial_accuracy"]
    one = {**frames, "adversarial_accuracy": curve[curve["is_headline"]]}
    spec = draw("robust_accuracy", one).to_dict()
    assert spec["spec"]["layer"][0]["encoding"]["x"]["axis"]["values"] == [0, 4]
    assert len(_data(spec)) == 15 * 3 * 2
