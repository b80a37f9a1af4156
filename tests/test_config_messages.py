"""Messages about a faulty configuration: the line or the key, and the allowed values."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from snakemake.profiles import ProfileConfigFileParser

from perturb.config import ConfigError, load_config
from perturb.config.given import read_yaml, refuse_faulty_files
from tests.test_config_mistakes import refusal
from tests.workspace import ROOT

SHA256 = "0123456789abcdef" * 4


# --- files ---

TWICE = """\
models:
  my-vit: {weights: absent}
  my-res:
    weights: absent
  my-res:
    weights: trained
seed: 1
seed: 2
"""
# The keys of a merge are defaults: an entry's own stand beside them, however often it is merged.
MERGED = """\
deep:
  first: &first {a: 1, b: 2}
  second: &second
    <<: *first
    a: 3
third: {<<: *second, b: 4}
"""


def test_a_key_that_stands_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(TWICE)
    told = (
        r"study.yaml, line 5: key `my-res` stands twice \(first in line 3\)\n"
        r".*study.yaml, line 8: key `seed` stands twice \(first in line 7\)$"
    )
    with pytest.raises(ConfigError, match=told):
        read_yaml(path)
    with pytest.raises(ConfigError, match=told):
        refuse_faulty_files(["--cores", "--configfile", str(path)])


FAULTY: dict[str, tuple[Callable[[Path], object], str]] = {
    "absent": (lambda path: path, "{file}: there is no such configuration file"),
    "a folder": (lambda path: path.mkdir(), "{file}: is a folder; expected a configuration file"),
    "empty": (lambda path: path.touch(), "{file} is empty; expected keys and values"),
    "only remarks": (
        lambda path: path.write_text("# seed: 1\n"),
        "{file} is empty; expected keys and values",
    ),
    "a list": (
        lambda path: path.write_text("- a\n"),
        "{file} holds list; expected keys and values",
    ),
    "words": (
        lambda path: path.write_text("a study\n"),
        "{file} holds str; expected keys and values",
    ),
    "unclosed": (
        lambda path: path.write_text("a: 1\nb: [c\n"),
        "{file}: is not YAML: expected ',' or ']', but got '<stream end>' in line 3, column 1",
    ),
    "tabs": (
        lambda path: path.write_text("a:\n\tb: 1\n"),
        "{file}: is not YAML: found character '\\t' that cannot start any token in line 2, "
        "column 1",
    ),
    "control characters": (
        lambda path: path.write_bytes(b"a: \x00\n"),
        "{file}: is not YAML: unacceptable character #x0000: special characters are not allowed",
    ),
    "no text": (
        lambda path: path.write_bytes(b"\xff\xfea"),
        "{file}: is not a text in UTF-8: invalid start byte at byte 0",
    ),
}


@pytest.mark.parametrize(("make", "told"), FAULTY.values(), ids=FAULTY)
def test_a_configuration_file_that_cannot_be_read_is_named_in_a_sentence(
    make: Callable[[Path], object], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the commands, and by Snakemake: its default profile is read before it opens the file."""
    path = tmp_path / "study.yaml"
    make(path)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert str(caught.value).partition("\n")[0] == told.format(file=path)
    words = ["--cores", "1", "--configfile", str(path), "--quiet"]
    with pytest.raises(ConfigError, match=re.escape(str(caught.value))):
        refuse_faulty_files(words)
    monkeypatch.setattr("sys.argv", ["snakemake", *words])
    monkeypatch.setattr("sys.path", [*sys.path])
    profile = (ROOT / "profiles/default/config.yaml").open()
    with profile, pytest.raises(SystemExit) as ended:
        ProfileConfigFileParser().parse(profile)
    assert ended.value.code == str(caught.value)


def test_the_default_profile_lets_good_files_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["snakemake", "--configfile", "config/smoke.yaml"])
    monkeypatch.setattr("sys.path", [*sys.path])
    with (ROOT / "profiles/default/config.yaml").open() as profile:
        settings = ProfileConfigFileParser().parse(profile)
    assert settings["scheduler"] == "greedy"
    assert not [key for key in settings if key.startswith("__")]


def test_the_default_file_is_read_where_it_is_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refuse_faulty_files(["--cores"])
    Path("config.yaml").write_text(TWICE)
    Path("whole.yaml").write_text("datasets: {}\n")
    Path("changes.yaml").write_text("seed: 1\n")
    refuse_faulty_files(["--configfile", "whole.yaml"])
    for words in ([], ["--configfile", "changes.yaml"]):
        with pytest.raises(ConfigError, match=r"^config\.yaml, line 5"):
            refuse_faulty_files(["--cores", *words])


def test_keys_of_merges_may_stand_beside_an_entrys_own(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(MERGED)
    found = read_yaml(tmp_path / "study.yaml")
    assert found["third"] == {"a": 3, "b": 4}
    assert found["deep"]["second"] == {"a": 3, "b": 2}


# --- messages ---


def test_another_device_is_not_suggested(tiny_study: dict[str, Any]) -> None:
    assert refusal(tiny_study | {"device": "gpu"}) == "device: 'gpu' is not one of cpu, cuda."
    assert "Did you mean `cuda`?" in refusal(tiny_study | {"device": "cuda0"})


def test_a_hash_in_capitals_is_the_same_hash(tiny_study: dict[str, Any]) -> None:
    tiny_study["models"]["a"] |= {"preprocessing": {"side": 32, "mode": "squash"}}
    found = []
    for sha256 in (SHA256, SHA256.upper()):
        tiny_study["models"]["a"]["weights"] = {"file": "w.pt", "sha256": sha256}
        found.append(load_config(tiny_study).models["a"].weights)
    assert found[0] == found[1]
