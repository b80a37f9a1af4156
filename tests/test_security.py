"""What users type stays text: no shell runs it, no path leaves its folder, no page obeys it."""

import copy
import os
import re
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import pytest
import yaml

from perturb.charts.save import save_chart
from perturb.config import ConfigError, load_config
from perturb.plan.cells import cells
from perturb.plan.paths import Paths
from perturb.runs.orphans import slurm_jobs
from tests.workspace import ROOT, Workspace, fresh_clone, told_by

PWNED = "window.pwned=1"

# ----------------------------------------------------------------------------- ids and folders

BAD_IDS = (
    *("-rf", "--help", "a b", "../x", "a/b", "a\\b", ".", "..", ".hidden", "", "x" * 65),
    *("$(touch pwned)", "`touch pwned`", "a;b", "a&b", "a|b", "a'b", 'a"b'),
    *("a\x00b", "a\nb", "a\n"),
    *("a*", "a?", "a[b]", "{model}", "{{model}}", "~", "~root", "é", "a%2f", "a=b", "a,b", "a:b"),
    *("con", "NUL", "none", "all"),
)


@pytest.mark.parametrize("section", ["datasets", "pretraining", "architectures", "models"])
@pytest.mark.parametrize("bad", BAD_IDS)
def test_an_id_that_means_more_than_a_name_is_refused(
    section: str, bad: str, tiny_study: dict[str, Any]
) -> None:
    entries = tiny_study[section]
    entries[bad] = copy.deepcopy(next(iter(entries.values())))
    if section == "datasets":
        entries[bad].pop("role")
    with pytest.raises(ConfigError, match=f"{section}"):
        load_config(tiny_study)


@pytest.mark.parametrize(
    "bad",
    [
        *(".", "./", "x/..", "", "a\nb", "a\x00", "$UNKNOWN_PLACE/x", "~no-such-user/x"),
        *("{model}", "<model>", "*", "a?b", "[ab]"),
    ],
)
def test_results_are_no_pattern_and_not_the_working_directory(
    bad: str, tiny_study: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="results"):
        load_config(tiny_study | {"results": bad})


@pytest.mark.parametrize(
    "results",
    [
        *("out/a..b", "../x", "x/../../y", "/tmp/x", ".git", "a//b", "a/", "-rf", "--x", "a b"),
        *("$$(touch pwned)", "`x`", "a;b", "a'b", 'a"b', "C:\\x", "a/.hidden"),
    ],
)
def test_every_path_of_a_study_stays_in_its_results(
    results: str, tiny_study: dict[str, Any]
) -> None:
    tiny_study["models"]["a..b"] = tiny_study["models"]["b"]
    config = load_config(tiny_study | {"results": results})
    folder = os.path.normpath(results.replace("$$", "$"))
    assert config.results == folder
    layout = Paths(config.results)
    for cell in cells(config):
        for path in (layout.shard(cell), layout.weights(cell.model), layout.log("r", cell.model)):
            assert os.path.normpath(path) == path
            assert path.startswith(f"{folder}/")


def test_perturbations_have_no_names_of_their_own(tiny_study: dict[str, Any]) -> None:
    tiny_study["perturbations"]["$(touch pwned)"] = {"datasets": ["test"]}
    with pytest.raises(ConfigError, match="unknown key"):
        load_config(tiny_study)


# --------------------------------------------------------------------------------------- shells


def test_no_rule_has_a_shell_command() -> None:
    """Snakemake quotes nothing by itself, so rules leave the shell alone."""
    for file in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        assert not re.search(r"^\s+(shell|run|cmd):", file.read_text(), re.MULTILINE), file


def test_no_shell_is_started_by_the_code() -> None:
    asked = re.compile(r"shell\s*=\s*True|os\.system\(|os\.popen\(|(?<![.\w])eval\(|yaml\.load\(")
    folders = ("perturb", "scripts", "envs", "rules")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > 50
    assert [str(file) for file in files if asked.search(file.read_text())] == []


HOSTILE_NAMES = (
    *("a b.yaml", "a'b.yaml", 'a"b.yaml', "a\\b.yaml", "$${HOME}.yaml", "--cores"),
    *("$(touch pwned).yaml", "`touch pwned`.yaml", "$(shell touch pwned).yaml"),
    *("a; touch pwned; .yaml", "a && touch pwned && .yaml"),
)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_make_hands_a_configuration_on_as_one_word(name: str, tmp_path: Path) -> None:
    """`snakemake` on the path is ours and keeps what it is called with."""
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    tool = tmp_path / ".venv" / "bin" / "snakemake"
    tool.parent.mkdir(parents=True)
    tool.write_text('#!/bin/sh\nfor word in "$@"; do printf "%s\\0" "$word"; done > called\n')
    tool.chmod(0o755)
    stamps = ["-o", "python-version", "RUN_READY=", "CORES=1"]
    told_by(["make", "run", f"CONFIG={name}", *stamps], tmp_path)
    words = (tmp_path / "called").read_text().split("\0")
    assert words[words.index("--configfile") + 1 :] == [name, ""]
    assert not (tmp_path / "pwned").exists()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Return a clone in a folder whose name is a trap."""
    return fresh_clone(tmp_path_factory.mktemp("clone") / "it is $(touch pwned) `touch pwned` a;b")


def test_hostile_names_and_values_reach_no_shell(
    hostile: Workspace, tiny_study: dict[str, Any]
) -> None:
    trap = "$(touch pwned) `touch pwned` '; touch pwned; '"
    tiny_study["title"] = trap
    tiny_study["datasets"]["test"]["label"] = trap
    name = "c $(touch pwned) a;b.yaml"
    (hostile.folder / name).write_text(yaml.safe_dump(tiny_study))
    # One job, so that whatever starts jobs has been passed.
    target = "results/decoded/watch/manifest.parquet"
    hostile.told("--nocolor", target, "--config", f"title={trap}", configuration=name)
    assert (hostile.folder / target).exists()
    assert not list(hostile.folder.parent.rglob("pwned*"))


def test_a_slurm_job_in_a_folder_with_a_hostile_name_is_read_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a|b $(x)"
    folder.mkdir()
    run = "4106687d-01b0-481e-8974-3b4d0ef0b544"
    told = (
        f"7|RUNNING|{run}|rule_x|{folder}\n8|PENDING|{run}|rule_y|{tmp_path}\n"
        f"9|RUNNING|my own job|no comment|{folder}\n"
    )
    monkeypatch.setattr("perturb.runs.orphans._slurm", lambda *_: told)
    assert [job.id for job in slurm_jobs(folder)] == ["7"]


# ------------------------------------------------------------------------------------ what is shown


def test_a_chart_file_shows_labels_and_obeys_none(tmp_path: Path) -> None:
    bad = f"</script><script>{PWNED}</script><img src=x onerror={PWNED}>"
    data = pd.DataFrame({"x": [1], "y": [2], "label": [bad]})
    chart = alt.Chart(data, title=bad).mark_point().encode(x="x", y="y", color="label")
    files = {form: tmp_path / f"chart.{form}" for form in ("json", "html", "svg", "png", "pdf")}
    save_chart(chart, **files)
    html, svg = files["html"].read_text(), files["svg"].read_text()
    assert PWNED in html
    assert f"<script>{PWNED}" not in html
    assert f"<img src=x onerror={PWNED}" not in html
    assert "<script" not in svg
    assert "<img" not in svg
