"""The SLURM profile as a site's environment makes it, without any SLURM."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
import yte

from tests.workspace import ROOT

Profile = Callable[..., dict[str, Any]]
PROFILE = (ROOT / "slurm" / "config.yaml").read_text()


@pytest.fixture
def profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Profile:
    """Return what gives the profile where scontrol tells something, and variables are set."""

    def made(told: str = "", **variables: str) -> dict[str, Any]:
        scontrol = tmp_path / "scontrol"
        scontrol.write_text(f"#!/bin/sh\necho '{told}'\n")
        scontrol.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        for name, value in variables.items():
            monkeypatch.setenv(f"PERTURB_SLURM_{name}", value)
        found: dict[str, Any] = yte.process_yaml(PROFILE, require_use_yte=True)
        return found

    return made


@pytest.mark.parametrize(
    ("told", "variables", "command"),
    [
        ("AccountingStorageType = accounting_storage/slurmdbd", {}, "sacct"),
        ("AccountingStorageType = accounting_storage/none", {}, "squeue"),
        ("", {}, "squeue"),
        ("", {"STATUS": "sacct"}, "sacct"),
    ],
)
def test_profile_asks_the_database_only_where_there_is_one(
    profile: Profile, told: str, variables: dict[str, str], command: str
) -> None:
    assert profile(told, **variables)["slurm-status-command"] == command


def test_profile_takes_a_sites_names_as_they_are(profile: Profile) -> None:
    assert set(profile()["default-resources"]) == {"mem_mb", "runtime"}
    named = profile(ACCOUNT="os.getcwd()", PARTITION="gpu-short")["default-resources"]
    # Snakemake evaluates both as Python: they have to come out as the strings that went in.
    assert yaml.safe_load(named["slurm_account"]) == "os.getcwd()"
    assert yaml.safe_load(named["slurm_partition"]) == "gpu-short"


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_profile_refuses_a_wrong_number(profile: Profile, value: str) -> None:
    with pytest.raises(Exception, match=f"PERTURB_SLURM_JOBS={value}: a whole number"):
        profile(JOBS=value)


def test_profile_and_the_local_one_share_no_key() -> None:
    """profiles/default wins wherever both name a key, so that the other would be read in vain."""
    default = yaml.safe_load((ROOT / "profiles" / "default" / "config.yaml").read_text())
    # What belongs to the template language is each file's own and no setting.
    settings = {key for key in default if not key.startswith("__")}
    assert "scheduler" in settings
    assert settings.isdisjoint(yaml.safe_load(PROFILE))


@pytest.mark.parametrize(("value", "requeues"), [("", True), ("yes", True), ("no", False)])
def test_profile_requeues_unless_told_not_to(profile: Profile, value: str, requeues: bool) -> None:
    found = profile(REQUEUE=value)
    assert ("slurm-requeue" in found) == requeues
    assert ("slurm-no-requeue" in found) != requeues


def test_profile_refuses_another_word(profile: Profile) -> None:
    with pytest.raises(Exception, match="PERTURB_SLURM_REQUEUE=0: yes or no is expected"):
        profile(REQUEUE="0")
