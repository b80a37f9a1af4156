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

# Width in px of the printed part of a sheet.
A4 = 718


@pytest.fixture(scope="module")
def opened(browser: Browser, report: Path) -> Iterator[Opened]:
    """Open the page and wait for its charts, for tests that only look."""
    with opened_page(browser, report) as found:
        found.wait_for_charts()
        yield found


@pytest.mark.parametrize(
    ("width", "is_dark"),
    [
        (PHONE, True),
        (DESKTOP, False),
        pytest.param(PHONE, False, marks=pytest.mark.exhaustive),
        pytest.param(DESKTOP, True, marks=pytest.mark.exhaustive),
    ],
)
def test_an_accessibility_checker_finds_nothing_serious(
    browser: Browser, report: Path, width: int, is_dark: bool
) -> None:
    with opened_page(browser, report, width=width, is_dark=is_dark) as found:
        found.wait_for_charts()
        found.unfold("table-accuracy")
        checked = Axe().run(found.page)
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


def test_a_chart_is_as_high_before_it_is_drawn(browser: Browser, report: Path) -> None:
    heights = """() => Array.from(document.querySelectorAll('.chart'), (chart) =>
        chart.querySelector('figcaption').getBoundingClientRect().top -
        chart.getBoundingClientRect().top)"""
    with opened_page(browser, report, has_scripts=False) as found:
        found.page.evaluate(
            "document.querySelectorAll('noscript').forEach((words) => words.remove())"
        )
        before = found.page.evaluate(heights)
    with opened_page(browser, report) as found:
        found.wait_for_charts()
        for part in ("choosing", "compare"):
            found.page.wait_for_selector(f"#{part}[data-ready]", state="attached")
        after = found.page.evaluate(heights)
    # The titles of the two charts of models are as long as the labels of models: up to a line.
    assert after == pytest.approx(before, abs=16)
    assert sum(one != other for one, other in zip(after, before, strict=True)) <= 2


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
    levels = page.locator(":is(h1, h2, h3, h4)")
    found = levels.evaluate_all("heads => heads.map((head) => Number(head.tagName[1]))")
    assert all(after - before <= 1 for before, after in pairwise(found))


def test_charts_of_models_are_said_in_words(opened: Opened) -> None:
    for part, words in (("choosing", "#choosing-front"), ("compare", "#compare-sentence")):
        opened.page.wait_for_selector(f"#{part}[data-ready]", state="attached")
        drawing = opened.page.locator(f"#{part} .chart [role=img]")
        assert f"#{drawing.get_attribute('aria-labelledby')}" == words
        assert opened.page.locator(words).inner_text()


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
    for part in ("leaderboard", "choosing"):
        with opened.page.expect_download() as download:
            opened.page.click(f"#{part} .downloads button[data-save=csv]")
        assert download.value.suggested_filename == "leaderboard.csv"
    place = opened.page.locator("#figure-shape_bias .downloads a")
    assert place.get_attribute("href") == "../charts/shape_bias.pdf"
    assert opened.messages == []


def test_paper_has_every_chart_and_the_unfolded_tables_whole(opened: Opened) -> None:
    page = opened.page
    page.emulate_media(media="print")
    assert page.locator(".vega svg.marks:visible").count() == page.locator(".vega").count()
    assert not page.locator("nav.contents").is_visible()
    assert not page.locator("#table-models").is_visible()
    page.set_viewport_size({"width": A4, "height": 1000})
    cut = """Array.from(document.querySelectorAll('.scroll'))
        .filter((place) => place.scrollHeight > place.clientHeight + 1
            || place.scrollWidth > document.body.clientWidth)
        .map((place) => place.ariaLabel)"""
    assert page.evaluate(cut) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= A4
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": DESKTOP, "height": 900})


def test_printing_waits_for_all_that_is_made_later(opened: Opened, report: Path) -> None:
    """Charts, unfolded tables, and the sections of models with their pictures."""
    undone = ".vega:not([data-drawn]), details[open].table:not([data-made])"
    places = [undone, ".card", ".tile", ".vega-wide svg", "main table"]
    count = "places => places.map((place) => document.querySelectorAll(place).length)"
    browser = opened.page.context.browser
    assert browser is not None
    with opened_page(browser, report) as found:
        found.page.evaluate(
            f"""places => {{
                const count = {count};
                window.print = () => {{
                    window.printed = count(places);
                    const images = Array.from(document.images);
                    window.unread = images.filter((image) => !image.complete).length;
                }};
            }}""",
            places,
        )
        found.page.click("#print")
        found.page.wait_for_function("'printed' in window")
        printed = found.page.evaluate("window.printed")
        for part in ("leaderboard", "choosing", "compare", "model", "gallery"):
            found.page.wait_for_selector(f"#{part}[data-ready]", state="attached")
        found.page.wait_for_timeout(500)
        assert printed == found.page.evaluate(count, places)
        assert found.page.evaluate("[window.unread, document.images.length > 0]") == [0, True]
        assert found.messages == []
    assert printed[0] == 0
    assert all(printed[1:])


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
