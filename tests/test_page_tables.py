"""Tables of the report page, as a reader uses them in a browser."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Locator, Page

from perturb.page.shown_tables import shown_table
from tests.pages import NASTY, opened_page

# As in `scripts/tables.js`.
ROWS_OF_A_PAGE = 200


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    """Open the page with its accuracies unfolded, for a test that changes what it shows."""
    with opened_page(browser, report) as found:
        found.unfold("table-accuracy")
        yield found.page


def cells_of(page: Page, table: str, column: int) -> Locator:
    return page.locator(f"#table-{table} tbody tr > :nth-child({column})")


def column_of(page: Page, index: int) -> list[float]:
    """Return the accuracies of a column of the accuracy table, top to bottom."""
    return [float(cell.split()[0]) for cell in cells_of(page, "accuracy", index).all_inner_texts()]


def wait_for_order(page: Page, table: str, order: str) -> None:
    """Wait until the rows are in an order: DataTables sorts after the click."""
    page.wait_for_selector(f"#table-{table} thead th[aria-sort={order}]")


def test_tables_sort_on_click(page: Page) -> None:
    head = page.locator("#table-accuracy thead th").nth(3)
    before = column_of(page, 4)
    assert before != sorted(before)
    head.click()
    wait_for_order(page, "accuracy", "ascending")
    assert column_of(page, 4) == sorted(before)
    assert head.get_attribute("aria-sort") == "ascending"
    head.click()
    wait_for_order(page, "accuracy", "descending")
    assert column_of(page, 4) == sorted(before, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    # No other head says that it is sorted by.
    assert page.locator("#table-accuracy thead th[aria-sort]").count() == 1


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_tables_sort_by_keyboard(page: Page, key: str) -> None:
    before = column_of(page, 5)
    buttons = page.locator("#table-accuracy thead [role=button]")
    buttons.nth(3).focus()
    page.keyboard.press("Tab")
    page.keyboard.press(key)
    wait_for_order(page, "accuracy", "ascending")
    assert column_of(page, 5) == sorted(before)


def test_numbers_sort_by_value_and_gaps_stay_last(browser: Browser, report: Path) -> None:
    """As text, 336 k would stand before 62.0 k; the reference has no pre-training images."""
    with opened_page(browser, report) as found:
        found.unfold("table-models")
        head = found.page.locator("#table-models thead th").filter(has_text="Pre-training images")
        for order, expected in (
            ("ascending", ["2,000", "50,000"]),
            ("descending", ["50,000", "2,000"]),
        ):
            head.click()
            wait_for_order(found.page, "models", order)
            cells = cells_of(found.page, "models", 3).all_inner_texts()
            assert [cells[0], cells[-2]] == expected
            assert cells[-1] == "\N{EN DASH}"


def test_filter_keeps_rows_with_every_word(page: Page) -> None:
    page.fill("#table-accuracy input", "vit-b large")
    page.wait_for_function("document.querySelectorAll('#table-accuracy tbody tr').length === 1")
    assert page.locator("#table-accuracy tbody tr").inner_text().startswith("ViT-B/8")


def test_columns_can_be_hidden(page: Page) -> None:
    heads = page.locator("#table-accuracy thead th")
    before = heads.count()
    page.locator("#table-accuracy .buttons-colvis").click()
    choice = page.locator("#table-accuracy .dt-button-collection")
    choice.get_by_text("Renditions").click()
    assert heads.count() == before - 1
    page.keyboard.press("Escape")
    choice.wait_for(state="detached")


def test_what_users_typed_is_text_in_every_cell_and_head(browser: Browser, report: Path) -> None:
    with opened_page(browser, report) as found:
        for table in ("accuracy", "models", "spatial_accuracy"):
            found.unfold(f"table-{table}")
        texts = found.page.locator("#table-accuracy").inner_text()
        assert NASTY in texts
        # Filters, and lists of columns, read HTML in the library.
        found.page.fill("#table-accuracy input", "<img src=x &")
        found.page.wait_for_timeout(300)
        assert found.page.locator("#table-accuracy tbody tr").count() > 1
        found.page.locator("#table-accuracy .buttons-colvis").click()
        found.page.wait_for_timeout(300)
        assert found.page.evaluate("window.hacked") is None
        assert found.page.locator(".rows :is(script, img)").count() == 0
        assert found.messages == []


def test_heads_say_what_their_column_means(page: Page) -> None:
    heads = page.locator("#table-accuracy thead th").all()
    assert all(head.get_attribute("title") for head in heads)
    assert page.locator("#table-accuracy tbody th[scope=row]").count() == len(column_of(page, 4))
    assert page.locator("#table-accuracy tbody .interval").first.inner_text().startswith("[")


def test_an_unfolded_table_of_an_experiment_is_there_when_it_is_seen(
    browser: Browser, report: Path
) -> None:
    with opened_page(browser, report) as found:
        place = found.page.locator("#folded-spatial_accuracy")
        assert place.get_attribute("open") is not None
        assert place.locator("table").count() == 0
        place.scroll_into_view_if_needed()
        found.page.wait_for_selector("#folded-spatial_accuracy[data-made] tbody tr")
        assert place.locator("tbody tr").count() > 1


@pytest.mark.parametrize(("kind", "first"), [("csv", "test_set,test_set_label"), ("tex", "% ")])
def test_tables_are_saved_from_the_page(page: Page, kind: str, first: str) -> None:
    with page.expect_download() as download:
        page.click(f"#table-accuracy button[data-save={kind}]")
    assert download.value.suggested_filename == f"accuracy.{kind}"
    assert Path(download.value.path()).read_text().startswith(first)


def test_long_tables_have_pages_on_screen_and_all_rows_on_paper(
    browser: Browser, report: Path
) -> None:
    rows = len(pq.read_table(report.parents[1] / "tables" / "corruption_accuracy.parquet"))
    assert rows > ROWS_OF_A_PAGE
    with opened_page(browser, report) as found:
        found.unfold("table-corruption_accuracy")
        shown = found.page.locator("#table-corruption_accuracy tbody tr")
        assert shown.count() == ROWS_OF_A_PAGE
        for event, expected in (("beforeprint", True), ("afterprint", False)):
            found.page.evaluate("name => window.dispatchEvent(new Event(name))", event)
            assert (shown.count() > ROWS_OF_A_PAGE) == expected


def test_a_packed_table_holds_what_its_grid_shows(report: Path) -> None:
    table = pq.read_table(report.parents[1] / "tables" / "accuracy.parquet")
    shown = shown_table("accuracy", table)
    packed = json.loads(json.dumps(shown.packed, allow_nan=False))
    assert [head["label"] for head in packed["headers"]] == [
        head.label for head in shown.grid.headers
    ]
    texts = [
        [cell[0] if isinstance(cell, list) else cell for cell in row] for row in packed["rows"]
    ]
    assert texts == [[cell.text for cell in row] for row in shown.grid.rows]
    assert packed["csv"].splitlines()[0] == ",".join(table.column_names)


def test_every_table_unfolds(browser: Browser, report: Path) -> None:
    with opened_page(browser, report) as found:
        for table in found.page.locator("#numbers > details").all():
            found.unfold(str(table.get_attribute("id")))
        assert found.messages == []
