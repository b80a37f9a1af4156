"""Tables of layer correlations, against values computed by hand and by pandas."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from perturb.experiments.layer_correlations.similarity import SCHEMA
from perturb.tables.run import make_table
from tests.hand_made import Rows, decided, resnet, vit, written
from tests.study_tables import rows_where, table_of
from tests.synthetic_study import Study


def test_correlations_equal_pandas(fog_study: Study, joined_fog: Study) -> None:
    given = pd.concat([pd.read_parquet(path) for path in fog_study.representations])
    pairs = given[given["image_id"].isna()].set_index(["model", "measure", "layer_a", "layer_b"])
    rows = table_of(joined_fog, "layer_correlations").to_pylist()
    assert len(rows) == len(pairs)
    for row in rows:
        own = pairs.loc[row["model"], row["measure"], row["layer_a"], row["layer_b"]]
        assert row["value"] == own["value"]
        if row["measure"].startswith("pearson"):
            half_width = stats.t.ppf(0.975, 29) * own["spread"] / math.sqrt(30)
            assert row["value_high"] - row["value"] == pytest.approx(half_width, abs=1e-12)
    others = pairs[pairs.index.get_level_values(2) != pairs.index.get_level_values(3)]
    means = others.groupby(level=[0, 1, 2])["value"].mean()
    profile = table_of(joined_fog, "correlation_profile").to_pylist()
    assert len(profile) == len(means)
    for row in profile:
        assert row["value"] == pytest.approx(
            means[row["model"], row["measure"], row["layer"]], abs=1e-12
        )
    [last] = rows_where(
        table_of(joined_fog, "correlation_profile"),
        model="vit-b8-large",
        measure="cka_cls",
        layer=5,
    )
    assert (last["depth"], last["measure_label"]) == (1, "CKA, class token")


def alike(model: str, values: Sequence[Sequence[float]], **changes: Any) -> Rows:
    """Return the similarities of the layers of a model, in one measure."""
    return [
        {
            "model": model,
            "measure": "pearson_all",
            "layer_a": a,
            "layer_b": b,
            "value": value,
            "spread": 0.1,
            "num_images": 2,
            **changes,
        }
        for a, row in enumerate(values)
        for b, value in enumerate(row)
    ]


def rising(model: str, *rises: float) -> Rows:
    """Return the rise of correlation from the first layers to the last, for each image."""
    return [
        {"model": model, "measure": "pearson_all_rise", "value": rise, "image_id": f"i{place}"}
        for place, rise in enumerate(rises)
    ]


# The first two layers have 0.2 in common, the last two 0.7.
FOUR = [[1, 0.2, 0.1, 0.1], [0.2, 1, 0.1, 0.1], [0.1, 0.1, 1, 0.7], [0.1, 0.1, 0.7, 1]]


def represented(folder: Path, rows: Rows) -> dict[str, Path]:
    """Write the sources of tables of correlations for a ViT of four blocks."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), folder / "correlations.parquet")
    models = written(folder, [vit("a", 8, num_blocks=4), resnet("r")], decided("a", "1"))["models"]
    return {"models": models, "representations": folder / "correlations.parquet"}


def test_profile_by_hand(tmp_path: Path) -> None:
    sources = represented(tmp_path, [*alike("a", FOUR), *rising("a", 0.4, 0.6)])
    rows = make_table("correlation_profile", sources).to_pylist()
    assert [row["depth"] for row in rows] == [0, 1 / 3, 2 / 3, 1]
    assert [row["value"] for row in rows] == pytest.approx([0.4 / 3, 0.4 / 3, 0.3, 0.3])
    assert make_table("layer_correlations", sources).num_rows == 16
