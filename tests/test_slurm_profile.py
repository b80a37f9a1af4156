"""The SLURM profile as a site's environment makes it, without any SLURM."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
import yte

from tests.workspace import ROOT

PROFILE = (ROOT / "slurm" / "config.yaml").read_text()


def _profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str = "") -> dict[str, Any]:
    """Return the profile where scontrol tells this."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f"#!/bin/sh\necho '{told}'\n")
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    profile: dict[str, Any] = yte.process_yaml(PROFILE, require_use_yte=True)
    return profile


@pytest.mark.parametrize(
    ("told", "variables", "command"),
    [
        ("AccountingStorageType = accounting_storage/slurmdbd", {}, "sacct"),
        ("AccountingStorageType = accounting_storage/none", {}, "squeue"),
        ("", {}, "squeue"),
        ("", {"PERTURB_SLURM_STATUS": "sacct"}, "sacct"),
    ],
)
def test_profile_asks_the_database_only_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    told: str,
    variables: dict[str, str],
    command: str,
) -> None:
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    assert _profile(monkeypatch, tmp_path, told)["slurm-status-command"] == command


def test_profile_takes_a_sites_names_as_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = _profile(monkeypatch, tmp_path)["default-resources"]
    assert set(plain) == {"mem_mb", "runtime"}
    monkeypatch.setenv("PERTURB_SLURM_ACCOUNT", "os.getcwd()")
    monkeypatch.setenv("PERTURB_SLURM_PARTITION", "gpu-short")
    named = _profile(monkeypatch, tmp_path)["default-resources"]
    # Snakemake evaluates both as Python: they have to come out as the strings that went in.
    assert yaml.safe_load(named["slurm_account"]) == "os.getcwd()"
    assert yaml.safe_load(named["slurm_partition"]) == "gpu-short"


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_profile_refuses_a_wrong_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str
) -> None:
    monkeypatch.setenv("PERTURB_SLURM_JOBS", value)
    with pytest.raises(Exception, match=f"PERTURB_SLURM_JOBS={value}: a whole number"):
        _profile(monkeypatch, tmp_path)


def test_profile_and_the_local_one_share_no_key() -> None:
    """profiles/default wins wherever both name a key, so that the other would be read in vain."""
    default = yaml.safe_load((ROOT / "profiles" / "default" / "config.yaml").read_text())
    # What belongs to the template language is each file's own and no setting.
    settings = {key for key in default if not key.startswith("__")}
    assert "scheduler" in settings
    assert settings.isdisjoint(yaml.safe_load(PROFILE))


@pytest.mark.parametrize(("value", "requeues"), [("", True), ("yes", True), ("no", False)])
def test_profile_requeues_unless_told_not_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str, requeues: bool
) -> None:
    monkeypatch.setenv("PERTURB_SLURM_REQUEUE", value)
    profile = _profile(monkeypatch, tmp_path)
    assert ("slurm-requeue" in profile) == requeues
    assert ("slurm-no-requeue" in profile) != requeues


def test_profile_refuses_another_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PERTURB_SLURM_REQUEUE", "0")
    with pytest.raises(Exception, match="PERTURB_SLURM_REQUEUE=0: yes or no is expected"):
        _profile(monkeypatch, tmp_path)
