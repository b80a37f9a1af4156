"""Tables as files: the same bytes, loud about wrong shards, readable, escaped."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from perturb.experiments import registry
from perturb.experiments.declaration import PREDICTIONS
from perturb.formatting import formatted
from perturb.tables.columns import SHARED, columns, merged_columns
from perturb.tables.display import grid
from perturb.tables.queries import checks_of, code_of, query_file, relations_of
from perturb.tables.run import make_table, make_tables
from perturb.tables.write import csv_text, latex_text, markdown_text, write_table
from tests.study_tables import TABLES, given_of, made_together, table_of, with_runs
from tests.synthetic_shards import write_shard
from tests.synthetic_study import Study, make_study

ROOT = Path(__file__).parent.parent


# Tables that say how long jobs took, and those that a study of models trained once lacks.
OF_TIMES_OR_RUNS = {"runs"} | {
    name for name, table in TABLES.items() if "training_runs" in table.needs
}


@pytest.fixture(scope="module")
def shuffled(study: Study, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """Return the tables from files and rows in another order, made by several threads."""
    return made_together(study.shuffled(tmp_path_factory.mktemp("shuffled")), threads=4)


@pytest.fixture(scope="module")
def predictions(study: Study) -> pa.Table:
    [path] = study.joined().predictions
    return pq.read_table(path)


def models_with(study: Study, folder: Path, *only: str, **facts: Any) -> pa.Table:
    """Return the table `models` of a study in which all models, or these, have other facts."""
    models = pq.read_table(study.models).to_pandas()
    models.loc[models["model"].isin(only or models["model"]), list(facts)] = list(facts.values())
    models.to_parquet(folder / "models.parquet")
    sources = study.sources("predictions", "datasets")
    return make_table("models", {**sources, "models": folder / "models.parquet"})


@pytest.mark.parametrize("name", list(TABLES))
def test_every_column_is_described_and_every_file_exists(
    made: Callable[[str], pa.Table], study: Study, tmp_path: Path, name: str
) -> None:
    # The made-up models are trained once: of these, the tables of runs have no rows.
    is_of_runs = "training_runs" in TABLES[name].needs
    table = table_of(with_runs(study, tmp_path), name) if is_of_runs else made(name)
    assert set(table.column_names) <= set(columns())
    assert table.num_rows > 0
    assert grid(table, name).rows
    for file in code_of(name):
        assert (ROOT / file).is_file(), file


def test_tables_made_together_are_those_made_alone(
    study: Study, made: Callable[[str], pa.Table]
) -> None:
    """Whatever relations of other tables add to those that they share."""
    joined = study.joined()
    # Its predictions are those of the reference alone.
    names = [name for name in TABLES if name != "reference_errors"]
    given = {name: given_of(joined, name) for name in names}
    found = dict(make_tables(given))
    assert list(found) == names
    for name, table in found.items():
        assert table == made(name), name


@pytest.mark.parametrize("name", ["scaling", "matched_pairs", "claims"])
def test_a_model_that_lacks_an_image_is_refused(study: Study, tmp_path: Path, name: str) -> None:
    def is_clean(shard: Path) -> bool:
        row = pq.read_table(shard, partitioning=None).slice(0, 1).to_pylist()[0]
        return (row["dataset"], row["perturbation"]) == ("shapes", "none")

    shards = list(study.predictions)
    place = next(number for number, shard in enumerate(shards) if is_clean(shard))
    shards[place] = write_shard(tmp_path, pq.read_table(shards[place], partitioning=None)[1:])
    with pytest.raises(ValueError, match="test set clean: a model lacks images that others have"):
        table_of(replace(study, predictions=shards), name)


def test_a_relation_comes_after_those_that_add_to_what_it_reads() -> None:
    alone = relations_of("scaling")
    assert "attack_outcomes" not in alone
    assert alone.index("corruption_images") < alone.index("contrasts")
    together = relations_of("scaling", ["claims"])
    adding = ("corruption_images", "attack_outcomes", "spatial_outcomes", "pattern_values")
    assert all(together.index(one) < together.index("contrasts") for one in adding)


def test_a_column_of_one_experiment_stands_in_its_folder(
    made: Callable[[str], pa.Table],
) -> None:
    owners: dict[str, set[str]] = {}
    for name, (experiment, _) in registry.tables().items():
        for column in made(name).column_names:
            owners.setdefault(column, set()).add(experiment)
    shared = {column for column, users in owners.items() if len(users) > 1}
    assert set(merged_columns([SHARED])) == shared
    for experiment in registry.experiments():
        file = registry.FOLDER / experiment / "columns.csv"
        own = {column for column, users in owners.items() if users == {experiment}}
        assert set(merged_columns([file] if file.exists() else [])) == own


def test_models_of_one_label_are_told_apart(study: Study, tmp_path: Path) -> None:
    table = models_with(study, tmp_path, "vit-s4-large", label="ViT-S/8", patch_size=8)
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
    table = models_with(study, tmp_path, pretraining_label="50 % of A_1 & B | <b>")
    shown = grid(table, "models")
    latex = r"50 \% of A\_1 \& B \textbar{} \textless{}b\textgreater{}"
    assert latex in latex_text(shown, "models")
    assert r"50 % of A_1 & B \| &lt;b&gt;" in markdown_text(shown, "models")


WORDS = r"""50% "it's" {a} $x$ \n \| *b* `c` _d_ e_f [g](h) &amp; ~~i~~ ^ é"""


def test_words_of_users_are_text_in_every_format(study: Study, tmp_path: Path) -> None:
    table = models_with(study, tmp_path, "vit-s4-large", label=WORDS)
    assert WORDS in table["architecture_label"].to_pylist()
    rows = list(csv.DictReader(io.StringIO(csv_text(table))))
    assert WORDS in {row["architecture_label"] for row in rows}
    shown = grid(table, "models")
    assert (
        r"""50% "it's" {a} \$x\$ \\n \\\| \*b\* \`c\` \_d\_ e_f [g\](h) \&amp; \~\~i\~\~ ^ é"""
        in markdown_text(shown, "models")
    )
    latex = (
        r"""50\% "it's" \{a\} \$x\$ \textbackslash{}n \textbackslash{}\textbar{} *b* `c` \_d\_"""
    )
    assert latex in latex_text(shown, "models")


@pytest.mark.parametrize("label", ["[0] x", "*x"])
def test_a_row_does_not_begin_with_an_argument_of_the_one_before(
    label: str, study: Study, tmp_path: Path
) -> None:
    table = models_with(study, tmp_path, label=label)
    rows = latex_text(grid(table, "models"), "models").splitlines()
    assert sum(row.startswith(f"{{}}{label}") for row in rows) == table.num_rows


@pytest.mark.parametrize(
    ("name", "sources", "parameters", "message"),
    [
        ("acuracy", {}, {}, "table is 'acuracy'; allowed: models, accuracy"),
        ("models", {}, {}, r"sources are \[\]; needed: \['datasets', 'models', 'predictions'\]"),
        ("models", {key: [] for key in PREDICTIONS}, {}, "predictions: no files"),
        (
            "models",
            dict.fromkeys(PREDICTIONS, Path("x")),
            {"seed": 1},
            r"are \['seed'\]; needed: \[\]",
        ),
        ("perturbation_patterns", {"models": [], "patterns": []}, {}, "models: no files"),
        ("layer_correlations", {"models": [], "representations": []}, {}, "models: no files"),
    ],
)
def test_wrong_calls_say_what_is_needed(
    name: str, sources: dict, parameters: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_table(name, sources, parameters)


@pytest.mark.parametrize("name", [name for name in TABLES if name not in OF_TIMES_OR_RUNS])
def test_tables_are_the_same_byte_for_byte(
    made: Callable[[str], pa.Table], shuffled: dict[str, pa.Table], tmp_path: Path, name: str
) -> None:
    """Whatever the order of files and rows and the number of threads."""
    tables = [made(name), shuffled[name]]
    written = []
    for place, table in enumerate(tables):
        paths = {
            kind: tmp_path / f"{place}.{kind}" for kind in ("parquet", "csv", "markdown", "latex")
        }
        write_table(table, name, **paths)
        written.append([path.read_bytes() for path in paths.values()])
    assert written[0] == written[1]


def test_a_removed_model_leaves_no_trace(study: Study) -> None:
    fewer = study.without("vit-s4-large")
    for name in ("accuracy", "corruption_accuracy", "claims", "scaling_models"):
        assert b"vit-s4-large" not in csv_text(table_of(fewer, name)).encode()


ALWAYS = {"models", "accuracy", "scaling", "scaling_models", "matched_pairs", "patch_pairs"} | {
    "data_scaling",
    "data_gaps",
    "crossing_points",
    "claims",
    "runs",
    "calibration",
    "reliability",
    "risk_coverage",
    "effective_robustness",
    "matched_accuracy",
    "error_consistency",
    "error_consistency_means",
    "leaderboard",
    "model_pairs",
    "model_conditions",
}
CORRUPTED = {"corruption_accuracy", "corruption_means", "corruption_error", "reference_errors"}


@pytest.mark.parametrize(
    ("available", "added"),
    [
        ({"none"}, set()),
        ({"none", "corruptions"}, CORRUPTED - {"reference_errors"}),
        ({"none", "corruptions", "reference"}, CORRUPTED),
        ({"none", "attacks"}, {"attacks", "adversarial_accuracy"}),
        ({"none", "attack_ensemble_l2"}, {"adversarial_accuracy_l2"}),
        ({"none", "spatial"}, {"spatial_accuracy", "spatial_grid"}),
        ({"none", "transfer"}, {"transfer", "transfer_means"}),
        ({"none", "cue_conflict"}, {"shape_bias", "shape_bias_classes"}),
        ({"none", "patterns"}, {"perturbation_patterns"}),
        ({"none", "lesions"}, {"lesions_single", "lesions"}),
        ({"none", "heads"}, {"heads"}),
        ({"none", "restricted_attention"}, {"restricted_attention"}),
        ({"none", "patch_attention"}, {"patch_attention"}),
        ({"none", "token_removal"}, {"token_removal"}),
        ({"none", "correlations"}, {"layer_correlations", "correlation_profile"}),
        ({"none", "class_subset"}, {"class_subsets"}),
        ({"none", "paper"}, {"paper_comparison"}),
        ({"none", "published"}, {"published_comparison"}),
    ],
)
def test_a_study_has_the_tables_of_its_perturbations(available: set[str], added: set[str]) -> None:
    assert set(registry.tables_of(available)) == ALWAYS | added


@pytest.mark.parametrize("name", list(TABLES))
def test_a_table_depends_on_its_queries_and_their_checks(name: str) -> None:
    code = code_of(name)
    assert len(set(code)) == len(code)
    for relation in relations_of(name):
        checks = checks_of(relation)
        assert checks is None or checks.relative_to(ROOT).as_posix() in code
    assert query_file(name).relative_to(ROOT).as_posix() in code
    # Relations of what is declared are there for all queries.
    experiments = {f"perturb/experiments/{id}/__init__.py" for id in registry.experiments()}
    assert experiments <= set(code)


def test_corruptions_with_a_jpeg_pass_say_so(tmp_path: Path) -> None:
    study = make_study(tmp_path, num_images=6, pretraining=["Small"], extras=())
    renamed = []
    for path in study.with_reference().predictions:
        table = pq.read_table(path).to_pandas()
        names = table["perturbation"].astype(str).replace("corruptions", "corruptions_jpeg85")
        table["perturbation"] = names
        renamed.append(tmp_path / f"{len(renamed)}.parquet")
        table.to_parquet(renamed[-1])
    jpeg = replace(study, predictions=renamed)
    accuracy = table_of(jpeg, "accuracy")
    assert "Corruptions (JPEG 85)" in accuracy["test_set_label"].to_pylist()
    assert "corruptions" in accuracy["test_set"].to_pylist()
    for name in ("corruption_means", "corruption_accuracy", "corruption_error"):
        assert table_of(jpeg, name) == table_of(study.with_reference(), name)


def test_a_dataset_without_a_role_stands_under_its_id(study: Study, tmp_path: Path) -> None:
    datasets = pq.read_table(study.datasets).to_pandas()
    datasets.loc[datasets["dataset"] == "hard", "role"] = "extra"
    datasets.to_parquet(tmp_path / "datasets.parquet")
    sources = study.sources("predictions", "models")
    table = make_table("accuracy", {**sources, "datasets": tmp_path / "datasets.parquet"})
    assert table["test_set"].unique().to_pylist()[-1] == "hard"


@pytest.mark.parametrize("name", [name for name, table in TABLES.items() if table.reads])
def test_predictions_that_a_table_does_not_read_change_nothing(
    name: str, study: Study, predictions: pa.Table, made: Callable[[str], pa.Table], tmp_path: Path
) -> None:
    """The workflow hands a table the shards of these perturbations only."""
    reads = set(TABLES[name].reads)
    perturbation = predictions["perturbation"].cast(pa.string())
    read = predictions.filter(pc.is_in(perturbation, pa.array(sorted(reads))))
    assert read.num_rows < predictions.num_rows
    pq.write_table(read, tmp_path / "predictions.parquet")
    few = replace(
        study,
        predictions=[tmp_path / "predictions.parquet"],
        reference=[path for path in study.reference if reads & set(path.parts)],
    )
    assert table_of(few, name).equals(made(name))
