"""Runs that are watched: events, progress, the status file, the census of shards, commands."""

import argparse
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from perturb.__main__ import main
from perturb.config import Config
from perturb.evaluation.cell import Cell
from perturb.evaluation.shards import SCHEMA, write_shard
from perturb.experiments.registry import protocol_of
from perturb.formatting import duration
from perturb.plan.asked import seed_of
from perturb.plan.cells import cells
from perturb.plan.jobs import jobs
from perturb.plan.paths import Paths
from perturb.plan.receipts import write_receipt
from perturb.runs import resume, status
from perturb.runs.census import census
from perturb.runs.events import Events, Job
from perturb.runs.progress import Tracker

NUM_IMAGES = 24


def _write_shard(config: Config, cell: Cell, **changed: Any) -> Path:
    path = Path(Paths(config.results).shard(cell))
    facts = {
        "model": cell.model,
        "dataset": cell.dataset,
        "perturbation": cell.perturbation,
        "severity": cell.severity_value,
        "samples": {"one": [0], "two": [0, 1]},
        "protocol": protocol_of(cell.perturbation),
        "seed": seed_of(config, cell.perturbation),
        "num_images": NUM_IMAGES,
        "seconds": 1800.0,
        "device": "GPU",
        "dtype": "float32",
        "commit": "abc",
        "versions": {"python": "3", "perturb": "0", "torch": "2", "timm": "1"},
    }
    write_shard(path, SCHEMA.empty_table(), facts | changed)
    return path


# ------------------------------------------------------------------------------------------ events


def _take(events: Events, message: str = "", **facts: Any) -> None:
    events.take(logging.makeLogRecord({"msg": message, **facts}))


STATS = {"evaluate": 3, "all": 1, "total": 4}
JOB_ERROR = {"event": "job_error", "jobid": 7, "rule_name": "train_model", "log": ["a.log"]}


def test_events_tell_what_is_to_be_done_and_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    events = Events()
    _take(events, event="run_info", stats=STATS)
    for job in (6, 7):
        _take(events, event="job_info", jobid=job, rule_name="evaluate", log=["a.log"])
    assert events.running == dict.fromkeys(("6", "7"), Job("evaluate", {"a.log": None}))
    _take(events, event="job_finished", job_id=6)
    _take(events, event="progress", done=1, total=4)
    _take(events, **JOB_ERROR)
    _take(events, "SLURM run ID: abc")
    _take(events, "Select jobs to execute...")
    assert events.jobs == {"evaluate": 3, "all": 1}
    assert (events.steps_done, events.steps_total, events.slurm_run) == (1, 4, "abc")
    assert (events.running, events.finished) == ({}, {"evaluate": 1})
    assert [str(failure) for failure in events.failed.values()] == ["train_model: see a.log"]


@pytest.mark.parametrize("is_earlier", [False, True])
@pytest.mark.parametrize(
    ("written", "named"),
    [("why", "a.log"), ("", ".snakemake/log/2.snakemake.log"), (None, "2.snakemake.log")],
)
def test_a_log_that_says_nothing_is_not_named(
    written: str | None,
    named: str,
    is_earlier: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor one that an earlier run left behind."""
    monkeypatch.chdir(tmp_path)
    Path(".snakemake/log").mkdir(parents=True)
    for name in ("1", "2"):
        Path(f".snakemake/log/{name}.snakemake.log").touch()
    if written is not None:
        Path("a.log").write_text(written)
    events = Events()
    if is_earlier:
        _take(events, event="job_info", jobid=7, rule_name="train_model", log=["a.log"])
        named = "2.snakemake.log"
    _take(events, **JOB_ERROR)
    assert str(events.failed["7"]).endswith(named)
    assert str(events.failed["7"]).startswith("train_model: see ")


def test_a_job_that_is_tried_again_has_not_failed() -> None:
    events = Events()
    _take(events, **JOB_ERROR)
    _take(events, "Trying to restart job 7.")
    assert (events.failed, events.num_retries) == ({}, 1)
    _take(events, **JOB_ERROR)
    assert len(events.failed) == 1


# ---------------------------------------------------------------------------------------- progress


def _list_done(config: Config, model: str, job: str) -> None:
    """Write the receipt of a job whose shards are there."""
    of_job = jobs(config)[model, job]
    write_receipt(config, of_job, dict.fromkeys(of_job.files(Paths(config.results)), "0"))


def test_progress_counts_listed_and_new_shards_and_the_time_they_take(config: Config) -> None:
    events = Events()
    asked = cells(config)
    listed, unlisted = asked[:3], asked[3:4]
    assert {cell.model for cell in listed} == {"a"}
    for cell in (*listed, *unlisted):
        os.utime(_write_shard(config, cell), (1, 1))
    for job in ("benchmarks", "corruptions"):
        _list_done(config, "a", job)
    tracker = Tracker(config, events, time.time_ns())
    tracker.count(0)
    assert (tracker.num_done, tracker.seconds_left) == (3, None)
    for cell in asked[4:6]:
        _write_shard(config, cell)
    tracker.count(60)
    assert (tracker.num_done, tracker.num_new, tracker.num_planned) == (5, 2, 6)
    assert tracker.cells_per_minute == pytest.approx(2)
    assert tracker.seconds_left == pytest.approx(120)
    assert str(tracker).startswith("cells 5 of 9, 2 a minute, 2 min left")
    # The job finds the shard that was there and lists it: it is done without having been made.
    os.utime(_write_shard(config, asked[3]), (1, 1))
    _list_done(config, asked[3].model, "benchmarks")
    tracker.count(120)
    assert (tracker.num_done, tracker.num_new) == (6, 2)


def test_the_status_file_is_replaced_as_a_whole(config: Config) -> None:
    events = Events()
    _take(events, event="run_info", stats=STATS)
    _take(events, **JOB_ERROR)
    tracker = Tracker(config, events, 0)
    tracker.write("running")
    tracker.write("failed")
    said = json.loads(Path("results/status.json").read_text())
    assert (said["state"], said["pid"], said["schema"]) == ("failed", os.getpid(), 2)
    assert said["arguments"] == sys.argv[1:]
    assert said["failures"] == [{"rule": "train_model", "log": ["a.log"]}]
    assert [path.name for path in Path("results").iterdir()] == ["status.json"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(12.4, "12 s"), (90, "2 min"), (3600, "1 h"), (7260, "2 h 1 min"), (90_060, "1 d 1 h")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def _change(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def _ended_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_run_whose_process_is_gone_was_killed(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path("results/status.json")
    Tracker(config, Events(), 0).write("running")
    main(["status"])
    assert "Last run: running, recorded at" in capsys.readouterr().out
    _change(path, pid=_ended_process())
    main(["status"])
    assert "Last run: killed, recorded at" in capsys.readouterr().out
    # The number is another process's by now.
    _change(path, pid=os.getpid(), started="2020-01-01T00:00:00+00:00")
    main(["status", "--json"])
    assert json.loads(capsys.readouterr().out)["run"]["state"] == "killed"
    _change(path, host="login7")
    main(["status"])
    assert "Last run: running, recorded at" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------ census


def test_the_census_tells_done_missing_and_faulty_cells(config: Config) -> None:
    missing, cut, swapped, outdated, *rest = cells(config)
    for cell in rest:
        _write_shard(config, cell)
    path = _write_shard(config, cut)
    path.write_bytes(path.read_bytes()[:-9])
    _write_shard(config, swapped, model="another")
    _write_shard(config, outdated, protocol=0)
    log = Path(Paths(config.results).log("evaluate", missing.model, "benchmarks"))
    log.parent.mkdir(parents=True)
    log.touch()
    found = census(config)
    assert (found.num_cells, found.num_done) == (9, 5)
    assert found.missing == [f"a / test / none / {missing.severity} (begun: see {log})"]
    assert len(found.faulty) == 3
    for fault, word in zip(found.faulty, ("whole Parquet", "model is", "protocol is"), strict=True):
        assert word in fault
    assert found.counts["reference", "corruptions"] == (2, 2)


def test_the_census_sums_hours_and_finds_mixed_versions(config: Config) -> None:
    first, *others = cells(config)
    old = _write_shard(config, first, device="CPU", commit="def", seconds=60.0)
    os.utime(old, (1000, 1000))
    for cell in others:
        _write_shard(config, cell)
    found = census(config)
    assert found.devices["GPU"].seconds == pytest.approx(8 * 1800)
    assert found.devices["GPU"].num_images == 8 * 3 * NUM_IMAGES
    assert found.devices["CPU"].images_per_second == pytest.approx(3 * NUM_IMAGES / 60)
    assert found.first_s == pytest.approx(940)
    assert found.mixed == {"commit": {"def": 1, "abc": 8}}


def test_status_exits_with_what_is_missing(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status"]) == 1
    assert "9 missing:" in capsys.readouterr().out
    for cell in cells(config):
        _write_shard(config, cell)
    assert main(["status", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["cells"]["done"], said["cells"]["missing"], said["run"]) == (9, [], None)
    assert said["devices"][0]["hours"] == pytest.approx(4.5)
    Path("config.yaml").write_text("seed: many\n")
    assert main(["status"]) == 2


def test_status_and_cost_take_what_a_run_was_given(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Snakemake does: entries of `--config` first, then the file, then config.yaml."""
    for cell in cells(config):
        _write_shard(config, cell)
    Path("results").rename("elsewhere")
    assert main(["status"]) == 1
    assert main(["status", "--config", "results=elsewhere", "seed=2021"]) == 0
    Path("part.yaml").write_text("results: elsewhere\ntitle: Only a part\n")
    assert main(["status", "--configfile", "part.yaml"]) == 0
    assert "Only a part" in capsys.readouterr().out
    assert main(["cost", "--config", "title='A = B'"]) == 0
    assert "A = B" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config", "results"], "--config results: expected KEY=VALUE"),
        (["--config", "seed=many"], "config.yaml: seed: 'many'"),
        (["--configfile", "list.yaml"], "list.yaml holds list; expected keys and values"),
        (["--configfile", "none.yaml"], "none.yaml: there is no such configuration file\n"),
    ],
)
@pytest.mark.parametrize("command", ["status", "cost"])
def test_what_names_no_study_is_told(
    config: Config, capsys: pytest.CaptureFixture[str], command: str, words: list[str], message: str
) -> None:
    del config  # its folder is the working directory
    Path("list.yaml").write_text("- 1\n")
    assert main([command, *words]) != 0
    assert message in capsys.readouterr().err


def test_status_names_twenty_and_counts_the_rest() -> None:
    names = [f"cell {number}" for number in range(25)]
    first = [f"  {name}" for name in names[:20]]
    assert status._named("missing", names) == ["25 missing:", *first, "  and 5 more"]


def test_only_resume_hands_arguments_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["status", "--cores", "4"])
    assert "unrecognized arguments: --cores 4" in capsys.readouterr().err


def test_resume_explains_itself() -> None:
    parser = argparse.ArgumentParser()
    resume.add_arguments(parser)
    assert "those of the last run" in parser.format_help()


def test_the_commands_start_without_heavy_libraries() -> None:
    script = (
        "import sys, perturb.runs.status, perturb.runs.resume;"
        "sys.exit(bool({'torch', 'timm', 'snakemake', 'duckdb'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
