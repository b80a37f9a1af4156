"""The first lines of a job's log."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from perturb.logs import log_header, log_to


def _job(**params: Any) -> SimpleNamespace:
    return SimpleNamespace(rule="evaluate", wildcards={"model": "vit-b16"}, params=params)


def test_a_log_begins_with_what_the_job_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    lines = log_header(_job(device="cuda")).splitlines()
    assert lines[:3] == [
        "rule      evaluate",
        "model     vit-b16",
        "device    cuda (CUDA_VISIBLE_DEVICES=1)",
    ]
    assert lines[3].startswith("host ")
    assert lines[3].endswith(f", process {os.getpid()}")


def test_a_log_names_the_slurm_job_and_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["python", "-m", "snakemake", "--attempt", "2", "--mode", "remote"]
    above = SimpleNamespace(
        environ=lambda: {"SLURM_JOB_ID": "4711"}, cmdline=lambda: command, parents=list
    )
    monkeypatch.setattr("psutil.Process", lambda: above)
    lines = log_header(_job()).splitlines()
    assert "SLURM job 4711" in lines
    assert "attempt   2" in lines


def test_log_to_writes_the_header_only_where_it_is_told_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    for name, job in [("with", _job()), ("without", None)]:
        log_to(str(tmp_path / name), job)
        sys.stderr.close()
    assert (tmp_path / "with").read_text().startswith("rule ")
    assert (tmp_path / "without").read_text() == ""
