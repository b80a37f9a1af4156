"""Tables against brute force, published values and themselves: same input, same bytes."""

import math
from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from perturb.perturbations.names import BENCHMARK_CORRUPTIONS, CORRUPTIONS
from perturb.statistics import rank_correlation, spearman
from perturb.tables.catalogue import FOLDER, TABLES, code_of, columns
from perturb.tables.display import formatted, grid
from perturb.tables.run import make_table
from perturb.tables.write import csv_text, latex_text, markdown_text, write_table
from tests.synthetic_study import SHARD, Study, make_study, shard, table_of, tables_of, write_shard

ROOT = Path(__file__).parent.parent
ALEXNET = ROOT / "resources" / "alexnet_errors.csv"
PAPER_GRID = [
    ("resnet", "50x1", None, 23_000_000, 1.5),
    ("resnet", "152x4", None, 965_000_000, 2.0),
    ("vit", "B", 32, 88_000_000, 1.3),
    ("vit", "B", 16, 86_000_000, 1.5),
    ("vit", "L", 32, 307_000_000, 1.5),
    ("vit", "L", 16, 305_000_000, 1.8),
    ("vit", "H", 14, 632_000_000, 2.0),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def decisions(study: Study) -> pd.DataFrame:
    return pa.concat_tables([pq.read_table(path) for path in study.decisions]).to_pandas()


def sql(expression: str) -> float:
    with duckdb.connect() as connection:
        connection.execute((FOLDER / "macros.sql").read_text())
        found = connection.execute(f"SELECT {expression}").fetchone()
    assert found is not None
    return found[0]


def rows_where(table: pa.Table, **values: object) -> list[dict]:
    return [row for row in table.to_pylist() if all(row[k] == v for k, v in values.items())]


def per_image(decisions: pd.DataFrame, model: str, conditions: Sequence[str]) -> np.ndarray:
    """Return the fraction of wrong decisions, (corruptions, images), images in order."""
    own = decisions[(decisions["model"] == model) & (decisions["dataset"] == "shapes")]
    wrong = own.assign(wrong=~own["is_correct"])
    means = wrong.groupby(["condition", "image_id"], observed=True)["wrong"].mean().unstack()
    return means.loc[list(conditions)].to_numpy()


# The first four: Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 1 - 0.1611, 1.0),
    ],
)
def test_wilson_interval_has_published_values(
    successes: int, trials: int, low: float, high: float
) -> None:
    assert sql(f"wilson_low({successes}, {trials})") == pytest.approx(low, abs=5e-5)
    assert sql(f"wilson_high({successes}, {trials})") == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize(
    ("low", "high", "side", "threshold", "expected"),
    [
        (0.6, 0.9, "above", 0.5, "supported"),
        (0.4, 0.9, "above", 0.5, "undecided"),
        (0.1, 0.4, "above", 0.5, "contradicted"),
        (-0.3, -0.1, "below", 0.0, "supported"),
        (-0.3, 0.1, "below", 0.0, "undecided"),
        (0.1, 0.3, "below", 0.0, "contradicted"),
        ("NULL", "NULL", "below", 0.0, "not testable"),
        # An end on the threshold is not beyond it.
        (0.5, 0.9, "above", 0.5, "undecided"),
    ],
)
def test_verdict(low: object, high: object, side: str, threshold: float, expected: str) -> None:
    assert sql(f"verdict({low}, {high}, '{side}', {threshold})") == expected


def test_accuracy_of_single_decisions(study: Study, decisions: pd.DataFrame) -> None:
    table = table_of(study, "accuracy")
    [row] = rows_where(table, model="vit-b8-large", test_set="renditions")
    own = decisions[(decisions["model"] == row["model"]) & (decisions["dataset"] == "renditions")]
    assert row["num_images"] == row["num_decisions"] == len(own)
    assert row["accuracy"] == own["is_correct"].mean()
    assert row["interval"] == "Wilson"
    assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]


def test_accuracy_under_corruptions_is_clustered_by_image(
    study: Study, decisions: pd.DataFrame
) -> None:
    [row] = rows_where(table_of(study, "accuracy"), model="vit-b8-large", test_set="corruptions")
    # Every image under 15 x 5 conditions; the four extra corruptions are not in the mean.
    right = 1 - per_image(decisions, "vit-b8-large", BENCHMARK_CORRUPTIONS).mean(0)
    half_width = 1.959963984540054 * right.std(ddof=1) / math.sqrt(len(right))
    assert row["num_decisions"] == 75 * len(right)
    assert row["accuracy"] == pytest.approx(right.mean(), abs=1e-12)
    assert row["accuracy_high"] - row["accuracy"] == pytest.approx(half_width, abs=1e-12)
    unclustered = math.sqrt(right.mean() * (1 - right.mean()) / (75 * len(right)))
    assert half_width > 2 * 1.96 * unclustered


def test_corruption_error_equals_brute_force_and_bootstrap(
    study: Study, decisions: pd.DataFrame
) -> None:
    reference = table_of(study, "reference_errors").to_pandas()
    sums = reference.groupby("corruption")["error"].sum()
    [row] = rows_where(table_of(study, "corruption_error"), model="resnet-s-small")
    wrong = 5 * per_image(decisions, "resnet-s-small", BENCHMARK_CORRUPTIONS)
    clean = per_image(decisions, "resnet-s-small", ["none"])[0]
    denominators = sums[list(BENCHMARK_CORRUPTIONS)].to_numpy()[:, None]
    ce = wrong / denominators  # (15, images)
    relative = (wrong - 5 * clean) / (denominators - 5 * sums["none"])
    assert row["mce"] == pytest.approx(ce.mean(), abs=1e-12)
    assert row["relative_mce"] == pytest.approx(relative.mean(), abs=1e-12)
    assert row["clean_error"] == clean.mean()
    random = np.random.default_rng(1)
    drawn = random.integers(ce.shape[1], size=(2000, ce.shape[1]))
    for name, influence in (("mce", ce.mean(0)), ("relative_mce", relative.mean(0))):
        deviation = influence[drawn].mean(1).std(ddof=1)
        half_width = row[f"{name}_high"] - row[name]
        assert half_width == pytest.approx(1.96 * deviation, rel=0.05)


def test_mce_is_the_mean_of_the_benchmarks_ce(study: Study) -> None:
    means = table_of(study, "corruption_means").to_pandas()
    own = means[means["is_benchmark"]].groupby("model")["ce"].mean()
    for row in table_of(study, "corruption_error").to_pylist():
        assert own[row["model"]] == pytest.approx(row["mce"], abs=1e-12)


def test_reference_has_mce_one_and_stays_out_of_the_benchmark(study: Study) -> None:
    whole = study.with_reference()
    [row] = rows_where(table_of(whole, "corruption_error"), model="reference")
    assert row["is_reference"]
    assert row["mce"] == pytest.approx(1, abs=1e-12)
    assert row["relative_mce"] == pytest.approx(1, abs=1e-12)
    assert "reference" not in table_of(whole, "accuracy")["model"].to_pylist()
    for name in ("accuracy", "scaling", "claims", "corruption_means"):
        assert table_of(whole, name) == table_of(study, name)


def test_alexnets_own_errors_have_mce_one(tmp_path: Path) -> None:
    """50,000 images: AlexNet's published error rates are whole numbers of decisions there."""
    num_images = 50_000
    errors = pd.read_csv(ALEXNET).set_index("corruption")["error"]
    image_id = pa.array([f"{number:05d}" for number in range(num_images)])

    def decisions(perturbation: str, severity: float, wrong: dict[str, int]) -> pa.Table:
        correct = np.concatenate([np.arange(num_images) >= count for count in wrong.values()])
        names = {
            "model": ["alexnet"],
            "dataset": ["shapes"],
            "perturbation": [perturbation],
            "condition": list(wrong),
        }
        each = np.repeat(np.arange(len(wrong), dtype=np.int16), num_images)
        table = {
            "is_correct": correct,
            "image_id": pa.concat_arrays([image_id] * len(wrong)),
            "severity": np.full(len(correct), float(severity)),
            **{
                name: pa.DictionaryArray.from_arrays(each if len(values) > 1 else 0 * each, values)
                for name, values in names.items()
            },
        }
        return pa.table(table)

    paths = [tmp_path / f"{severity}.parquet" for severity in range(6)]
    pq.write_table(decisions("none", 0, {"none": round(errors["none"] * num_images)}), paths[0])
    for severity in range(1, 6):
        # Their sum over severities is five times the published mean.
        wrong = {
            name: (round(5 * errors[name] * num_images) + severity - 1) // 5
            for name in BENCHMARK_CORRUPTIONS
        }
        pq.write_table(decisions("corruptions", severity, wrong), paths[severity])
    other = make_study(tmp_path, num_images=2, pretraining=["Small"])
    models = pq.read_table(other.models)
    models = models.slice(0, 1).set_column(0, "model", pa.array(["alexnet"]))
    pq.write_table(models, tmp_path / "alexnet.parquet")
    sources = {
        "decisions": paths,
        "models": tmp_path / "alexnet.parquet",
        "datasets": other.datasets,
        "reference_errors": ALEXNET,
    }
    [row] = make_table("corruption_error", sources).to_pylist()
    assert row["mce"] == pytest.approx(1, abs=1e-12)
    assert row["relative_mce"] == pytest.approx(1, abs=1e-12)
    assert row["num_corruptions"] == 15


def test_published_constants_serve_only_five_severities(tmp_path: Path) -> None:
    study = make_study(tmp_path, num_images=4, pretraining=["Small"], severities=(1, 3))
    sources = {**study.sources("decisions", "models", "datasets"), "reference_errors": ALEXNET}
    with pytest.raises(ValueError, match=r"gaussian_noise has errors of 5 severities.* ran 2"):
        make_table("corruption_error", sources)


def test_slope_equals_a_line_fit_and_its_interval_a_bootstrap(tmp_path: Path) -> None:
    study = make_study(tmp_path, num_images=300, architectures=PAPER_GRID, pretraining=["JFT"])
    table = table_of(study, "scaling")
    [row] = rows_where(table, test_set="renditions", family_label="ViT")
    # The points of the paper's Figure 4.
    names = ["vit-b16-jft", "vit-h14-jft", "vit-l16-jft"]
    assert row["models"] == ", ".join(names)
    wrong = np.stack([_wrong(study, name, "renditions") for name in names])
    size = np.log10([86e6, 632e6, 305e6])
    slope = np.polyfit(size, np.log10(wrong.mean(1)), 1)[0]
    assert row["slope"] == pytest.approx(slope, abs=1e-9)
    random = np.random.default_rng(2)
    drawn = [wrong[:, random.integers(300, size=300)].mean(1) for _ in range(2000)]
    deviation = np.polyfit(size, np.log10(drawn).T, 1)[0].std()
    assert row["slope_high"] - row["slope"] == pytest.approx(1.96 * deviation, rel=0.06)
    [other] = rows_where(table, test_set="renditions", family_label="ResNet")
    [difference] = rows_where(table, test_set="renditions", is_difference=True)
    assert difference["slope"] == pytest.approx(row["slope"] - other["slope"], abs=1e-9)
    assert difference["num_models"] == 5


def _wrong(study: Study, model: str, dataset: str) -> np.ndarray:
    [path] = [path for path in study.decisions if {model, dataset, "none"} <= set(path.parts)]
    return ~pq.read_table(path)["is_correct"].to_numpy()


def test_fitted_points_lie_on_the_line(study: Study) -> None:
    points = table_of(study, "scaling_models").to_pandas()
    assert set(points["pretraining"]) == {"large"}
    assert set(points.loc[~points["is_fitted"], "architecture_label"]) == {"ViT-S/4"}
    # Through two points a line passes exactly.
    fitted = points[points["is_fitted"]]
    assert np.allclose(fitted["fitted_error"], fitted["error"], atol=1e-12)


def test_matched_pairs_are_paired_by_image(study: Study) -> None:
    table = table_of(study, "matched_pairs")
    [row] = rows_where(table, vit="vit-b8-large", test_set="renditions")
    assert row["resnet"] == "resnet-b-large"
    difference = _wrong(study, row["resnet"], "renditions").astype(float)
    difference -= _wrong(study, row["vit"], "renditions")
    half_width = 1.959963984540054 * difference.std(ddof=1) / math.sqrt(len(difference))
    assert row["difference"] == pytest.approx(difference.mean(), abs=1e-12)
    assert row["difference_high"] - row["difference"] == pytest.approx(half_width, abs=1e-12)


def test_sizes_without_a_common_name_are_matched_by_parameters(tmp_path: Path) -> None:
    study = make_study(tmp_path, num_images=4, architectures=PAPER_GRID, pretraining=["JFT"])
    pairs = {(row["vit"], row["resnet"]) for row in table_of(study, "matched_pairs").to_pylist()}
    # ViT-B's 86 M are further than a factor of three from both ResNets.
    assert pairs == {("vit-h14-jft", "resnet-152x4-jft")}


def test_claims_agree_with_the_tables_that_they_summarise(study: Study) -> None:
    table = table_of(study, "claims")
    pairs = rows_where(
        table_of(study, "matched_pairs"),
        pretraining_label="Large",
        test_set="corruptions",
        is_series=True,
    )
    [second] = rows_where(table, claim="C2", test_set="corruptions")
    assert second["estimate"] == pytest.approx(np.mean([pair["difference"] for pair in pairs]))
    [fourth] = rows_where(table, claim="C4", test_set="clean")
    [scaling] = rows_where(table_of(study, "scaling"), test_set="clean", is_difference=True)
    assert (fourth["estimate"], fourth["estimate_low"]) == (scaling["slope"], scaling["slope_low"])
    accuracy = table_of(study, "accuracy").to_pandas()
    wide = accuracy.pivot(index="model", columns="test_set", values="accuracy")
    [first] = rows_where(table, claim="C1", test_set="renditions")
    rho = wide["clean"].rank().corr(wide["renditions"].rank())
    assert first["estimate"] == pytest.approx(rho, abs=1e-12)
    assert first["num_models"] == 15


def test_claims_that_a_study_cannot_test_say_why(tmp_path: Path) -> None:
    study = make_study(
        tmp_path,
        num_images=8,
        architectures=[("vit", "S", 8, 100_000, 1.0)],
        pretraining=["Small"],
    )
    rows = table_of(study, "claims").to_pylist()
    assert len(rows) == 16
    assert {row["verdict"] for row in rows} == {"not testable"}
    assert {row["claim_verdict"] for row in rows} == {"not testable"}
    assert all(row["reason"] and row["estimate"] is None for row in rows)
    assert rows[0]["reason"] == "needs 5 models, this study has 1"
    assert table_of(study, "scaling").num_rows == 0


@pytest.mark.parametrize("name", [name for name in TABLES if name != "runs"])
def test_tables_are_the_same_byte_for_byte(study: Study, tmp_path: Path, name: str) -> None:
    """Whatever the order of files and rows and the number of threads."""
    shuffled = study.shuffled(tmp_path / "shuffled")
    tables = [table_of(study, name, threads=1), table_of(shuffled, name, threads=4)]
    written = []
    for place, table in enumerate(tables):
        paths = {
            kind: tmp_path / f"{place}.{kind}" for kind in ("parquet", "csv", "markdown", "latex")
        }
        write_table(table, name, **paths)
        written.append([path.read_bytes() for path in paths.values()])
    assert written[0] == written[1]


@pytest.mark.parametrize("name", list(TABLES))
def test_every_column_is_described_and_every_file_exists(study: Study, name: str) -> None:
    table = table_of(study, name)
    assert set(table.column_names) <= set(columns())
    assert table.num_rows > 0
    assert grid(table, name).rows
    for file in code_of(name):
        assert (ROOT / file).is_file(), file


def test_a_removed_model_leaves_no_trace(study: Study) -> None:
    fewer = study.without("vit-s4-large")
    for name in ("accuracy", "corruption_accuracy", "claims", "scaling_models"):
        assert b"vit-s4-large" not in csv_text(table_of(fewer, name)).encode()


def test_a_missing_shard_is_named(study: Study) -> None:
    sources = study.sources("decisions", "models", "datasets")
    kept = [
        path
        for path in study.decisions
        if not {"vit-b8-large", "corruptions"} <= set(path.parts) or path.stem != "3.0"
    ]
    with pytest.raises(ValueError, match=r"vit-b8-large on corruptions has 60 images x 60 .* x 75"):
        make_table("accuracy", {**sources, "decisions": kept})
    kept = [path for path in study.decisions if not {"vit-b8-large", "hard"} <= set(path.parts)]
    with pytest.raises(ValueError, match="vit-b8-large on natural_adversarial has 0 images"):
        make_table("accuracy", {**sources, "decisions": kept})


def test_foreign_shards_are_refused(study: Study, tmp_path: Path) -> None:
    correct = np.ones((1, 60), bool)
    foreign = shard(
        "stranger",
        "shapes",
        perturbation="none",
        severity=0,
        conditions=["none"],
        is_correct=correct,
    )
    path = write_shard(tmp_path, foreign)
    sources = study.sources("decisions", "models", "datasets")
    with pytest.raises(ValueError, match="stranger has shards but no entry"):
        make_table("accuracy", {**sources, "decisions": [*study.decisions, path]})


def test_two_datasets_of_one_role_are_refused(study: Study, tmp_path: Path) -> None:
    datasets = pq.read_table(study.datasets).to_pandas()
    datasets.loc[datasets["dataset"] == "hard", "role"] = "renditions"
    datasets.to_parquet(tmp_path / "datasets.parquet")
    sources = study.sources("decisions", "models")
    with pytest.raises(ValueError, match="hard and renditions are both the test set renditions"):
        make_table("accuracy", {**sources, "datasets": tmp_path / "datasets.parquet"})


def test_a_dataset_without_a_role_stands_under_its_id(study: Study, tmp_path: Path) -> None:
    datasets = pq.read_table(study.datasets).to_pandas()
    datasets.loc[datasets["dataset"] == "hard", "role"] = "other"
    datasets.to_parquet(tmp_path / "datasets.parquet")
    sources = study.sources("decisions", "models")
    table = make_table("accuracy", {**sources, "datasets": tmp_path / "datasets.parquet"})
    assert table["test_set"].unique().to_pylist()[-1] == "hard"


@pytest.mark.parametrize(
    ("name", "sources", "parameters", "message"),
    [
        ("acuracy", {}, {}, "table is 'acuracy'; allowed: models, accuracy"),
        ("models", {}, {}, r"models: sources are \[\]; needed: \['models'\]"),
        ("models", {"models": []}, {}, "models: no files"),
        ("models", {"models": Path("x")}, {"seed": 1}, r"parameters are \['seed'\]; needed: \[\]"),
    ],
)
def test_wrong_calls_say_what_is_needed(
    name: str, sources: dict, parameters: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_table(name, sources, parameters)


def test_models_of_one_label_are_told_apart(study: Study, tmp_path: Path) -> None:
    models = pq.read_table(study.models).to_pandas()
    models.loc[models["model"] == "vit-s4-large", ["label", "patch_size"]] = ["ViT-S/8", 8]
    models.to_parquet(tmp_path / "models.parquet")
    table = make_table("models", {"models": tmp_path / "models.parquet"})
    labels = table.filter(pc.equal(table["pretraining"], "large"))["architecture_label"].to_pylist()
    assert "ViT-S/8 (vit-s4-large)" in labels
    assert "ViT-S/8 (vit-s8-large)" in labels


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.8314, "percent", "83.1"),
        (-0.0123, "points", "\N{MINUS SIGN}1.2"),
        (0.0123, "points", "+1.2"),
        (-1e-15, "points", "0.0"),
        (-0.1354, "number", "\N{MINUS SIGN}0.135"),
        (62_000, "parameters", "62.0 k"),
        (999_600, "parameters", "1.00 M"),
        (86_400_000, "parameters", "86.4 M"),
        (1000, "count", "1,000"),
        (True, "flag", "yes"),
        (None, "percent", "\N{EN DASH}"),
    ],
)
def test_formats(value: object, unit: str, text: str) -> None:
    assert formatted(value, unit) == text


def test_typed_labels_are_escaped(study: Study, tmp_path: Path) -> None:
    models = pq.read_table(study.models).to_pandas()
    models["pretraining_label"] = "50 % of A_1 & B | <b>"
    models.to_parquet(tmp_path / "models.parquet")
    shown = grid(make_table("models", {"models": tmp_path / "models.parquet"}), "models")
    assert r"50 \% of A\_1 \& B | \textless{}b\textgreater{}" in latex_text(shown, "models")
    assert r"50 % of A_1 & B \| &lt;b&gt;" in markdown_text(shown, "models")


def test_spearman_averages_ties() -> None:
    x, y = np.array([1.0, 2.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0, 4.0])
    expected = pd.Series(x).rank().corr(pd.Series(y).rank())
    assert spearman(x, y) == pytest.approx(expected)
    assert np.isnan(spearman(np.ones(3), np.arange(3.0)))


def test_rank_correlation_is_deterministic_and_holds_its_estimate() -> None:
    random = np.random.default_rng(0)
    ability = np.linspace(0.3, 0.8, 6)
    clean, other = ((random.random((200, 6)) < ability).astype(float) for _ in range(2))
    found = [
        rank_correlation(clean, other, same_images=False, num_resamples=200, seed=3)
        for _ in range(2)
    ]
    assert found[0] == found[1]
    assert -1 <= found[0].low <= found[0].estimate <= found[0].high <= 1
    with pytest.raises(ValueError, match="images: 200 clean, 100 perturbed"):
        rank_correlation(clean, other[:100], same_images=True, num_resamples=2, seed=0)


def test_alexnet_constants_cover_the_benchmark() -> None:
    errors = pd.read_csv(ALEXNET)
    assert errors["corruption"].tolist() == ["none", *BENCHMARK_CORRUPTIONS]
    assert errors["severity"].isna().all()
    # ImageNet-C's authors give AlexNet 78.9 % mean error over the benchmark.
    assert errors["error"][1:].mean() == pytest.approx(0.788, abs=0.005)


def test_synthetic_shards_have_the_schema_of_real_ones() -> None:
    from perturb.shards import SCHEMA

    assert SHARD == SCHEMA
    assert len(CORRUPTIONS) == 19


def test_every_product_has_a_caption_for_the_snakemake_report() -> None:
    from perturb.charts.catalogue import CHARTS

    for file, names in (("table.rst", TABLES), ("chart.rst", CHARTS)):
        text = (ROOT / "report" / file).read_text()
        assert all(f'"{name}"' in text for name in names)


def test_tables_of_a_study_can_all_be_made(tmp_path: Path) -> None:
    """Also of the smallest: one model, two corruptions, two severities."""
    study = make_study(
        tmp_path,
        num_images=5,
        architectures=[("vit", "S", 8, 100_000, 1.0)],
        pretraining=["Small"],
        corruptions=("fog", "saturate"),
        severities=(1, 3),
    )
    assert set(tables_of(study, tmp_path / "tables")) == set(TABLES)
