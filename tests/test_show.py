"""`perturb show` opens the page of a study, or says why it cannot."""

import webbrowser
from pathlib import Path

import pytest

from perturb.__main__ import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the addresses that a browser was asked to open."""
    found: list[str] = []

    def opened(url: str) -> bool:
        found.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", opened)
    return found


def _page(results: Path) -> Path:
    page = results / "report" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<!doctype html>", encoding="utf-8")
    return page


@pytest.mark.parametrize(
    ("file", "arguments"),
    [
        (None, ["my results"]),
        ("study.yaml", []),
        ("config.yaml", []),
    ],
)
def test_the_page_is_opened_and_its_path_printed(
    here: Path,
    opened: list[str],
    capsys: pytest.CaptureFixture[str],
    file: str | None,
    arguments: list[str],
) -> None:
    page = _page(here / "my results")
    if file:
        (here / file).write_text("{datasets: {}, results: my results}", encoding="utf-8")
    assert main(["show", *arguments]) == 0
    assert opened == [page.as_uri()]
    assert capsys.readouterr().out == f"{page}\n"


def test_the_own_study_goes_before_the_default(here: Path, opened: list[str]) -> None:
    page = _page(here / "own")
    (here / "study.yaml").write_text("{datasets: {}, results: own}", encoding="utf-8")
    (here / "config.yaml").write_text("{datasets: {}, results: other}", encoding="utf-8")
    assert main(["show"]) == 0
    assert opened == [page.as_uri()]


def test_the_path_alone_opens_nothing(
    here: Path, opened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    page = _page(here / "results")
    assert main(["show", "results", "--path"]) == 0
    assert (opened, capsys.readouterr().out) == ([], f"{page}\n")


def test_without_a_browser_the_path_is_still_printed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    page = _page(here / "results")
    assert main(["show", "results"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{page}\n"
    assert "No browser was found" in printed.err


def test_what_is_missing_is_named(
    here: Path, opened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "empty").mkdir()
    (here / "file").touch()
    for results, words in {
        "nowhere": "nowhere: there is no such folder; `snakemake --cores all` makes",
        "empty": "empty: there is no report yet, empty/report/index.html is missing; `perturb",
        "file": "file: is a file; expected the results folder",
    }.items():
        assert main(["show", results]) == 1
        assert words in capsys.readouterr().err
    assert opened == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is neither study.yaml nor config.yaml here: name the results folder"),
        ("{datasets: {}, results: 3}", "study.yaml: results is 3; expected the path of a folder"),
        ("- no mapping", "study.yaml holds list; expected keys and values"),
    ],
)
def test_a_folder_without_a_study_asks_for_the_results(
    here: Path, capsys: pytest.CaptureFixture[str], text: str | None, words: str
) -> None:
    if text:
        (here / "study.yaml").write_text(text, encoding="utf-8")
    assert main(["show"]) == 2
    assert words in capsys.readouterr().err
