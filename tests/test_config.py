"""The configuration: what is read, and that every mistake is named before anything starts."""

import copy
import re
import subprocess
import sys
from collections.abc import Callable
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


def _set(*keys: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        for key in keys[:-1]:
            config = config[key]
        config[keys[-1]] = value

    return change


def _drop(*keys: str) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        for key in keys[:-1]:
            config = config[key]
        del config[keys[-1]]

    return change


VIT = {"architecture": "vit", "pretraining": "small", "weights": "trained"}
SET = {"generate": {"set": "renditions", "split": "test"}, "images": 10}
ART = {"role": "renditions", "label": "More"}
MISTAKES = {
    "misspelt key": (_set("sede", value=1), ["unknown key `sede`", "Did you mean `seed`"]),
    "misspelt nested key": (
        _set("perturbations", "corruptions", "severity", value=[1]),
        ["perturbations.corruptions: unknown key `severity`", "Did you mean `severities`"],
    ),
    "unknown perturbation": (_set("perturbations", "blur", value={}), ["unknown key `blur`"]),
    "unknown severity": (
        _set("perturbations", "corruptions", "severities", value=[1, 6]),
        ["perturbations.corruptions.severities.1: 6", "1, 2, 3, 4, 5"],
    ),
    "negative epsilon": (
        _set("perturbations", "pgd", value={"datasets": ["test"], "epsilons": [-0.1]}),
        ["perturbations.pgd.epsilons.0: -0.1 is not allowed", "such as 4/255"],
    ),
    "epsilon in gray levels": (
        _set("perturbations", "pgd", value={"datasets": ["test"], "epsilons": ["4"]}),
        ["perturbations.pgd.epsilons.0: '4' is not allowed"],
    ),
    "an epsilon twice": (
        _set("perturbations", "pgd", value={"datasets": ["test"], "epsilons": ["1/255", "2/510"]}),
        ["perturbations.pgd.epsilons: 1/255 and 2/510 are the same"],
    ),
    "attacks cannot be compared": (
        _set("perturbations", "fgsm", value={"datasets": ["test"], "epsilons": ["4/255"]}),
        ["epsilon: 1/255 is not among perturbations.fgsm.epsilons (4/255)"],
    ),
    "spatial attack on another set": (
        _set("perturbations", "spatial", value={"datasets": ["second"]}),
        ["perturbations.spatial.datasets: second; allowed: test"],
    ),
    "attack on a set that is not evaluated": (
        _set("perturbations", "pgd", value={"datasets": ["test", "second"]}),
        ["perturbations.pgd.datasets: 'second' must also be under perturbations.none.datasets"],
    ),
    "attack without the one it is compared with": (
        _set("perturbations", "transfer", value={"images": 24}),
        ["perturbations.transfer: needs perturbations.pgd"],
    ),
    "epsilon beyond the pixels": (
        _set(
            "perturbations", "pgd", value={"datasets": ["test"], "epsilons": ["1/255", "300/255"]}
        ),
        ["perturbations.pgd.epsilons: 300/255"],
    ),
    "more blocks than any model has": (
        _set("perturbations", "patch_attention", value={"datasets": ["test"], "blocks": [1, 9]}),
        ["perturbations.patch_attention: no model of this study can be changed at severity 9"],
    ),
    "heads without ViTs": (
        lambda config: (
            config["models"].pop("a"),
            config["perturbations"].update(heads={"datasets": ["test"], "images": 4}),
        ),
        ["perturbations.heads: no model of this study"],
    ),
    "patterns without patches": (
        lambda config: (
            config["models"].pop("a"),
            config.update(analyses={"perturbation_patterns": {"dataset": "test", "images": 4}}),
        ),
        ["analyses.perturbation_patterns: needs a model with patches"],
    ),
    "patterns of another set": (
        _set("analyses", value={"perturbation_patterns": {"dataset": "fit", "images": 4}}),
        ["analyses.perturbation_patterns.dataset: 'fit'; allowed: test"],
    ),
    "patterns of no change": (
        _set(
            "analyses",
            value={"perturbation_patterns": {"dataset": "test", "images": 4, "epsilon": 0}},
        ),
        ["analyses.perturbation_patterns.epsilon: 0 changes nothing"],
    ),
    "correlations over too few images": (
        _set("analyses", value={"layer_correlations": {"dataset": "test", "images": 3}}),
        ["analyses.layer_correlations.images: 3; allowed: 4 or more"],
    ),
    "architecture without its depth": (
        _drop("architectures", "vit", "arguments", "depth"),
        ["architectures.vit.arguments.depth: None is not allowed; int is needed"],
    ),
    "misspelt argument": (
        _set("architectures", "vit", "arguments", "dept", value=1),
        ["architectures.vit.arguments: unknown argument `dept`", "Did you mean `depth`"],
    ),
    "restarts that all start alike": (
        _set(
            "perturbations",
            "pgd",
            value={"datasets": ["test"], "epsilons": ["1/255"], "restarts": 2},
        ),
        ["perturbations.pgd.restarts", "random_start"],
    ),
    "an even number of rotations": (
        _set("perturbations", "spatial", value={"datasets": ["test"], "rotations": 30}),
        ["perturbations.spatial.rotations: 30 is even"],
    ),
    "empty subset": (
        _set("perturbations", "corruptions", "images", value=0),
        ["perturbations.corruptions.images: 0 is less than"],
    ),
    "subset larger than its set": (
        _set("perturbations", "corruptions", "images", value=25),
        ["perturbations.corruptions.images: 25 is more than the 24 of 'test'"],
    ),
    "patterns of an unknown model": (
        _set(
            "analyses",
            value={"perturbation_patterns": {"dataset": "test", "images": 4, "models": ["aa"]}},
        ),
        ["analyses.perturbation_patterns.models.0: there is no entry 'aa'"],
    ),
    "patterns of the reference": (
        _set(
            "analyses",
            value={
                "perturbation_patterns": {"dataset": "test", "images": 4, "models": ["reference"]}
            },
        ),
        ["analyses.perturbation_patterns.models: 'reference' is the reference"],
    ),
    "class map on the clean set": (
        _set("datasets", "test", "class_map", value="map.json"),
        ["datasets.test.class_map: not allowed on the clean set"],
    ),
    "unknown corruption": (
        _set("perturbations", "corruptions", "corruptions", value=["brightnes"]),
        ["corruptions.corruptions.0: 'brightnes'", "Did you mean `brightness`"],
    ),
    "model without weights": (_drop("models", "a", "weights"), ["models.a: missing `weights`"]),
    "weights from nowhere": (
        _set("models", "a", "weights", value="downloaded"),
        ["models.a.weights: 'downloaded'", "a file with its SHA-256"],
    ),
    "weights with a bad hash": (
        _set("models", "a", "weights", value={"file": "w.safetensors", "sha256": "abc"}),
        ["models.a.weights", "SHA-256"],
    ),
    "model without architecture": (
        _drop("models", "a", "architecture"),
        ["models.a.architecture: missing; an entry of `architectures`, or a name in timm"],
    ),
    "architecture without family and size": (
        lambda config: [config["architectures"]["vit"].pop(key) for key in ("family", "size")],
        ["architectures.vit.family: missing", "architectures.vit.size: missing"],
    ),
    "misspelt architecture of timm": (
        _set("models", "a", "architecture", value="resnet_18"),
        ["models.a.architecture", "allowed: vit, resnet, a name in timm. Did you mean `resnet18`?"],
    ),
    "unknown architecture": (
        _set("models", "a", "architecture", value="vitt"),
        ["models.a.architecture: there is no entry 'vitt'", "vit, resnet", "Did you mean `vit`"],
    ),
    "path-unsafe id": (_set("models", "../a", value=VIT), ["models: the id '../a'", "letters"]),
    "id with a space": (_set("models", "a b", value=VIT), ["models: the id 'a b'"]),
    "reserved id": (_set("models", "None", value=VIT), ["the id 'None' is reserved"]),
    "ids that differ in case": (
        _set("models", "A", value=VIT),
        ["'a' and 'A' differ only in case"],
    ),
    "unknown dataset": (
        _set("perturbations", "none", "datasets", value=["tset"]),
        ["perturbations.none.datasets.0: there is no entry 'tset'", "Did you mean `test`"],
    ),
    "evaluation on training data": (
        _set("perturbations", "none", "datasets", value=["test", "fit"]),
        ["'fit' has `role: train`"],
    ),
    "clean set not evaluated": (
        _set("perturbations", value={"none": {"datasets": ["second"]}}),
        ["perturbations.none.datasets: 'test', the clean set, is missing"],
    ),
    "no clean set": (_set("datasets", "test", "role", value="extra"), ["exactly one", "clean"]),
    "two sources": (
        _set("datasets", "test", "filter", value={"dataset": "fit", "wrong_by": "a"}),
        ["datasets.test: exactly one of generate, filter"],
    ),
    "no number of images": (
        _drop("datasets", "test", "images"),
        ["datasets.test.images: missing; needed with `generate`"],
    ),
    "upstream without classes": (
        _set("datasets", "fit", "generate", value={"set": "upstream", "split": "train"}),
        ["datasets.fit.generate.classes: needed"],
    ),
    "ViT without patch size": (
        _drop("architectures", "vit", "patch_size"),
        ["architectures.vit.patch_size: missing"],
    ),
    "ResNet with patch size": (
        _set("architectures", "resnet", "patch_size", value=4),
        ["architectures.resnet.patch_size: 4 is not allowed"],
    ),
    "pre-training without samples": (
        _drop("pretraining", "small", "samples"),
        ["pretraining.small.samples: missing"],
    ),
    "no reference": (
        lambda config: (
            config["models"].pop("reference"),
            config["perturbations"]["corruptions"].update(denominators="reference"),
        ),
        ["corruptions.denominators: 'reference' needs a model with `role: reference`"],
    ),
    "two test sets of one role": (
        lambda config: (
            config["datasets"].update(art=SET | {"role": "renditions"}, more=SET | ART),
            config["perturbations"].update(none={"datasets": ["test", "art", "more"]}),
        ),
        ["perturbations.none.datasets: art, more all have `role: renditions`; allowed: one"],
    ),
    "several grids": (
        _set("perturbations", "spatial", value={"datasets": ["test"], "scales": [0.5, 1]}),
        ["perturbations.spatial.scales: 0.5, 1; allowed: one"],
    ),
    "two kinds of corruptions": (
        _set(
            "perturbations", "stored_corruptions", value={"datasets": ["test"], "severities": [1]}
        ),
        ["perturbations: `corruptions` and `stored_corruptions` exclude each other"],
    ),
    "transfer on two sets": (
        _set(
            "perturbations",
            "transfer",
            value={"datasets": ["test", "second"], "images": 4, "epsilons": ["1/255"]},
        ),
        ["perturbations.transfer.datasets: test, second; allowed: one"],
    ),
    "two labels alike": (
        _set("datasets", "second", "label", value="test"),
        ["datasets.second.label: 'test' is also the label of 'test'"],
    ),
    "two pre-training sets labelled alike": (
        _set("pretraining", "more", value={"images": 48, "label": "small"}),
        ["pretraining.more.label: 'small' is also the label of 'small'"],
    ),
    "dataset with the id of an attack": (
        _set("datasets", "pgd", value=SET),
        [
            "datasets.pgd: the id is also that of a test set or a perturbation",
            "any but attack_ensemble",
        ],
    ),
    "clean set with the id of an attack": (
        lambda config: (
            config["datasets"].update(pgd=config["datasets"].pop("test")),
            config["perturbations"].update(none={"datasets": ["pgd"]}),
            config["perturbations"]["corruptions"].update(datasets=["pgd"]),
        ),
        ["datasets.pgd: the id is also that of a test set"],
    ),
    "label of another test set": (
        _set("datasets", "second", "label", value="Clean"),
        ["datasets.second.label: 'Clean' is also the label of another test set", "any but Clean"],
    ),
    "two references": (_set("models", "a", "role", value="reference"), ["only one may have"]),
    "text for a number": (_set("seed", value="many"), ["seed: 'many' is not of type integer"]),
    "results in a pattern": (
        _set("results", value="../out{x}<y>*"),
        ["results: '../out{x}<y>*': { } < > * cannot be in its path"],
    ),
    "results everywhere": (_set("results", value="./"), ["results: './'; allowed: a folder of"]),
    "empty": (lambda config: config.clear(), ["missing `datasets`"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_named(name: str, tiny_study: dict[str, Any]) -> None:
    change, expected = MISTAKES[name]
    load_config(tiny_study)  # the study is valid before the change
    change(tiny_study)
    with pytest.raises(ConfigError) as caught:
        load_config(tiny_study)
    for fragment in expected:
        assert fragment in str(caught.value)


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


def test_every_mistake_is_told_at_once(tiny_study: dict[str, Any]) -> None:
    tiny_study |= {"sede": 1, "divice": "cpu"}
    with pytest.raises(ConfigError, match=r"(?s)`sede`.*`divice`"):
        load_config(tiny_study)


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
        assert [job.name for job in own] == ["all"] * len(config.models)
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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heavy.isdisjoint(done.stdout.split())


def test_schema_has_the_options_that_the_experiments_declare() -> None:
    assert merged() == schema(), "write it anew: python -m perturb.config.options"
    assert SCHEMA_PATH.read_text(encoding="utf-8") == text_of(schema()) + "\n"
