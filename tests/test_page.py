"""The report page in a real browser, with the network cut off."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from markupsafe import escape
from playwright.sync_api import Browser, Page, sync_playwright

from perturb.experiments import registry
from perturb.experiments.attacks.notes import vanishing_gradients
from perturb.experiments.claims.sentences import claims
from perturb.experiments.registry import charts_of
from perturb.experiments.registry import tables_of as declared_tables_of
from perturb.page.shown import charts_from, shown_sections
from perturb.page.write import PageText, write_page
from tests.study_tables import CHARTS, TABLES, drawn_charts, tables_of
from tests.synthetic_study import make_study

NASTY = "<script>window.hacked = true</script>\"'&"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c63f8cfc0f01f00050001ff89993d1d0000000049454e44ae426082"
)


@dataclass
class Opened:
    """A page, and everything that went wrong while it was open."""

    page: Page
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page whose every typed text tries to be a script."""
    folder = tmp_path_factory.mktemp("page")
    study = make_study(folder, num_images=40).joined()
    for path, column in ((study.models, "pretraining_label"), (study.datasets, "label")):
        table = pq.read_table(path)
        typed = pc.binary_join_element_wise(table[column], NASTY, "")
        pq.write_table(table.set_column(table.column_names.index(column), column, typed), path)
    sheet = folder / "sheet.png"
    sheet.write_bytes(PNG)
    tables = tables_of(study, folder / "tables")
    write_page(
        folder / "report" / "index.html",
        PageText(
            f"A study {NASTY}",
            f"title: {NASTY}\n",
            f"snakemake {NASTY}",
            absent=(f"ViT {NASTY}", "ViT-H/14"),
        ),
        tables=tables,
        charts=drawn_charts(tables, folder / "charts"),
        datasets=study.datasets,
        contact_sheets={f"Shapes {NASTY}": sheet},
        pictures={"perturbation_patterns": (f"PGD {NASTY}", sheet)},
    )
    return folder / "report" / "index.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next((path for path in map(shutil.which, names) if path), None)
    executable = os.environ.get("CHROMIUM", found)
    if executable is None:
        pytest.fail("no Chromium found; install it with: apt-get install chromium")
    with sync_playwright() as playwright:
        # Containers have neither user namespaces nor much shared memory.
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        running = playwright.chromium.launch(executable_path=executable, args=options)
        yield running
        running.close()


@pytest.fixture(scope="module")
def opened(browser: Browser, report: Path) -> Iterator[Opened]:
    """Open the page and wait for its charts, for tests that only look."""
    with _open(browser, report) as found:
        for chart in charts_in(report.parents[1] / "charts"):
            found.page.wait_for_selector(f"#chart-{chart}[data-drawn] svg")
        yield found


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    """Open the page for a test that changes what it shows."""
    with _open(browser, report) as found:
        yield found.page


@contextlib.contextmanager
def _open(browser: Browser, report: Path) -> Iterator[Opened]:
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    found = Opened(context.new_page())
    found.page.on("console", lambda message: found.messages.append(message.text))
    found.page.on("pageerror", lambda error: found.messages.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(report.as_uri())
    yield found
    context.close()


def write_part(path: Path, report: Path, available: set[str]) -> None:
    """Write the page of a study that has only these of the whole report's perturbations."""
    folder = report.parents[1]
    names = declared_tables_of(available)
    tables = {name: folder / "tables" / f"{name}.parquet" for name in names}
    datasets = folder / "datasets.parquet"
    charts = charts_in(folder / "charts")
    write_page(path, PageText("Part", "", ""), tables=tables, datasets=datasets, charts=charts)


def charts_in(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Return the files of the drawn charts in a folder."""
    return {file.stem: (file, file.with_suffix(".svg")) for file in folder.glob("*.json")}


def test_page_opens_without_errors_and_without_the_network(opened: Opened, report: Path) -> None:
    assert opened.messages == []
    outside = [url for url in opened.requests if not url.startswith(("data:", "blob:"))]
    assert outside == [report.as_uri()]


def test_what_users_typed_is_text(opened: Opened) -> None:
    assert opened.page.evaluate("window.hacked") is None
    assert opened.page.text_content("h1") == f"A study {NASTY}"
    assert NASTY in (opened.page.text_content("#run pre") or "")
    assert f"snakemake {NASTY}" in opened.page.locator("#run dd code").all_text_contents()
    assert NASTY in (opened.page.text_content("#absent") or "")
    assert NASTY in (opened.page.text_content("#table-accuracy tbody") or "")
    assert NASTY in (opened.page.text_content("#chart-corruption_heatmap") or "")


# Every experiment with a chart is a section, in the order of the experiments. The made-up models
# are trained once.
SECTIONS = {
    id: found.title
    for id, found in registry.experiments().items()
    if found.charts and id != "training_runs"
}
# Sections of every study, since they need unchanged images alone.
ALWAYS = {"benchmarks", "confidence", "model_size", "data_scaling"}
ALWAYS |= {"effective_robustness", "error_consistency"}


def test_charts_stand_in_their_sections_and_the_navigation_leads_there(opened: Opened) -> None:
    page = opened.page
    links = page.locator("nav a").all()
    assert all(page.locator(link.get_attribute("href") or "").count() == 1 for link in links)
    names = [link.inner_text() for link in links]
    assert names[2 : 3 + len(SECTIONS)] == [
        *SECTIONS.values(),
        "The paper\N{RIGHT SINGLE QUOTATION MARK}s claims",
    ]
    for id, title in SECTIONS.items():
        section = page.locator(f"main > section#{id}")
        assert section.locator("h2").inner_text() == title
        drawn = [chart.get_attribute("id") for chart in section.locator(".vega").all()]
        assert drawn == [f"chart-{chart.name}" for chart in registry.experiments()[id].charts]


@pytest.mark.parametrize(
    ("section", "terms"),
    [
        ("attacks", ["Epsilon", "FGSM", "PGD", "Attack ensemble"]),
        ("transfer", ["Transfer"]),
        ("spatial", ["Spatial attack", "Worst of 10"]),
        ("shape_bias", ["Cue conflict", "Shape bias"]),
        ("layer_correlations", ["Block", "Token", "CKA"]),
        ("lesions", ["Lesion", "Skip connection", "Head"]),
        ("restricted_attention", ["Attention window"]),
        ("token_removal", ["FLOPs kept"]),
    ],
)
def test_words_of_the_field_are_explained(opened: Opened, section: str, terms: list[str]) -> None:
    found = opened.page.locator(f"#{section} dl.terms dt").all_inner_texts()
    assert set(terms) <= set(found)


def test_pictures_of_perturbations_stand_with_their_experiment(opened: Opened) -> None:
    figure = opened.page.locator("#perturbation_patterns figure.picture")
    assert figure.locator("figcaption").inner_text() == f"PGD {NASTY}"
    picture = figure.locator("img")
    assert (picture.get_attribute("src") or "").startswith("data:image/png;base64,")
    assert picture.evaluate("picture => picture.naturalWidth") == 1


def test_models_without_gradient_are_named(opened: Opened, report: Path) -> None:
    rows = pq.read_table(report.parents[1] / "tables" / "adversarial_accuracy.parquet").to_pylist()
    named = {row["architecture_label"] for row in rows if row["num_zero_gradient"]}
    assert named
    warning = opened.page.locator("#attacks .warning")
    assert "is not informative" in warning.inner_text()
    text = " ".join(warning.locator("li").all_inner_texts())
    assert all(name in text for name in named)


def test_models_at_chance_are_named_before_all_numbers(report: Path, tmp_path: Path) -> None:
    assert 'id="at-chance"' not in report.read_text(encoding="utf-8")
    folder = report.parents[1] / "tables"
    needed = {"claims", "runs"} | {
        name for chart in charts_from({}) for name in CHARTS[chart].tables
    }
    tables = {name: folder / f"{name}.parquet" for name in needed | {"models", "accuracy"}}
    models = pq.read_table(tables["models"])
    place = models.column_names.index("warning")
    warnings = pa.array(["labels may not match"] + [None] * (models.num_rows - 1), pa.string())
    tables["models"] = tmp_path / "models.parquet"
    pq.write_table(models.set_column(place, "warning", warnings), tables["models"])
    write_page(
        tmp_path / "index.html",
        PageText("A study", "", ""),
        tables=tables,
        datasets=report.parents[1] / "datasets.parquet",
        charts=charts_in(report.parents[1] / "charts"),
    )
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    header = html[: html.index('<dl class="numbers">')]
    row = models.to_pylist()[0]
    name = escape(f"{row['architecture_label']} ({row['pretraining_label']})")
    assert f"<li>{name}: labels may not match: accuracy on " in header
    assert header.count("<li>") == 1


def test_warnings_name_only_models_whose_gradients_vanish(report: Path) -> None:
    table = pq.read_table(report.parents[1] / "tables" / "adversarial_accuracy.parquet")
    rows = [
        {**row, "num_zero_gradient": 3 * (row["model"] == "vit-s4-large"), "num_attacked": 20}
        for row in table.to_pylist()
    ]
    label = next(row["pretraining_label"] for row in rows if row["pretraining"] == "large")
    found = {"adversarial_accuracy": pa.Table.from_pylist(rows)}
    assert vanishing_gradients(found) == [
        f"ViT-S/4 ({label}): no gradient on 3 of 20 attacked images"
    ]
    assert vanishing_gradients({}) == []


@pytest.mark.parametrize(
    ("available", "sections", "absent"),
    [
        (
            set(),
            [],
            ["Corruptions", "FGSM", "Shape bias"],
        ),
        (
            {"attacks", "corruptions"},
            ["corruptions", "attacks"],
            ["Transfer", "Borders, object"],
        ),
        (
            {"cue_conflict"},
            ["shape_bias"],
            ["PGD", "Spatial attack"],
        ),
        (
            {"lesions"},
            ["lesions"],
            ["Head", "Token", "Attention window", "CKA"],
        ),
        (
            {"patch_attention"},
            ["restricted_attention"],
            ["Lesion", "Attention window", "FLOPs kept"],
        ),
    ],
)
def test_a_page_shows_the_studies_own_perturbations_alone(
    browser: Browser,
    report: Path,
    tmp_path: Path,
    available: set[str],
    sections: list[str],
    absent: list[str],
) -> None:
    path = tmp_path / "index.html"
    write_part(path, report, available)
    page = browser.new_page()
    page.goto(path.as_uri())
    inner = [part.get_attribute("id") for part in page.locator("main > section").all()]
    found = [id for id in SECTIONS if id in ALWAYS.union(sections)]
    assert inner == ["asked", "found", *found, "claims", "sure", "run", "numbers"]
    assert len(page.locator(".vega").all()) == len(charts_of(available))
    assert not set(absent) & set(page.locator("dl.terms dt").all_inner_texts())
    page.close()


REMOVED = "Parts of the model are removed"


@pytest.mark.parametrize(
    ("available", "said", "unsaid"),
    [
        ("heads", ["further training", REMOVED], ["sets of blocks"]),
        ("weight_noise", ["further training", "all by random noise", "draws"], [REMOVED, " bits"]),
        (
            "weight_rounding",
            ["slightly: those of linear"],
            [REMOVED, "random noise", "draws of weight noise"],
        ),
    ],
)
def test_a_page_explains_the_studies_own_changes_alone(
    report: Path, tmp_path: Path, available: str, said: list[str], unsaid: list[str]
) -> None:
    path = tmp_path / "index.html"
    write_part(path, report, {available})
    html = path.read_text(encoding="utf-8").partition('<section id="run">')[0]
    words = " ".join(re.sub(r"<script.*?</script>|<[^>]*>", " ", html, flags=re.DOTALL).split())
    assert [text for text in said if text not in words] == []
    assert [text for text in unsaid if text in words] == []


def test_a_chart_without_any_row_is_left_out(report: Path) -> None:
    """Of a study of ResNets no head can be silenced, whatever its configuration asks for."""
    names = declared_tables_of({"heads"})
    folder = report.parents[1] / "tables"
    found = {name: pq.read_table(folder / f"{name}.parquet") for name in names}
    charts = charts_in(report.parents[1] / "charts")
    for heads, more in ((found["heads"], {"lesions"}), (None, set())):
        table = found["heads"].slice(0, 0) if heads is None else heads
        shown = shown_sections({**found, "heads": table}, {}, charts, {})
        assert [section.id for section in shown] == [id for id in SECTIONS if id in ALWAYS | more]


def test_libraries_are_inside_once(report: Path) -> None:
    html = report.read_text()
    assert html.count("window.vegaEmbed = vegaEmbed") + html.count("window.vegaEmbed=") == 1


def column_of(page: Page, index: int) -> list[float]:
    """Return the accuracies of a column of the accuracy table, top to bottom."""
    cells = page.query_selector_all(f"#table-accuracy tbody tr > :nth-child({index})")
    return [float(cell.inner_text().split()[0]) for cell in cells]


def test_tables_sort_on_click(page: Page) -> None:
    head = page.locator("#table-accuracy thead th").nth(3)
    before = column_of(page, 4)
    assert before != sorted(before)
    head.locator("button").click()
    assert column_of(page, 4) == sorted(before)
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").click()
    assert column_of(page, 4) == sorted(before, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    states = [
        other.get_attribute("aria-sort") for other in page.locator("#table-accuracy thead th").all()
    ]
    assert states.count("none") == len(states) - 1


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_tables_sort_by_keyboard(page: Page, key: str) -> None:
    before = column_of(page, 5)
    buttons = page.locator("#table-accuracy thead button")
    buttons.nth(3).focus()
    page.keyboard.press("Tab")
    page.keyboard.press(key)
    assert column_of(page, 5) == sorted(before)


def test_numbers_sort_by_value_and_gaps_stay_last(page: Page) -> None:
    """As text, 336 k would stand before 62.0 k; the reference has no pre-training images."""
    button = page.locator("#table-models thead button").filter(has_text="Pre-training images")
    for expected in (["2,000", "50,000"], ["50,000", "2,000"]):
        button.click()
        cells = [cell.inner_text() for cell in page.query_selector_all(_cells("models", 3))]
        assert [cells[0], cells[-2]] == expected
        assert cells[-1] == "\N{EN DASH}"


def _cells(table: str, column: int) -> str:
    return f"#table-{table} tbody tr > :nth-child({column})"


def test_filter_keeps_rows_with_every_word(page: Page) -> None:
    page.fill("#table-accuracy input", "vit-b large")
    rows = page.locator("#table-accuracy tbody tr:visible").all()
    assert len(rows) == 1
    assert rows[0].inner_text().startswith("ViT-B/8")


def test_page_has_landmarks_headings_captions_and_alternatives(opened: Opened) -> None:
    page = opened.page
    assert page.get_attribute("html", "lang") == "en"
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() == 1
    for table in page.locator("table").all():
        assert table.locator("caption").count() == 1
        assert table.locator("thead th:not([scope=col])").count() == 0
    assert page.locator("img:not([alt])").count() == 0
    label = page.locator("#chart-robustness_benchmarks svg").first.get_attribute("aria-label")
    drawn = page.locator("#chart-robustness_benchmarks [aria-label]").first
    assert label or drawn.get_attribute("aria-label")


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_page_never_scrolls_sideways(opened: Opened, width: int) -> None:
    page = opened.page
    before = page.viewport_size
    assert before is not None
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size(before)


def test_downloads_are_inside_the_page(opened: Opened) -> None:
    with opened.page.expect_download() as download:
        opened.page.click("#table-accuracy a.download")
    assert download.value.suggested_filename == "accuracy.csv"
    first = Path(download.value.path()).read_text().splitlines()[0]
    assert first.startswith("test_set,test_set_label,dataset,model")


def test_verdicts_on_the_page_are_those_of_the_table(opened: Opened, report: Path) -> None:
    rows = pq.read_table(report.parents[1] / "tables" / "claims.parquet").to_pylist()
    for claim in claims(rows):
        card = opened.page.locator(f"#claim-{claim.id}")
        words = {"not testable": "Not testable here"}.get(claim.verdict, claim.verdict.capitalize())
        assert card.locator(".verdict").inner_text() == f"{claim.id} · {words}"
        assert card.locator("li").count() == len(claim.findings)


@pytest.mark.parametrize("missing", ["claims", "accuracy", "scaling_models"])
def test_a_missing_table_is_named(tmp_path: Path, missing: str) -> None:
    tables = {name: tmp_path / name for name in TABLES if name != missing}
    with pytest.raises(ValueError, match=rf"tables \['{missing}'\] are missing"):
        write_page(
            tmp_path / "x.html", PageText("", "", ""), tables=tables, datasets=tmp_path, charts={}
        )
