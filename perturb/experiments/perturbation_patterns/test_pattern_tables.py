"""Measures of perturbation patterns, and claim C8 on them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from perturb.experiments.perturbation_patterns.measures import SCHEMA
from tests.hand_made import Rows, decided, resnet, vit, written
from tests.study_tables import claims_of, rows_where, table_of
from tests.synthetic_study import Study, make_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("study"), extras=("patterns",), corruptions=["fog"])


@pytest.fixture(scope="module")
def patterns(study: Study) -> pd.DataFrame:
    return pa.concat_tables([pq.read_table(path) for path in study.patterns]).to_pandas()


def measured(model: str, patch_px: int, ratios: Mapping[int, float | None]) -> Rows:
    """Return measures of some images."""
    return [
        {"model": model, "image_id": f"image-{image}", "patch_px": patch_px}
        | {"border_ratio": ratio, "foreground_ratio": None}
        for image, ratio in ratios.items()
    ]


def sources_of(folder: Path, models: Rows, rows: Rows) -> dict:
    """Write the measures to one file, with the types of a study."""
    path = folder / "patterns.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), path)
    predictions = [row for model in models for row in decided(model["model"], "10")]
    return written(folder, models, predictions, patterns=[path])


def _student(num_images: int) -> float:
    """Return the 97.5 % point of Student's t for a mean over so many images."""
    return float(stats.t.ppf(0.975, num_images - 1))


def test_means_and_intervals_equal_pandas(study: Study, patterns: pd.DataFrame) -> None:
    table = table_of(study, "perturbation_patterns")
    assert table.num_rows == 15 * 2
    for row in table.to_pylist():
        own = patterns[
            (patterns["model"] == row["model"]) & (patterns["patch_px"] == row["patch_px"])
        ]
        for name, count in (
            ("border_ratio", "num_images"),
            ("foreground_ratio", "num_foregrounds"),
        ):
            values = own[name].dropna().astype(float)
            half_width = _student(len(values)) * values.std() / np.sqrt(len(values))
            assert row[count] == len(values)
            assert row[name] == pytest.approx(values.mean(), abs=1e-12)
            assert row[f"{name}_high"] - row[name] == pytest.approx(half_width, abs=1e-12)
        assert row["is_own_patch"] == (row["patch_size"] == row["patch_px"])


def test_claim_compares_families_on_the_same_grids(study: Study, patterns: pd.DataFrame) -> None:
    """ResNets' grids count as the ViTs': two of three architectures have patches of 8 px."""
    wide = patterns.pivot(index="image_id", columns=["model", "patch_px"], values="border_ratio")
    wide = wide.astype(float)
    models = sorted({model for model, _ in wide.columns})
    vits = [model for model in models if model.startswith("vit")]
    own = {model: 4 if "4" in model else 8 for model in vits}
    of_vits = sum(wide[model, own[model]] for model in vits) / len(vits)
    resnets = [model for model in models if model.startswith("resnet")]
    of_resnets = sum((wide[model, 4] + 2 * wide[model, 8]) / 3 for model in resnets) / len(resnets)
    first, second = rows_where(table_of(study, "claims"), claim="C8")
    for row, images in ((first, of_vits - of_resnets), (second, of_vits)):
        half_width = _student(len(images)) * images.std() / np.sqrt(len(images))
        assert row["estimate"] == pytest.approx(images.mean(), abs=1e-12)
        assert row["estimate_high"] - row["estimate"] == pytest.approx(half_width, abs=1e-12)
        assert (row["num_images"], row["verdict"]) == (30, "supported")
    assert (first["num_models"], second["num_models"]) == (15, 9)


def test_images_that_a_model_lacks_by_hand(tmp_path: Path) -> None:
    """Two images for the ViT, another two for the ResNet, one of them shared."""
    rows = [*measured("v", 8, {0: 2.0, 1: 4.0, 2: None}), *measured("r", 8, {1: 1.0, 2: 2.0})]
    table = claims_of(sources_of(tmp_path, [vit("v", 8), resnet("r")], rows))
    first, second = rows_where(table, claim="C8")
    assert (first["estimate"], first["num_images"]) == (1.5, 3)
    assert second["estimate"] == 3
    # Distances from the means, 3 and 1.5, over 2 images each: clustered by image.
    terms = np.array([-1 / 2, 1 / 2 + 0.5 / 2, -0.5 / 2])
    half_width = _student(3) * np.sqrt(3 / 2 * (terms**2).sum())
    assert first["estimate_high"] - 1.5 == pytest.approx(half_width, abs=1e-12)
