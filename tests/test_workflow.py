"""The workflow before any job: parsing, listing, lint, and refusing a wrong configuration."""

import copy
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from perturb.config import Config, load_config
from perturb.plan import products
from perturb.plan.jobs import TRANSFER, jobs, jobs_of_experiments
from perturb.plan.settings import inventory_settings
from tests.tiny_study import TINY_STUDY
from tests.workspace import ROOT, Workspace, fresh_clone, planned_jobs, told_by

HEAVY = ("torch", "timm", "pyarrow", "duckdb", "altair", "safetensors", "PIL", "vl_convert")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Return a fresh clone that nothing is run in."""
    return fresh_clone(tmp_path_factory.mktemp("clone"))


def _told_alone(folder: Path, *arguments: str) -> str:
    """Run Snakemake where none of the study's packages can be imported."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({HEAVY!r}))\n"
        f"from snakemake.cli import main; main({list(arguments)!r})"
    )
    return told_by([sys.executable, "-c", code], folder)


def test_dry_run_needs_nothing_but_snakemake(clone: Workspace) -> None:
    planned = planned_jobs(_told_alone(clone.folder, "--dry-run", "--quiet", "rules"))
    config = load_config(yaml.safe_load((clone.folder / "config.yaml").read_text()))
    assert planned["evaluate"] == sum(name != TRANSFER for _, name in jobs(config))
    assert planned["transfer_attacks"] == len(config.benchmark_models)
    assert planned["train_model"] == len(config.models)


def test_list_describes_every_rule(clone: Workspace) -> None:
    listed = set(re.findall(r"^(\w+) \(", _told_alone(clone.folder, "--list"), re.M))
    scripts = {script.stem for script in (ROOT / "scripts").glob("*.py")}
    assert listed == scripts | {"all", "draw_chart", "make_table"}
    rules = "".join(file.read_text() for file in (ROOT / "rules").glob("*.smk"))
    assert set(re.findall(r'"../scripts/(\w+)\.py"', rules)) == scripts
    assert len(re.findall(r'^ *rule \w+:\n +"""', rules, re.M)) == len(scripts) + 2


def test_a_chart_plans_the_cells_that_it_shows(clone: Workspace) -> None:
    asked = ("results/smoke/charts/shape_bias.svg", "--config", "jobs_by=experiment")
    told = clone.told("--dry-run", *asked, configuration="config/smoke.yaml")
    assert set(re.findall(r"receipts/[\w-]+/(\w+)\.json", told)) == {"benchmarks"}
    expected = {"make_table": 2, "draw_chart": 1, "check_shards": 1}
    assert planned_jobs(told).items() >= expected.items()


def test_only_targets_plan_their_own_tables(clone: Workspace) -> None:
    chart = "results/smoke/charts/shape_bias.svg"
    told = clone.told("--dry-run", "--forcerun", chart, configuration="config/smoke.yaml")
    planned = planned_jobs(told)
    assert (planned["make_tables"], planned["draw_charts"]) == (1, 1)
    assert not planned.keys() & {"make_table", "draw_chart"}


def test_resources_can_be_set_for_all_evaluations_at_once(clone: Workspace) -> None:
    clone.configure(TINY_STUDY | {"jobs_by": "cell"})
    told = clone.told("--dry-run", "--set-resources", "evaluate:mem_mb=700*attempt")
    found = re.findall(r"^rule evaluate:\n(?:    .*\n)*?.* mem_mb=(\d+)", told, re.M)
    assert found == ["700"] * 9


def test_lint_finds_nothing(clone: Workspace) -> None:
    _told_alone(clone.folder, "--lint")


@pytest.mark.parametrize("configuration", ["config.yaml", "config/smoke.yaml"])
def test_shipped_configuration_is_valid_and_names_the_schema(configuration: str) -> None:
    path = ROOT / configuration
    load_config(yaml.safe_load(path.read_text()))
    hint = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text())
    assert hint is not None
    assert (path.parent / hint[1]).samefile(ROOT / "schemas" / "config.schema.json")


def test_given_configuration_replaces_the_default_one(
    clone: Workspace, tiny_study: dict[str, Any]
) -> None:
    clone.configure(tiny_study)
    planned = clone.planned()
    assert planned["train_model"] == 3
    assert planned["evaluate"] == 6


@pytest.mark.parametrize("quiet", [(), ("--quiet", "all", "--keep-going")], ids=["", "quiet"])
def test_mistake_stops_the_run_before_any_job(
    clone: Workspace, tiny_study: dict[str, Any], quiet: tuple[str, ...]
) -> None:
    tiny_study["perturbations"]["corruptions"]["severties"] = [1]
    clone.configure(tiny_study)
    told = clone.told(*quiet, status=1)
    assert told.count("perturbations.corruptions: unknown key `severties`") == 1
    assert "Did you mean `severities`" in told
    assert "Traceback" not in told
    assert not (clone.folder / "results").exists()


def test_a_key_that_stands_twice_stops_the_run_before_any_job(
    clone: Workspace, tiny_study: dict[str, Any]
) -> None:
    text = "seed: 1\n" + yaml.safe_dump(tiny_study | {"seed": 2}, sort_keys=False)
    (clone.folder / "twice.yaml").write_text(text)
    told = clone.told("--dry-run", status=1, configuration="twice.yaml")
    assert re.search(r"twice\.yaml, line \d+: key `seed` stands twice \(first in line 1\)", told)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda results: results.write_text("a file"), "results: results is not a folder."),
        pytest.param(
            lambda results: results.symlink_to("/proc"),
            "results: results cannot be written to: ",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="needs /proc"),
        ),
    ],
    ids=["file", "no place to write"],
)
def test_results_without_a_place_stop_the_run_before_any_job(
    clone: Workspace,
    tiny_study: dict[str, Any],
    prepare: Callable[[Path], Any],
    message: str,
) -> None:
    clone.configure(tiny_study)
    results = clone.folder / "results"
    prepare(results)
    try:
        told = clone.told(status=1)
    finally:
        results.unlink()
    assert message in told
    assert "Traceback" not in told
    assert "generate_dataset:" not in told  # no job was begun


PROBE = """
include: "Snakefile"

import json
from types import SimpleNamespace

WILDCARDS = SimpleNamespace(experiment="benchmarks")
NAMES = ("draw_charts", "write_page", "check_shards", "import_checkpoint", "train_model",
         "decode_dataset", "download_dataset", "draw_examples")
print("FOUND" + json.dumps({
    each.name: {
        "input": sorted(map(str, each.input)),
        "output": sorted(map(str, each.output)),
        "params": {
            name: str(value(WILDCARDS) if callable(value) else value)
            for name, value in (each.params.items() if each.name in NAMES[:3] else ())
        },
        "priority": each.priority,
    }
    for each in workflow.rules if each.name in NAMES
}))
"""


def _definitions(clone: Workspace, *arguments: str) -> dict[str, Any]:
    """Return what the workflow says of some jobs."""
    (clone.folder / "probe.smk").write_text(PROBE)
    told = clone.told("--snakefile", "probe.smk", "--list", *arguments)
    (found,) = re.findall(r"^FOUND(.*)$", told, re.M)
    definitions: dict[str, Any] = json.loads(found)
    return definitions


@pytest.fixture(scope="module")
def defined(clone: Workspace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a study, and what the workflow says of some of its jobs."""
    study = copy.deepcopy(TINY_STUDY)
    study["datasets"]["test"]["label"] = "50 {things}"
    clone.configure(study)
    return study, _definitions(clone)


def test_charts_and_page_are_made_anew_when_what_they_are_made_of_changes(
    defined: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    study, found = defined
    charts = {f"perturb/charts/{file.name}" for file in (ROOT / "perturb/charts").glob("*.py")}
    templates = (ROOT / "perturb/page/templates").rglob("*.*")
    page = {file.relative_to(ROOT).as_posix() for file in templates}
    page |= {f"perturb/page/{file.name}" for file in (ROOT / "perturb/page").glob("*.py")}
    experiments = ROOT / "perturb/experiments"
    charts |= {file.relative_to(ROOT).as_posix() for file in experiments.glob("*/charts.py")}
    for kind in ("notes.py", "page.html", "sure.html", "*.rst"):
        page |= {file.relative_to(ROOT).as_posix() for file in experiments.glob(f"*/{kind}")}
    assert charts <= set(found["draw_charts"]["input"])
    assert charts | page <= set(found["write_page"]["input"])
    examples = {
        f"perturb/examples/{file.name}" for file in (ROOT / "perturb/examples").glob("*.py")
    }
    examples |= {file.relative_to(ROOT).as_posix() for file in experiments.glob("**/gallery.py")}
    assert examples <= set(found["draw_examples"]["input"])
    assert set(found["draw_examples"]["output"]) <= set(found["write_page"]["input"])
    shown = found["write_page"]["params"]["configuration"]
    assert yaml.safe_load(shown) == study
    assert list(yaml.safe_load(shown)["models"]) == list(study["models"])


WORDS = r"""50% "it's" {a} $x$ \n <b> | & é ${b} {{c}} {wildcards.model} {0..3}"""


def test_words_and_paths_of_users_are_no_wildcards(
    clone: Workspace, tiny_study: dict[str, Any]
) -> None:
    """In titles, labels and the names of files that jobs read; the page shows what was typed."""
    place = Path("b{race}s 50% 'q' $d é")
    files = {name: f"{{{name}}}.json" for name in ("index", "map", "labels", "w")}
    (clone.folder / place).mkdir()
    for file in files.values():
        (clone.folder / place / file).write_text('{"one": [0]}')
    (clone.folder / place / files["index"]).write_text('{"one": 0}')
    study = copy.deepcopy(tiny_study) | {"title": WORDS, "data": str(place).replace("$", "$$")}
    study["datasets"]["test"]["label"] = WORDS
    study["pretraining"]["small"]["label"] = WORDS
    study["architectures"]["vit"] |= {"label": WORDS, "size": "{S}"}
    study["models"]["b"] |= {
        "weights": {"file": files["w"], "sha256": "0" * 64},
        "preprocessing": {"side": 32, "mode": "squash"},
    }
    study["models"]["gone"] = {**study["models"]["a"], "weights": "absent"}
    index = {"class_index": files["index"]}
    study["datasets"]["mine"] = {
        "label": f"Mine {WORDS}",
        "class_map": files["map"],
        "preprocessing": {"side": 32},
        "source": {"layout": "labelled_files", "path": ".", "labels": files["labels"], **index},
    }
    study["datasets"]["fetched"] = {
        "preprocessing": {"side": 32},
        "source": {"layout": "class_folders", "download": "imagenet-r", **index},
    }
    study["perturbations"]["none"]["datasets"] += ["mine", "fetched"]
    study["analyses"] = {"perturbation_patterns": {"dataset": "test", "images": 4}}
    clone.configure(study)
    planned = clone.planned()
    assert {"decode_dataset", "download_dataset", "import_checkpoint", "write_page"} <= set(planned)
    found = _definitions(clone, "--config", f"title={WORDS}")
    assert yaml.safe_load(found["write_page"]["params"]["configuration"]) == study


def test_the_page_is_told_the_command(
    clone: Workspace, defined: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    commands = [
        found["write_page"]["params"]["command"]
        for found in (defined[1], _definitions(clone, "--config", "title=Two words"))
    ]
    assert commands == [
        "snakemake --cores all --configfile study.yaml",
        "snakemake --cores all --config 'title=Two words' --configfile study.yaml",
    ]


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ([], "snakemake --cores all"),
        (["config.yaml"], "snakemake --cores all"),
        (["config/smoke.yaml"], "snakemake --cores all --configfile config/smoke.yaml"),
        (["a b.yaml", "c.yaml"], "snakemake --cores all --configfile 'a b.yaml' c.yaml"),
        (["../other/my.yaml"], "snakemake --cores all --configfile ../other/my.yaml"),
    ],
)
def test_commands_are_typed_where_the_workflow_is(files: list[str], command: str) -> None:
    assert products.command([ROOT / file for file in files], [], ROOT) == command


def test_the_check_of_shards_lists_what_its_verdict_is_made_of(
    defined: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    study, found = defined[0], defined[1]["check_shards"]
    assert {"perturb/plan/check_shards.py", "perturb/evaluation/shards.py"} <= set(found["input"])
    assert found["params"]["settings"] == _inventories(load_config(study))["benchmarks"]


def _inventories(config: Config) -> dict[str, str]:
    """Return the settings of each inventory."""
    found = jobs_of_experiments(config).items()
    return {name: inventory_settings(config, of_experiment) for name, of_experiment in found}


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (lambda study: study.update(seed=7), {"attacks", "corruptions", "lesions"}),
        (lambda study: study["perturbations"]["pgd"].update(images=24), {"attacks"}),
        (lambda study: study["perturbations"]["pgd"]["epsilons"].append("2/255"), {"attacks"}),
        (lambda study: study["perturbations"]["none"]["datasets"].append("second"), {"benchmarks"}),
        (
            lambda study: study["perturbations"]["corruptions"]["severities"].pop(),
            {"corruptions"},
        ),
        (
            lambda study: study["perturbations"]["corruptions"].update(corruptions=["fog"]),
            {"corruptions"},
        ),
        (lambda study: study["perturbations"]["lesions"].update(samples=3), {"lesions"}),
        (lambda study: study["perturbations"]["pgd"].update(steps=3), {"attacks"}),
        (lambda study: study["datasets"]["test"].update(label="Pictures"), set()),
        (lambda study: study.update(batch_size=7), set()),
    ],
)
def test_shards_are_checked_anew_when_something_else_is_asked_of_them(
    tiny_study: dict[str, Any], change: Callable[[dict[str, Any]], Any], changed: set[str]
) -> None:
    some = {"datasets": ["test"], "images": 12}
    tiny_study["perturbations"]["lesions"] = {**some, "removed": [1, 2], "samples": 2}
    tiny_study["architectures"]["vit"]["arguments"]["depth"] = 4
    tiny_study["perturbations"]["pgd"] = {**some, "epsilons": ["1/255"], "steps": 2}
    other = copy.deepcopy(tiny_study)
    change(other)
    before, after = (_inventories(load_config(each)) for each in (tiny_study, other))
    assert before.keys() == after.keys()
    assert changed == {name for name in before if before[name] != after[name]}


def test_weights_are_checked_first(defined: tuple[dict[str, Any], dict[str, Any]]) -> None:
    found = {name: facts["priority"] for name, facts in defined[1].items()}
    first = {"import_checkpoint", "download_dataset"}
    later = max(found[name] for name in found.keys() - first)
    assert all(found[name] > later for name in first)


@pytest.mark.parametrize("quiet", [(), ("--quiet", "all")], ids=["", "quiet"])
def test_a_configuration_file_that_is_not_there_is_one_sentence(
    clone: Workspace, quiet: tuple[str, ...]
) -> None:
    told = clone.told(*quiet, status=1, configuration="nothere.yaml")
    assert "Traceback" not in told
    assert told.endswith("\nnothere.yaml: there is no such configuration file\n")


def test_default_profile_holds_neutral_keys_only() -> None:
    """Whatever stands in it would beat a profile given on the command line."""
    profile = yaml.safe_load((ROOT / "profiles" / "default" / "config.yaml").read_text())
    site_keys = {"executor", "default-resources", "set-resources", "jobs", "sdm", "retries"}
    assert site_keys.isdisjoint(profile)
    assert profile["scheduler"] == "greedy"
    assert profile["resources"] == ["gpu=1"]
    assert "code" not in profile["rerun-triggers"]


def test_a_run_that_writes_no_page_names_none(tmp_path: Path) -> None:
    """An older page may lie there: it says nothing of what this run has made."""
    workspace = fresh_clone(tmp_path)
    workspace.configure(TINY_STUDY)
    page = workspace.folder / "results" / "report" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("of an earlier run")
    told = workspace.told("--", "results/decoded/watch/manifest.parquet")
    assert re.search(r"jobs (\d+) of \1$", told, re.MULTILINE)
    assert "The report" not in told
