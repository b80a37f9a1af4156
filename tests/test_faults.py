"""Runs that are killed, stopped, starved of memory or started twice: the same tables in the end."""

import os
import random
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from perturb.evaluation.shards import read_whole
from tests.faults import (
    assert_same,
    command,
    complete,
    jobs,
    kill,
    launch,
    new_workspace,
    start,
    wait_until,
    without,
)
from tests.workspace import Workspace, told_by

pytestmark = pytest.mark.slow

# In the order of the workflow: the number of runs killed while a job of the rule runs.
STAGES = {
    "generate_dataset": 2,
    "train_model": 3,
    "evaluate": 3,
    "describe_study": 1,
    "check_shards": 1,
    "make_tables": 2,
}
# And so many times at any moment of what would be an eighth of an undisturbed run: 30 kills in all.
NUM_ANYWHERE = 18
KINDS = ("all", "Snakemake")
WAYS = ("unlock", "resume")
MAX_RUNS = 4


@pytest.fixture
def unevaluated(finished: Workspace, tmp_path: Path) -> Workspace:
    """Return a workspace in which the models are trained and nothing is evaluated."""
    return without(finished.copy(tmp_path / "copy"), "shards", "receipts", "logs")


def _moments(duration_s: float, *, is_short: bool) -> list[tuple[str, float]]:
    """Return moments to kill at: a rule whose job is to be at work, or none, and seconds.

    The short way is once in each stage, and twice at any moment.
    """
    generator = random.Random(7)
    num_anywhere = 2 if is_short else NUM_ANYWHERE
    anywhere = [("", generator.uniform(0, duration_s / 8)) for _ in range(num_anywhere)]
    aimed = [rule for rule, count in STAGES.items() for _ in range(1 if is_short else count)]
    # Less than the shortest job takes, so that it is still at work.
    moments = [(rule, generator.uniform(0, 0.5)) for rule in aimed]
    for moment in anywhere:
        moments.insert(generator.randint(0, len(moments)), moment)
    return moments


def _reaches(run: subprocess.Popen[str], rule: str, seconds: float) -> bool:
    """Wait for a moment of a run; return whether it came before the run's end."""
    if rule and not wait_until(lambda: rule in jobs(run), run):
        return False
    try:
        run.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


@pytest.mark.parametrize("is_short", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_a_run_killed_at_any_moment_ends_in_the_same_tables(
    undisturbed: tuple[Workspace, float], tmp_path: Path, is_short: bool
) -> None:
    """Kill a run of a fresh clone again and again, going on after each kill as a person would.

    After `--unlock` the next run starts at once, beside jobs of the killed one that go on.
    """
    finished, duration_s = undisturbed
    workspace = new_workspace(tmp_path)
    choices = random.Random(11)
    num_kills, num_runs, seen = 0, 0, set[str]()
    moments = _moments(duration_s, is_short=is_short)
    for rule, seconds in moments:
        run = start(workspace, choices.choice(WAYS))
        while not _reaches(run, rule, seconds):
            # It was faster than the moments: its tables are looked at, and another run begins.
            assert run.wait() == 0, (workspace.folder / "told.txt").read_text()
            assert_same(workspace, finished)
            num_runs += 1
            assert num_runs < MAX_RUNS, f"{num_kills} kills; no job of {rule} was met"
            shutil.rmtree(workspace.folder / "results")
            run = start(workspace)
        seen |= kill(run, choices.choice(KINDS))
        num_kills += 1
    assert num_kills >= (8 if is_short else 30)
    assert set(STAGES) <= seen
    complete(workspace, finished)
    assert "Nothing to be done" in launch(workspace)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.exhaustive)]
)
def test_a_stopped_run_is_gone_on_with(
    finished: Workspace, unevaluated: Workspace, number: signal.Signals
) -> None:
    """SIGINT to the process group, as Ctrl-C sends it; SIGTERM as the end of a session does."""
    run = start(unevaluated)
    assert wait_until(lambda: "evaluate" in jobs(run), run)
    os.killpg(run.pid, number)
    assert run.wait(timeout=60) != 0
    assert not (unevaluated.folder / "results" / "tables").exists()
    # It has ended in good order.
    assert not any(unevaluated.folder.glob(".snakemake/locks/*"))
    complete(unevaluated, finished)


def _processes(logs: Path) -> dict[str, int]:
    """Return the process of each model's evaluation that has begun, as its log tells it."""
    found = {
        log: re.search(r"^host .* process (\d+)$", log.read_text(), re.M)
        for log in logs.glob("*/*")
    }
    return {log.parent.name: int(process[1]) for log, process in found.items() if process}


def test_a_job_killed_for_memory_is_named_and_the_others_go_on(
    finished: Workspace, unevaluated: Workspace
) -> None:
    run = start(unevaluated)
    logs = unevaluated.folder / "results" / "logs" / "evaluate"
    assert wait_until(lambda: _processes(logs), run)
    killed, process = next(iter(_processes(logs).items()))
    os.kill(process, signal.SIGKILL)
    assert run.wait(timeout=120) == 1
    told = (unevaluated.folder / "told.txt").read_text()
    failures = [line for line in told.splitlines() if "FAILED: " in line]
    assert len(failures) == 1, told
    assert re.search(rf"FAILED: evaluate: see results/logs/evaluate/{killed}/all\.log", failures[0])
    assert "SIGKILL" in told
    (other,) = {"a", "reference"} - {killed}
    assert len([*unevaluated.folder.glob(f"results/shards/{other}/*/*/*.parquet")]) == 2
    # Of its two cells it may have finished one, which stays: whole, and not both of them.
    left = [*unevaluated.folder.glob(f"results/shards/{killed}/*/*/*")]
    assert len(left) < 2
    assert [read_whole(shard)["model"] for shard in left] == [killed] * len(left)
    assert not (unevaluated.folder / "results" / "tables").exists()
    complete(unevaluated, finished)


def test_a_job_that_fails_keeps_its_finished_cells(
    finished: Workspace, unevaluated: Workspace
) -> None:
    """The second of two cells fails, by a line of code that is taken out again."""
    code = unevaluated.folder / "perturb" / "evaluation" / "jobs.py"
    text = code.read_text()
    fault = 'if cell.perturbation == "corruptions":\n            raise ValueError("no clouds")'
    faulty = re.sub(r"( +)(asked = task\.asked\n)", rf"\1{fault}\n\1\2", text, count=1)
    assert faulty != text
    code.write_text(faulty)
    told = launch(unevaluated, status=1)
    assert all(
        f"{model} / test / corruptions / 1: no clouds" in told for model in ("a", "reference")
    )
    results = unevaluated.folder / "results"
    kept = {shard: shard.read_bytes() for shard in results.glob("shards/*/*/*/*")}
    assert {shard.parent.name for shard in kept} == {"none"}
    assert {read_whole(shard)["model"] for shard in kept} == {"a", "reference"}
    code.write_text(text)
    complete(unevaluated, finished)
    # The time that an evaluation took stands in its shard: these were not made again.
    assert {shard: shard.read_bytes() for shard in kept} == kept
    logs = [log.read_text() for log in results.glob("logs/evaluate/*/*")]
    assert ["1 of 2 are kept" in log for log in logs] == [True, True]


def test_beside_a_run_no_other_starts(finished: Workspace, unevaluated: Workspace) -> None:
    """Snakemake's own lock refuses a second run, and `perturb resume` names the first one."""
    run = start(unevaluated)
    assert wait_until(lambda: jobs(run), run)
    beside = told_by(command(), unevaluated.folder, status=1)
    assert "Directory cannot be locked" in beside
    assert start(unevaluated, "resume").wait(timeout=60) == 1
    told = (unevaluated.folder / "told.txt").read_text()
    assert f"already (process {run.pid} on " in told
    assert run.wait(timeout=120) == 0
    assert_same(unevaluated, finished)
