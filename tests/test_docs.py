"""The documentation: built without a warning, a page for each experiment, no dead internal link."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from docs.docstrings import spelt_out
from docs.experiment_pages import page
from perturb.config.schema import schema
from perturb.experiments import registry
from tests.workspace import ROOT, fresh_clone, told_by

EXPERIMENTS = registry.experiments()


class _Page(HTMLParser):
    """Links, anchors and elements of an HTML file."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.tags: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for key, value in attrs:
            if key in ("href", "src") and value:
                self.links.append(value)
            if key == "id" and value:
                self.anchors.add(value)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, _Page]:
    """Return the pages of the documentation of a fresh clone by their files."""
    clone = fresh_clone(tmp_path_factory.mktemp("docs")).folder
    options = ["--quiet", "--fail-on-warning", "--keep-going", "-c", "docs"]
    told_by([sys.executable, "-m", "sphinx", *options, ".", "html"], clone)
    return {file.resolve(): _Page(file) for file in (clone / "html").rglob("*.html")}


def test_every_experiment_has_a_page_with_its_formula(built: dict[Path, _Page]) -> None:
    pages = {file.stem: found for file, found in built.items() if file.parent.name == "experiments"}
    assert pages.keys() == {*EXPERIMENTS, "index"}
    for name in EXPERIMENTS:
        assert "math" in pages[name].tags
        assert {"formula", "references"} <= pages[name].anchors


def test_no_internal_link_is_dead(built: dict[Path, _Page]) -> None:
    dead = [
        f"{file.name}: {link}"
        for file, found in built.items()
        for link in found.links
        if not _leads_somewhere(file, link, built)
    ]
    assert dead == []


def _leads_somewhere(file: Path, link: str, built: dict[Path, _Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if not parts.fragment or target not in built:
        return target.is_file()
    return unquote(parts.fragment) in built[target].anchors


def test_no_link_of_a_markdown_file_is_dead() -> None:
    """As read in the repository, where pages that `make docs` makes do not exist."""
    folders = [ROOT / name for name in ("", "config", "docs", "envs", "resources", "slurm")]
    folders += [ROOT / "tests/peers", ROOT / "tests/real"]
    files = [file for folder in folders for file in folder.glob("*.md")]
    files.remove(ROOT / "docs" / "index.md")  # the first page of what `make docs` makes
    dead = [
        f"{file.name}: {link}"
        for file in files
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", file.read_text(encoding="utf-8"))
        if not (file.parent / link).is_file()
    ]
    assert dead == []


def test_every_command_that_runs_a_workflow_says_on_how_many_cores() -> None:
    """Snakemake refuses one that does not, unless a profile does."""
    folders = [ROOT / name for name in ("", "config", "docs", "envs", "slurm")]
    commands = [
        f"{file.name}: {command}"
        for folder in folders
        for file in folder.iterdir()
        if file.suffix in (".md", ".yaml", ".yml") or file.name == "Snakefile"
        for command in re.findall(r"\bsnakemake --?[a-z][^`#\n]*", file.read_text(encoding="utf-8"))
    ]
    enough = re.compile(r" (--cores (all|\d+)|--profile|-n|--list|--report|--unlock|--lint)\b")
    assert len(commands) > 20
    assert [command for command in commands if not enough.search(command)] == []


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_a_page_shows_all_that_is_declared(name: str) -> None:
    experiment, text = EXPERIMENTS[name], page(name)
    shown = [item.id for item in (*experiment.perturbations, *experiment.measurements)]
    shown += [item.name for item in (*experiment.tables, *experiment.charts)]
    shown += [column for table in experiment.tables for column in table.shown]
    shown += [
        option for item in experiment.perturbations for option in _options(item.key or item.id)
    ]
    assert [id for id in shown if f"{id}`" not in text] == []


def _options(key: str) -> list[str]:
    return list(schema()["$defs"]["perturbations"]["properties"][key]["properties"])


def test_a_new_experiment_has_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "contrast"
    folder.mkdir()
    (folder / "method.md").write_text("Contrast.\n\n## Formula\n\n$$\nx\n$$\n")
    new = {"contrast": EXPERIMENTS["lesions"].__class__(title="Contrast", figure="10")}
    monkeypatch.setattr(registry, "experiments", lambda: new)
    monkeypatch.setattr(registry, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"contrast/method\.md: must have the heading '## Ref"):
        page("contrast")
    with (folder / "method.md").open("a") as file:
        file.write("\n## References\n\n- None.\n")
    text = page("contrast")
    assert text.startswith("# Contrast\n\n*Figure 10 of [the paper]")
    assert text.endswith("## References\n\n- None.\n")


def test_parameters_are_spelt_as_in_numpydoc() -> None:
    section = ["Return it [1]_.", "", "Parameters", "----------", "x, y : the sides", "    [px]."]
    assert spelt_out(section)[-3:] == ["x, y", "    the sides", "    [px]."]
    assert spelt_out(section)[0] == "Return it."
    fields = ["Record.", "", "side : of the square."]
    headed = ["Record.", "", "Attributes", "----------", "side", "    of the square."]
    assert spelt_out(fields) == headed


def test_the_citation_names_every_dataset_that_can_be_downloaded() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    titles = [reference["title"] for reference in citation["references"]]
    downloads = yaml.safe_load((ROOT / "resources" / "downloads.yaml").read_text(encoding="utf-8"))
    cited = {
        entry["citation"].split(" et al., ")[-1].split(" and Dietterich, ")[-1]
        for entry in downloads.values()
    }
    missing = [
        text
        for text in cited
        if not any(title.split(";")[0].split(":")[0] in text for title in titles)
    ]
    assert missing == []
