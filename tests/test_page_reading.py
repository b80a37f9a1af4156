"""The report page as it is read: phone, dark, zoom, paper, keyboard, screen reader, no scripts."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from perturb.experiments import registry
from perturb.experiments.captions import chart_caption
from tests.pages import DESKTOP, PHONE, Opened, opened_page


@pytest.fixture(scope="module")
def opened(browser: Browser, report: Path) -> Iterator[Opened]:
    """Open the page and wait for its charts, for tests that only look."""
    with opened_page(browser, report) as found:
        found.wait_for_charts()
        yield found


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_an_accessibility_checker_finds_nothing_serious(
    browser: Browser, report: Path, width: int, is_dark: bool
) -> None:
    with opened_page(browser, report, width=width, is_dark=is_dark) as found:
        found.wait_for_charts()
        found.unfold("table-accuracy")
        # Marks of charts are hidden from screen readers, which read the chart in words.
        checked = Axe().run(found.page, context={"exclude": [[".vega"]]})
        violations = checked.response["violations"]
        assert found.messages == []
    serious = [
        (one["id"], one["nodes"][0]["html"])
        for one in violations
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize(("width", "scale"), [(PHONE, 1), (768, 1), (DESKTOP, 1), (DESKTOP, 2)])
def test_page_never_scrolls_sideways(
    browser: Browser, report: Path, width: int, scale: float
) -> None:
    with opened_page(browser, report, width=width, scale=scale) as found:
        found.unfold("table-accuracy")
        assert found.page.evaluate("document.documentElement.scrollWidth") <= width / scale


def test_nothing_moves_when_charts_are_drawn(browser: Browser, report: Path) -> None:
    places = """() => Array.from(document.querySelectorAll('.chart figcaption'),
        (place) => place.offsetTop)"""
    with opened_page(browser, report) as found:
        before = found.page.evaluate(places)
        found.wait_for_charts()
        assert found.page.evaluate(places) == before


def test_page_has_landmarks_headings_captions_and_alternatives(opened: Opened) -> None:
    page = opened.page
    assert page.get_attribute("html", "lang") == "en"
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() == 1
    opened.unfold("table-accuracy")
    for table in page.locator("table").all():
        assert table.locator("caption").count() == 1
        assert table.locator("thead th:not([scope=col])").count() == 0
    assert page.locator("img:not([alt])").count() == 0
    levels = page.locator("#experiments :is(h2, h3, h4)")
    found = levels.evaluate_all("heads => heads.map((head) => Number(head.tagName[1]))")
    assert all(after - before <= 1 for before, after in pairwise(found))


def test_charts_are_said_in_words_with_numbers(opened: Opened) -> None:
    for name in ("robustness_benchmarks", "shape_bias"):
        drawing = opened.page.locator(f"#figure-{name} [role=img]")
        words = drawing.get_attribute("aria-label") or ""
        assert words.startswith(f"{registry.chart(name).title}. {chart_caption(name)}")
        assert ": from " in words
        assert "images" in words


def test_the_keyboard_leads_past_the_contents_and_its_focus_is_seen(
    browser: Browser, report: Path
) -> None:
    with opened_page(browser, report) as found:
        page = found.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) == "solid"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
        assert page.evaluate(outline) == "solid"


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_contents_stay_in_sight_and_name_the_part_that_is_read(
    browser: Browser, report: Path, width: int
) -> None:
    with opened_page(browser, report, width=width) as found:
        page = found.page
        page.emulate_media(reduced_motion="reduce")
        page.locator("nav.contents a", has_text="Claims").click()
        page.wait_for_selector("nav.contents a[aria-current]:text('Claims')")
        bar, head = (
            page.locator(place).bounding_box() for place in ("nav.contents", "#claims > h2")
        )
        assert bar is not None
        assert head is not None
        assert bar["y"] == 0
        assert bar["y"] + bar["height"] <= head["y"] <= 300


def test_a_link_to_a_folded_table_unfolds_it(browser: Browser, report: Path) -> None:
    with opened_page(browser, report) as found:
        found.page.locator("#sure a[href='#table-claims']").click()
        found.page.wait_for_selector("#table-claims[data-made] tbody tr")


def test_charts_are_saved_from_the_page(opened: Opened) -> None:
    for kind, head in (("svg", b"<svg"), ("png", b"\x89PNG")):
        with opened.page.expect_download() as download:
            opened.page.click(f"#figure-shape_bias button[data-save={kind}]")
        assert download.value.suggested_filename == f"shape_bias.{kind}"
        assert Path(download.value.path()).read_bytes().startswith(head)
    place = opened.page.locator("#figure-shape_bias .downloads a")
    assert place.get_attribute("href") == "../charts/shape_bias.pdf"
    assert opened.messages == []


def test_paper_has_every_chart_and_the_unfolded_tables_whole(opened: Opened) -> None:
    page = opened.page
    page.emulate_media(media="print")
    assert page.locator(".vega svg.marks:visible").count() == page.locator(".vega").count()
    assert not page.locator("nav.contents").is_visible()
    assert not page.locator("#table-models").is_visible()
    scrolled = """Array.from(document.querySelectorAll('.scroll'))
        .filter((place) => getComputedStyle(place).overflowY !== 'visible').length"""
    assert page.evaluate(scrolled) == 0
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="screen")


def test_printing_waits_for_every_chart_and_unfolded_table(browser: Browser, report: Path) -> None:
    with opened_page(browser, report) as found:
        found.page.evaluate(
            """() => {
                const undone = '.vega:not([data-drawn]), details[open].table:not([data-made])';
                window.print = () => { window.undone = document.querySelectorAll(undone).length; };
            }"""
        )
        found.page.click("#print")
        found.page.wait_for_function("'undone' in window", timeout=300_000)
        assert found.page.evaluate("window.undone") == 0


def test_without_scripts_the_page_names_the_files(browser: Browser, report: Path) -> None:
    with opened_page(browser, report, has_scripts=False) as found:
        page = found.page
        assert "switched off" in page.locator("main > noscript").inner_text()
        links = page.locator("#figure-shape_bias noscript a")
        assert [link.get_attribute("href") for link in links.all()] == [
            "../charts/shape_bias.svg",
            "../tables/shape_bias.csv",
        ]


def test_what_is_loaded_later_stands_after_what_is_read(report: Path) -> None:
    html = report.read_text(encoding="utf-8")
    assert html.rindex("</footer>") < html.index('id="packed-')
