"""A report page whose every typed text tries to be HTML, and a browser without a network."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from perturb.experiments.registry import tables_of as declared_tables_of
from perturb.page.write import PageText, write_page
from tests.side_by_side import examples_of
from tests.study_tables import drawn_charts, tables_of
from tests.synthetic_study import make_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NASTY = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>\"'&"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c63f8cfc0f01f00050001ff89993d1d0000000049454e44ae426082"
)
PHONE, DESKTOP = 390, 1280
# Milliseconds that anything on the page may take beside other work.
_PATIENCE = 120_000
_PAUSE = 100


@dataclass
class Opened:
    """A page, and everything that went wrong while it was open."""

    page: "Page"
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def wait_for_charts(self) -> None:
        """Wait until every chart is drawn, as the browser does while it is idle."""
        undrawn = "document.querySelector('.vega:not([data-drawn])')"
        self.page.wait_for_function(f"{undrawn} === null")

    def unfold(self, table: str) -> None:
        """Unfold a table, by the id of its element, and wait for its rows."""
        # By key: a click may miss while what stands above is still being drawn.
        summary = self.page.locator(f"#{table} > summary")
        summary.press("Enter")
        rows = self.page.locator(f"#{table}[data-made] tbody tr")
        # Tables above, which open as they come near, push this one out of sight.
        for _ in range(_PATIENCE // _PAUSE):
            if rows.count():
                return
            summary.scroll_into_view_if_needed()
            self.page.wait_for_timeout(_PAUSE)
        pytest.fail(f"{table}: unfolded, and has no rows")


def write_nasty_page(folder: Path) -> Path:
    """Write the page of a whole study into `folder`/report, what it is made from beside it."""
    study = make_study(folder, num_images=40).joined()
    for path, column in ((study.models, "pretraining_label"), (study.datasets, "label")):
        table = pq.read_table(path)
        typed = pc.binary_join_element_wise(table[column], NASTY, "")
        pq.write_table(table.set_column(table.column_names.index(column), column, typed), path)
    sheet = folder / "sheet.png"
    sheet.write_bytes(PNG)
    tables = tables_of(study, folder / "tables")
    page = folder / "report" / "index.html"
    write_page(
        page,
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
        examples=examples_of(folder, pq.read_table(study.models)["model"].to_pylist()),
    )
    return page


def write_part(path: Path, report: Path, available: set[str]) -> None:
    """Write the page of a study that has only these of the whole report's perturbations."""
    folder = report.parents[1]
    names = declared_tables_of(available)
    tables = {name: folder / "tables" / f"{name}.parquet" for name in names}
    datasets = folder / "datasets.parquet"
    charts = charts_in(folder / "charts")
    examples = {file.name: file for file in [*folder.glob("*.json"), *folder.glob("*.webp")]}
    write_page(
        path,
        PageText("Part", "", ""),
        tables=tables,
        datasets=datasets,
        charts=charts,
        examples=examples,
    )


def charts_in(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Return the files of the drawn charts in a folder."""
    return {file.stem: (file, file.with_suffix(".svg")) for file in folder.glob("*.json")}


@contextlib.contextmanager
def running_browser() -> Iterator["Browser"]:
    """Start a browser, and end it."""
    # Here, because only the tests of the page need it.
    from playwright.sync_api import sync_playwright

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


@contextlib.contextmanager
def opened_page(
    browser: "Browser",
    report: Path,
    *,
    width: int = DESKTOP,
    is_dark: bool = False,
    has_scripts: bool = True,
    scale: float = 1,
) -> Iterator[Opened]:
    """Open a page with the network cut off, and record what goes wrong.

    Parameters
    ----------
    scale : zoom of the whole page, 2 for 200 %.
    """
    context = browser.new_context(
        offline=True,
        viewport={"width": round(width / scale), "height": round(900 / scale)},
        device_scale_factor=scale,
        color_scheme="dark" if is_dark else "light",
        java_script_enabled=has_scripts,
    )
    context.set_default_timeout(_PATIENCE)
    found = Opened(context.new_page())
    found.page.on("console", lambda message: found.messages.append(message.text))
    found.page.on("pageerror", lambda error: found.messages.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(report.as_uri())
    yield found
    context.close()
