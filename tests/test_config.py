"""The configuration: what is read, and that every mistake is named before anything starts."""

import copy
import re
import sys
from typing import Any

import duckdb
import jsonschema
import pytest

from perturb.config import ConfigError, load_config
from perturb.config.options import merged, text_of
from perturb.config.schema import SCHEMA_PATH, schema
from perturb.datasets.synthetic.family import GENERATED_SETS, SPLITS
from perturb.evaluation.cell import Cell
from perturb.experiments.corruptions.names import CORRUPTIONS
from perturb.experiments.registry import perturbations
from perturb.plan.cells import cells
from perturb.plan.jobs import jobs
from perturb.severities import severity_id
from perturb.tables import declared
from perturb.tables.queries import relation_file
from tests.workspace import told_by


def test_default_configuration_is_the_study_of_the_paper_in_miniature(
    default_config: dict[str, Any],
) -> None:
    config = load_config(default_config)
    benchmark = [model for model in config.models.values() if not model.is_reference]
    assert len(benchmark) == 15
    assert {model.architecture.family for model in benchmark} == {"vit", "resnet"}
    assert config.perturbations["corruptions"].conditions == CORRUPTIONS
    assert config.perturbations["corruptions"].severities == ("1", "2", "3", "4", "5")
    assert config.pretraining["small"].dataset == benchmark[0].training.dataset  # type: ignore[union-attr]
    assert [p.rank for p in config.pretraining.values()] == [0, 1, 2]


def test_schema_is_valid_and_describes_and_closes_every_object() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    open_objects = {"arguments", "datasets", "pretraining", "architectures", "models"}
    asked = set(schema()["$defs"]["perturbations"]["properties"])
    assert asked == {declared.key or id for id, declared in perturbations().items()}

    def visit(node: Any, name: str) -> None:
        if not isinstance(node, dict):
            return
        if node.get("type") == "object" and name not in open_objects:
            assert node.get("additionalProperties") is False, name
        for key, child in node.get("properties", {}).items():
            assert "description" in child or "$ref" in child, f"{name}.{key} has no description"
            visit(child, key)
        for key, child in node.get("$defs", {}).items():
            visit(child, key)

    visit(schema(), "the schema")


def test_schema_lists_the_names_that_the_code_knows() -> None:
    definitions = schema()["$defs"]
    generate = definitions["dataset"]["properties"]["generate"]["properties"]
    assert tuple(generate["set"]["enum"]) == tuple(GENERATED_SETS)
    assert tuple(generate["split"]["enum"]) == tuple(SPLITS)


SET = {"generate": {"set": "renditions", "split": "test"}, "images": 10}


def _test_sets() -> list[tuple[str, str]]:
    """Return id and label of every test set of the tables, whatever kind of corruptions was run."""
    found = set()
    for perturbation in perturbations():
        with duckdb.connect() as connection:
            connection.execute(
                "CREATE TABLE datasets (dataset VARCHAR, label VARCHAR, role VARCHAR)"
            )
            connection.execute("CREATE TABLE cells (perturbation VARCHAR)")
            connection.execute("INSERT INTO cells VALUES (?)", [perturbation])
            connection.register("declared_test_sets", declared.declared_test_sets())
            connection.register("perturbations", declared.perturbations())
            for relation in ("test_sets", "corruption_names"):
                connection.execute(relation_file(relation).read_text())
            queries = relation_file("corruption_images").read_text()
            connection.execute(queries[queries.index("UPDATE test_sets") :])
            query = "SELECT test_set, test_set_label FROM test_sets WHERE test_set_label NOT NULL"
            found |= set(connection.execute(query).fetchall())
    return sorted(found)


def test_names_of_test_sets_and_perturbations_are_kept_from_data_sets(
    tiny_study: dict[str, Any],
) -> None:
    test_sets = _test_sets()
    labels = {label for _, label in test_sets}
    assert labels >= {"Clean", "Corruptions", "Corruptions (stored)", "Corruptions (JPEG 85)"}
    for id in {id for id, _ in test_sets} | set(perturbations()):
        with pytest.raises(ConfigError, match=rf"datasets\.{id}: |'{id}' is reserved"):
            load_config({**tiny_study, "datasets": {**tiny_study["datasets"], id: SET}})
    for label in labels:
        tiny_study["datasets"]["second"]["label"] = label
        with pytest.raises(ConfigError, match=re.escape(f"datasets.second.label: {label!r}")):
            load_config(tiny_study)


def test_data_set_may_be_called_by_its_role(tiny_study: dict[str, Any]) -> None:
    """Its id and label are then those of the one test set that it is."""
    called = {**SET, "role": "renditions", "label": "Renditions"}
    tiny_study["datasets"]["renditions"] = called
    assert load_config(tiny_study).datasets["renditions"].label == "Renditions"


def test_order_of_corruptions_in_the_file_changes_nothing(tiny_study: dict[str, Any]) -> None:
    before = load_config(tiny_study)
    tiny_study["perturbations"]["corruptions"]["corruptions"].reverse()
    tiny_study["perturbations"]["corruptions"]["severities"].reverse()
    assert load_config(tiny_study) == before


def test_cells_are_the_whole_grid_once(tiny_study: dict[str, Any]) -> None:
    found = cells(load_config(tiny_study))
    assert len(found) == len(set(found)) == 3 * (1 + 2)
    assert [cell.severity_value for cell in found[:3]] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("jobs_by", ["experiment", "kind", "model", "cell"])
def test_jobs_hold_every_cell_once(default_config: dict[str, Any], jobs_by: str) -> None:
    config = load_config(default_config | {"jobs_by": jobs_by})
    found = jobs(config)
    joined = [cell for job in found.values() for cell in job.cells]
    assert sorted(map(str, joined)) == sorted(map(str, cells(config)))
    transferred = [cell for cell in joined if cell.source]
    assert len(transferred) == len(config.benchmark_models) ** 2
    measured = [name for job in found.values() for name in job.measurements]
    assert len(measured) == 2 * len(config.benchmark_models)
    own = [job for job in found.values() if job.name != "transfer"]
    if jobs_by == "model":
        # The reference that only filters has no cells, and so no job.
        assert [job.name for job in own] == ["all"] * (len(config.benchmark_models) + 1)
    if jobs_by == "cell":
        assert {len(job.cells) + len(job.measurements) for job in own} == {1}
    if jobs_by == "kind":
        assert {job.name for job in own} == {"benchmarks", "corruptions", "attacks", "network"}
    if jobs_by == "experiment":
        assert {"attacks", "lesions", "token_removal"} <= {job.name for job in own}


def test_the_name_of_a_job_depends_on_no_other_cell(default_config: dict[str, Any]) -> None:
    for jobs_by in ("experiment", "kind", "model", "cell"):
        raw = copy.deepcopy(default_config) | {"jobs_by": jobs_by}
        before = {cell: job.name for job in jobs(load_config(raw)).values() for cell in job.cells}
        raw["perturbations"] = dict(reversed(raw["perturbations"].items()))
        del raw["perturbations"]["lesions"]
        raw["perturbations"]["fgsm"]["epsilons"].append("31/255")
        after = {cell: job.name for job in jobs(load_config(raw)).values() for cell in job.cells}
        assert {cell: before[cell] for cell in before.keys() & after.keys()}.items() <= (
            after.items()
        )


def test_severities_come_back_from_their_paths() -> None:
    assert Cell("a", "test", "pgd", severity_id("4/255")).severity_value == 4 / 255
    assert Cell("a", "test", "spatial", severity_id(0.5)).severity_value == 0.5


def test_corruptions_with_a_jpeg_pass_have_another_name(tiny_study: dict[str, Any]) -> None:
    without = load_config(tiny_study).corruptions
    tiny_study["perturbations"]["corruptions"]["jpeg"] = True
    with_pass = load_config(tiny_study).corruptions
    assert without is not None
    assert with_pass is not None
    assert (without.id, with_pass.id) == ("corruptions", "corruptions_jpeg85")
    assert with_pass.options == {"jpeg_quality": 85}


def test_configuration_needs_no_heavy_import() -> None:
    heavy = {"torch", "numpy", "pandas", "pyarrow", "duckdb", "altair", "timm"}
    code = "import sys, perturb.plan.params, perturb.plan.products; print(*sys.modules)"
    assert heavy.isdisjoint(told_by([sys.executable, "-c", code]).split())


def test_schema_has_the_options_that_the_experiments_declare() -> None:
    assert merged() == schema(), "write it anew: python -m perturb.config.options"
    assert SCHEMA_PATH.read_text(encoding="utf-8") == text_of(schema()) + "\n"


@pytest.mark.parametrize("divides", ["reference", "reference-vit"])
def test_the_order_of_models_does_not_decide_whose_errors_divide(
    default_config: dict[str, Any], divides: str
) -> None:
    raw = copy.deepcopy(default_config)
    raw["perturbations"]["corruptions"]["denominators"] = divides
    found = set()
    for models in (raw["models"], dict(reversed(raw["models"].items()))):
        config = load_config(raw | {"models": models})
        assert config.reference is not None
        found.add(config.reference.id)
        corrupted = {cell.model for cell in cells(config) if cell.perturbation == "corruptions"}
        assert corrupted - {*config.benchmark_models} == {divides}
    assert found == {divides}
