"""The report page of a large made-up study, for `benchmarks/page.py`.

Run: ``python -m tests.large_study FOLDER``. 60 models and some 5,000 cells; what its numbers are
means nothing. Tables and charts that are in the folder are kept: a second run only writes the page.
"""

import sys
from pathlib import Path

from perturb.page.write import PageText, write_page
from tests.pages import charts_in
from tests.study_tables import drawn_charts, tables_of
from tests.synthetic_study import make_study

PRETRAINING = ("Small", "Medium", "Large", "Largest")
# family, size, patch size, parameters, ability
ARCHITECTURES = (
    *(("resnet", size, None, 62_000 * 2**place, 2.1) for place, size in enumerate("SBLHG")),
    *(
        ("vit", size, patch, 62_000 * 2**place + patch, 1.6)
        for place, size in enumerate("SBLHG")
        for patch in (4, 8)
    ),
)


def write_large_page(folder: Path) -> Path:
    """Write the page into `folder`/report."""
    tables = {file.stem: file for file in (folder / "tables").glob("*.parquet")}
    if not tables:
        study = make_study(
            folder, num_images=12, architectures=ARCHITECTURES, pretraining=PRETRAINING
        )
        sys.stderr.write(f"{len(study.predictions):,} cells\n")
        tables = tables_of(study.joined(), folder / "tables")
    charts = charts_in(folder / "charts") or drawn_charts(tables, folder / "charts")
    page = folder / "report" / "index.html"
    text = PageText("A large study", "", "")
    write_page(page, text, tables=tables, charts=charts, datasets=folder / "datasets.parquet")
    return page


if __name__ == "__main__":
    write_large_page(Path(sys.argv[1]))
