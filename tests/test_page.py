"""What the report page says, in a real browser with the network cut off."""

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from markupsafe import escape
from playwright.sync_api import Browser

from perturb.experiments import registry
from perturb.experiments.attacks.notes import vanishing_gradients
from perturb.experiments.claims.sentences import claims
from perturb.experiments.registry import charts_of
from perturb.experiments.registry import tables_of as declared_tables_of
from perturb.page.frame import PARTS, environment
from perturb.page.shown import charts_from, shown_sections
from perturb.page.write import PageText, write_page
from tests.pages import NASTY, Opened, charts_in, opened_page, write_part
from tests.study_tables import CHARTS, TABLES


@pytest.fixture(scope="module")
def opened(browser: Browser, report: Path) -> Iterator[Opened]:
    """Open the page and wait for its charts, for tests that only look."""
    with opened_page(browser, report) as found:
        found.wait_for_charts()
        yield found


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
    assert NASTY in (opened.page.text_content("#chart-corruption_heatmap") or "")


# Every experiment with a chart is a section, in the order of the experiments, but for that whose
# only chart is the page's first. The made-up models are trained once.
SECTIONS = {
    id: found.title
    for id, found in registry.experiments().items()
    if any(not chart.is_first for chart in found.charts) and id != "training_runs"
}
# Sections of every study, since they need unchanged images alone.
ALWAYS = {"benchmarks", "confidence", "model_size", "data_scaling"}
ALWAYS |= {"effective_robustness", "error_consistency"}


def test_charts_stand_in_their_sections_and_the_navigation_leads_there(opened: Opened) -> None:
    page = opened.page
    links = page.locator("nav a").all()
    assert all(page.locator(link.get_attribute("href") or "").count() == 1 for link in links)
    names = [link.inner_text() for link in links]
    assert names == [*(part.label for part in PARTS), *SECTIONS.values()]
    for id, title in SECTIONS.items():
        section = page.locator(f"main > section#experiments > section#{id}")
        assert section.locator("h3").inner_text() == title
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
    assert (picture.get_attribute("src") or "").startswith("data:image/webp;base64,")
    picture.scroll_into_view_if_needed()
    opened.page.wait_for_function("document.querySelector('figure.picture img').complete")
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
    header = html[html.index("<header>") : html.index('<dl class="numbers">')]
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
    assert inner == [part.id for part in PARTS]
    experiments = [
        part.get_attribute("id") for part in page.locator("#experiments > section").all()
    ]
    assert experiments == found
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


@pytest.mark.parametrize(("num_runs", "are_covered"), [(2, True), (1, False)])
def test_the_page_says_which_intervals_cover_training_runs(
    num_runs: int, are_covered: bool
) -> None:
    template = environment().get_template("how_sure.html")
    html = template.render(sure=[], values=lambda *_: [num_runs, 1])
    said = " ".join(html.split())
    differences = "the differences of every two models, from which their ranks follow; by no others"
    assert (differences in said) == are_covered
    assert ("Each model was trained once" in said) != are_covered


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
    assert html.count('id="packed-vega"') == html.count('id="packed-datatables"') == 1
    assert "vegaEmbed=" not in html


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


def test_the_first_screen_answers_and_shows_all_models(opened: Opened) -> None:
    header = opened.page.locator("header").first
    answer = header.locator("#answer").inner_text()
    assert " models, " in answer
    assert "under perturbation" in answer or "the most robust" in answer
    assert header.locator("#chart-overview[data-drawn] svg").count() == 1
    rows = header.locator("#first-rows tbody tr")
    assert rows.count() == 5
    assert NASTY in rows.first.inner_text() + answer
    assert opened.page.locator("main #chart-overview").count() == 0


def test_claims_have_their_effects_and_untested_ones_are_folded(
    opened: Opened, report: Path
) -> None:
    rows = pq.read_table(report.parents[1] / "tables" / "claims.parquet").to_pylist()
    tested = [row for row in rows if row["verdict"] != "not testable"]
    effects = opened.page.locator("#claims .effects li strong").all_text_contents()
    assert len(effects) == len(tested)
    folded = {row["claim"] for row in rows if row["claim_verdict"] == "not testable"}
    inside = opened.page.locator("#untested .claim")
    assert inside.count() == len(folded)
    if folded:
        line = opened.page.locator("#untested > summary").inner_text()
        assert line.startswith(f"{len(folded)} of the paper's {len({r['claim'] for r in rows})}")
        assert not inside.first.is_visible()
