"""Pictures of the report page for the README, taken in a headless browser.

    python docs/page_pictures.py results/report/index.html first-screen=header claims=#claims

writes `docs/pictures/first-screen.webp` and so on: for each name the part of the page that a CSS
selector finds, cut to a screen. `CHROMIUM` names the browser, if it is not on the path.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parent / "pictures"
WIDTH, HEIGHT = 1280, 900
# At which a picture of a screen of text and charts is below 200 kB.
_QUALITY = 80
_MAX_BYTES = 200_000
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def main() -> None:
    """Take the pictures that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("page", type=Path, help="the report's index.html")
    parser.add_argument("parts", nargs="+", metavar="NAME=SELECTOR")
    parser.add_argument("--dark", action="store_true", help="as readers with a dark theme see it")
    arguments = parser.parse_args()
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", found),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme="dark" if arguments.dark else "light",
        )
        page.goto(arguments.page.resolve().as_uri())
        for part in arguments.parts:
            name, _, selector = part.partition("=")
            _take(page, selector, FOLDER / f"{name}.webp")
        browser.close()


def _take(page: Page, selector: str, file: Path) -> None:
    """Write a part of the page, from its upper edge and at most a screen high."""
    part = page.locator(selector).first
    part.evaluate("part => part.scrollIntoView({block: 'start', behavior: 'instant'})")
    # Charts and tables are drawn when they are seen.
    page.wait_for_timeout(3000)
    raw = file.with_suffix(".png")
    page.screenshot(path=raw, animations="disabled")
    with Image.open(raw) as picture:
        picture.save(file, quality=_QUALITY, method=6)
    raw.unlink()
    size = file.stat().st_size
    sys.stdout.write(f"{file}: {size:,} bytes\n")
    if size > _MAX_BYTES:
        raise SystemExit(f"{file} has {size:,} bytes; at most {_MAX_BYTES:,} are wanted")


if __name__ == "__main__":
    main()
