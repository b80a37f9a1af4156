"""Charts: what is drawn is what the tables say, and every eye can tell the models apart."""

import itertools
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from perturb.charts.catalogue import CHARTS
from perturb.charts.draw import draw
from perturb.charts.save import save_chart
from perturb.charts.style import look, nice_log_ticks, ramp
from tests.study_tables import table_of, tables_of
from tests.synthetic_study import ARCHITECTURES, make_study

Frames = Mapping[str, pd.DataFrame]

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
    tables = tables_of(make_study(folder, num_images=30), folder / "tables")
    return {name: pq.read_table(path).to_pandas() for name, path in tables.items()}


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
    colours = [colour for family in ("resnet", "vit") for colour in ramp(family, count)]
    assert len(set(colours)) == 2 * count
    for one, other in itertools.combinations(colours, 2):
        distance = np.linalg.norm(lab(one, deficiency) - lab(other, deficiency))
        # 2.3 is just noticeable; marks also differ in shape, place and area.
        assert distance > 7, (one, other, distance)


def test_look_is_colour_by_size_shape_by_patch_area_by_parameters(frames: Frames) -> None:
    looks = look(frames["models"])
    assert looks.labels == ["ResNet-S", "ResNet-B", "ViT-S/4", "ViT-S/8", "ViT-B/8"]
    assert looks.colours[2] == looks.colours[3] != looks.colours[4]
    assert looks.shapes == ["circle", "circle", "diamond", "square", "square"]
    by_size = sorted(zip([row[3] for row in ARCHITECTURES], range(5), strict=True))
    labels = ["ResNet-S", "ResNet-B", "ViT-S/8", "ViT-S/4", "ViT-B/8"]
    areas = [looks.areas[looks.labels.index(labels[place])] for _, place in by_size]
    assert areas == sorted(areas)


def test_look_does_not_depend_on_which_rows_a_chart_shows(frames: Frames) -> None:
    assert look(frames["models"].iloc[::-1]) == look(frames["models"])


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


def test_benchmarks_show_every_row_with_its_interval(frames: Frames) -> None:
    spec = draw("robustness_benchmarks", frames).to_dict()
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


def test_heatmap_has_a_cell_for_every_corruption_and_model(frames: Frames) -> None:
    spec = draw("corruption_heatmap", frames).to_dict()
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


def _data(spec: dict[str, Any]) -> list[dict[str, Any]]:
    [rows] = spec["datasets"].values()
    return rows


def test_saved_charts_need_no_network(frames: Frames, tmp_path: Path) -> None:
    paths = {kind: tmp_path / f"chart.{kind}" for kind in ("html", "svg", "png")}
    save_chart(draw("robustness_benchmarks", frames), **paths)
    html = paths["html"].read_text()
    assert "<script src=" not in html
    assert "<link" not in html
    svg = paths["svg"].read_text()
    width = float(svg.split('width="')[1].split('"')[0])
    header = paths["png"].read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    assert struct.unpack(">I", header[16:20])[0] == pytest.approx(2 * width, abs=2)


@pytest.mark.parametrize(
    "shape",
    [
        {"pretraining": ["Small"]},
        {"architectures": ARCHITECTURES[:2]},
        {"architectures": ARCHITECTURES[2:3], "pretraining": ["Small"]},
        {"corruptions": ("fog",), "severities": (3,)},
    ],
    ids=["one pre-training set", "one family", "one model", "one corruption"],
)
def test_small_studies_have_charts_too(tmp_path: Path, shape: dict[str, Any]) -> None:
    study = make_study(tmp_path, num_images=6, **shape)
    needed = {table for chart in CHARTS.values() for table in chart.tables}
    frames = {name: table_of(study, name).to_pandas() for name in needed}
    for name in CHARTS:
        assert json.dumps(draw(name, frames).to_dict(), allow_nan=False)
