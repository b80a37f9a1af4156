"""Size of a report page by part, and how fast a browser shows it.

Run: ``python -m benchmarks.page results/report/index.html``. ``python -m tests.large_study FOLDER``
writes the page of 60 made-up models. Needs Chromium and Playwright.
"""

import re
import shutil
import sys
from collections import Counter
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

WIDTH, HEIGHT = 1280, 900
_PACKED = re.compile(r'<script type="text/plain" id="packed-([a-z]+)[^"]*">[^<]*</script>')
_PICTURE = re.compile(r"data:image/[^\"')]*")
# Milliseconds of which a large page may take many.
_PATIENCE = 300_000
_LONGEST = """
Array.from(document.querySelectorAll("#numbers details"), (place) => [
  Number(place.querySelector(".size").textContent.replace(/[^0-9]/g, "")), place.id,
]).sort((a, b) => b[0] - a[0])[0][1]
"""


def main() -> None:
    """Write two Markdown tables."""
    file = Path(sys.argv[1]).resolve()
    sys.stdout.write("| part | kB |\n|---|---:|\n")
    for part, size in sizes(file.read_text(encoding="utf-8")).items():
        sys.stdout.write(f"| {part} | {size / 1000:,.0f} |\n")
    sys.stdout.write("\n| shown | seconds |\n|---|---:|\n")
    for moment, milliseconds in times(file).items():
        sys.stdout.write(f"| {moment} | {milliseconds / 1000:.2f} |\n")


def sizes(html: str) -> dict[str, int]:
    """Return the bytes of each kind of packed part, of pictures, and of the text."""
    found: Counter[str] = Counter()
    for part in _PACKED.finditer(html):
        found[part[1]] += len(part[0].encode())
    found["pictures"] = sum(len(part[0]) for part in _PICTURE.finditer(html))
    whole = len(html.encode())
    return {**found, "text, styles, scripts": whole - found.total(), "all": whole}


def times(file: Path) -> dict[str, float]:
    """Return the milliseconds that parts of the page take, from the start of loading or a click."""
    executable = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(_PATIENCE)
        page.goto(file.as_uri())
        page.wait_for_function("document.querySelector('.vega:not([data-drawn])') === null")
        found = {
            "first paint": _number(
                page, "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            ),
            "every chart, while the browser is idle": _number(page, "performance.now()"),
            "the longest table, from the click": _longest_table(page),
        }
        browser.close()
    return found


def _number(page: Page, expression: str) -> float:
    return float(page.evaluate(expression))


def _longest_table(page: Page) -> float:
    table = f"#{page.evaluate(_LONGEST)}"
    page.locator(table).scroll_into_view_if_needed()
    start = _number(page, "performance.now()")
    page.locator(f"{table} > summary").click()
    page.wait_for_selector(f"{table}[data-made] tbody tr")
    return _number(page, "performance.now()") - start


if __name__ == "__main__":
    main()
