"""The parts of the page that show models side by side, in a real browser without a network."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jinja2
import pyarrow as pa
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from perturb.formatting import formatted
from perturb.page.frame import environment, parts_of, scripts, styles
from perturb.page.model_columns import board_data, pairs_data
from perturb.page.packing import pack, read_libraries
from perturb.page.side_by_side import SideBySide, side_by_side
from tests.pages import DESKTOP, PHONE, Opened
from tests.side_by_side import CORRUPTIONS, HOSTILE, MEASURES, examples_of, model_rows, tables_of

NUM_MODELS = 7
PARTS = ("leaderboard", "choosing", "compare", "model", "gallery")
TABLES = tables_of(NUM_MODELS, hostile=True)
BOARD = TABLES["leaderboard"].to_pylist()
MODELS = [row["model"] for row in model_rows(NUM_MODELS)]
WIDTHS = (PHONE, DESKTOP)


def value_of(model: str, measure: str) -> float | None:
    """Return a value of the leaderboard."""
    return next(r["value"] for r in BOARD if (r["model"], r["measure"]) == (model, measure))


def ordered(measure: str, descending: bool) -> list[str]:
    """Return the models by a measure, those without a value last."""
    known = [model for model in MODELS if value_of(model, measure) is not None]
    others = [model for model in MODELS if model not in known]
    known.sort(key=lambda model: value_of(model, measure) or 0.0, reverse=descending)
    return known + others


class OpenedModels(Opened):
    """An open page of models side by side."""

    def order(self) -> list[str]:
        """Return the models of the leaderboard in the order of its rows."""
        rows = self.page.locator("#leaderboard-rows tbody tr[data-row]").all()
        return [row.get_attribute("data-row") or "" for row in rows]

    def link(self) -> dict[str, str]:
        """Return the choices in the link."""
        found = parse_qs(urlsplit(self.page.url).fragment)
        return {key: values[0] for key, values in found.items() if key != "at"}

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return self.page.locator(selector).inner_text()


def write(path: Path, compared: SideBySide) -> Path:
    """Write the frame of the page with these parts alone."""
    found = environment()
    assert found.loader is not None
    first = jinja2.DictLoader({"first_screen.html": "<header><h1>Models</h1></header>"})
    found.loader = jinja2.ChoiceLoader([first, found.loader])
    data: dict[str, Any] = {"compared": compared, "sections": [], **compared.parts}
    data["has_findings"] = False
    html = found.get_template("index.html").render(
        **data,
        parts=[part for part in parts_of(data) if part.template in PARTS],
        text=SimpleNamespace(title="Models"),
        words=SimpleNamespace(overview=None),
        shown={},
        style=styles(),
        script=scripts(),
        libraries=read_libraries(),
        pack=pack,
    )
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page of models whose typed texts try to be scripts."""
    folder = tmp_path_factory.mktemp("models")
    examples = examples_of(folder, MODELS)
    compared = side_by_side(TABLES, examples, {"shapes": f"Shapes {HOSTILE}"})
    return write(folder / "index.html", compared)


@contextlib.contextmanager
def opening(
    browser: Browser, report: Path, link: str = "", *, width: int = DESKTOP, scheme: Any = "light"
) -> Iterator[OpenedModels]:
    """Open the page, and wait until all its parts are made."""
    context = browser.new_context(
        offline=True,
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        reduced_motion="reduce",  # nothing moves while it is clicked
    )
    found = OpenedModels(context.new_page())
    found.page.on("console", lambda message: found.messages.append(message.text))
    found.page.on("pageerror", lambda error: found.messages.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(report.as_uri() + link)
    wait(found.page)
    yield found
    context.close()


def wait(page: Page) -> None:
    """Wait until all parts are made."""
    for part in PARTS:
        if page.locator(f"#{part}").count():
            page.wait_for_selector(f"#{part}[data-ready]", state="attached")


@pytest.fixture(params=WIDTHS)
def opened(
    browser: Browser, report: Path, request: pytest.FixtureRequest
) -> Iterator[OpenedModels]:
    """Open the page on a phone and on a wide screen; nothing goes wrong while it is open."""
    with opening(browser, report, width=request.param) as found:
        yield found
        assert found.messages == []
        outside = [url for url in found.requests if not url.startswith(("data:", "blob:"))]
        assert set(outside) == {report.as_uri()}
        assert found.page.evaluate("window.hacked") is None
        width = found.page.evaluate("document.documentElement.scrollWidth")
        assert width <= request.param


def test_models_are_first_ordered_by_a_perturbed_measure(opened: OpenedModels) -> None:
    assert opened.order() == ordered("corruptions", descending=True)
    first = opened.page.locator("[data-row]").first
    row = next(r for r in BOARD if r["measure"] == "corruptions" and r["rank"] == 1)
    shown = first.locator("td").nth(1).inner_text().split("\n")
    assert shown[0] == f"{100 * row['value']:.1f}"
    assert shown[1] == f"[{100 * row['value_low']:.1f}, {100 * row['value_high']:.1f}]"
    assert shown[2] == "rank 1 (1\N{EN DASH}2)"
    assert HOSTILE in opened.text("#leaderboard-rows")


@pytest.mark.parametrize(("measure", "first"), [("mce", False), ("clean", True)])
def test_a_click_on_a_head_orders_and_missing_values_stay_last(
    opened: OpenedModels, measure: str, first: bool
) -> None:
    head = opened.page.locator(f'#leaderboard-rows th[data-measure="{measure}"]')
    for descending in (first, not first):
        head.click()
        state = "descending" if descending else "ascending"
        opened.page.wait_for_selector(f'th[data-measure="{measure}"][aria-sort="{state}"]')
        assert opened.order() == ordered(measure, descending)
        assert opened.link()["sort"] == f"{measure} {'desc' if descending else 'asc'}"


@pytest.mark.parametrize(
    ("facet", "value", "column"),
    [
        ("family", "ViT", "architecture_label"),
        ("pretraining", "Large", "pretraining_label"),
        ("size", "B", "size"),
    ],
)
def test_filters_stay_in_the_link(
    opened: OpenedModels, facet: str, value: str, column: str
) -> None:
    opened.page.select_option(f"#board-{facet}", label=value)
    rows = {row["model"]: row[column] for row in BOARD}
    kept = {model for model, text in rows.items() if (text or "").startswith(value)}
    assert set(opened.order()) == kept
    assert opened.text("#leaderboard-count") == f"{len(kept)} of {NUM_MODELS} models are shown."
    assert opened.link() == {facet: value}
    opened.page.reload()
    wait(opened.page)
    assert set(opened.order()) == kept
    assert opened.page.input_value(f"#board-{facet}") == value


def test_words_filter_and_columns_are_chosen(opened: OpenedModels) -> None:
    opened.page.fill("#board-find", "resnet large")
    assert opened.order() == [m for m in ordered("corruptions", True) if m == "resnet-s-7"]
    opened.page.fill("#board-find", "vit-s")
    assert set(opened.order()) == {model for model in MODELS if model.startswith("vit-s")}
    opened.page.fill("#board-find", MODELS[3][-1])
    assert opened.order() == [MODELS[3]]
    opened.page.fill("#board-find", "vit-s")
    opened.page.locator("details:has(#board-columns) summary").click()
    opened.page.uncheck('#board-columns input[value="mce"]')
    assert not opened.page.locator('th[data-measure="mce"]').is_visible()
    assert opened.link() == {"find": "vit-s", "hide": "mce"}
    opened.page.go_back()
    opened.page.wait_for_selector('th[data-measure="mce"]', state="attached")
    opened.page.click("#board-reset")
    assert opened.link() == {}
    assert set(opened.order()) == set(MODELS)


def test_heads_answer_the_space_bar_and_a_chosen_model_keeps_the_focus(
    opened: OpenedModels,
) -> None:
    page = opened.page
    head = page.locator('#leaderboard-rows th[data-measure="clean"]')
    head.locator("[role=button]").focus()
    page.keyboard.press("Space")
    page.wait_for_selector('th[data-measure="clean"][aria-sort="descending"]')
    assert opened.order() == ordered("clean", descending=True)
    page.locator(f'a[data-model="{MODELS[1]}"]').focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(f'tr[data-row="{MODELS[1]}"][aria-current]')
    assert page.evaluate("document.activeElement.dataset.model") == MODELS[1]


def test_back_undoes_a_choice_after_a_link_to_a_section(browser: Browser, report: Path) -> None:
    with opening(browser, report) as found:
        page = found.page
        page.evaluate("location.hash = '#leaderboard'")
        for model in (MODELS[1], MODELS[2]):
            page.locator(f'a[data-model="{model}"]').click()
            page.wait_for_selector(f'tr[data-row="{model}"][aria-current]')
        page.go_back()
        page.wait_for_selector(f'tr[data-row="{MODELS[1]}"][aria-current]')
        page.go_back()
        page.wait_for_selector("tr[aria-current]", state="detached")
        assert urlsplit(page.url).fragment == "leaderboard"
        page.go_forward()
        page.wait_for_selector(f'tr[data-row="{MODELS[1]}"][aria-current]')
        page.evaluate("location.hash = '#model'")
        page.wait_for_function("location.hash.includes('at=model')")
        assert found.link() == {"model": MODELS[1]}
        assert found.messages == []


@pytest.mark.parametrize("model", MODELS[1:3])
def test_a_model_is_not_compared_with_itself(browser: Browser, report: Path, model: str) -> None:
    with opening(browser, report, f"#a={model}&b={model}") as found:
        page = found.page
        other = page.input_value("#compare-b")
        assert page.input_value("#compare-a") == model != other
        for select, taken in (("a", other), ("b", model)):
            disabled = page.locator(f"#compare-{select} option:disabled").all()
            assert [option.get_attribute("value") for option in disabled] == [taken]
        assert found.messages == []


def score(model: str, weights: dict[str, float]) -> float | None:
    """Return the weighted mean of scaled measures."""
    total = 0.0
    for measure, weight in weights.items():
        values = [value for m in MODELS if (value := value_of(m, measure)) is not None]
        value = value_of(model, measure)
        if value is None:
            return None
        share = (value - min(values)) / (max(values) - min(values))
        is_high = next(entry[3] for entry in MEASURES if entry[0] == measure)
        total += weight * (share if is_high is not False else 1 - share)
    return total / sum(weights.values())


def test_weights_order_by_the_score(opened: OpenedModels) -> None:
    assert not opened.page.locator('th[data-measure="score"]').is_visible()
    opened.page.locator("details:has(#board-weights) summary").click()
    weights = {"clean": 1.0, "mce": 2.0}
    for measure, weight in weights.items():
        opened.page.fill(f'[data-weight="{measure}"]', f"{weight:g}")
    scores = {model: score(model, weights) for model in MODELS}
    known = [model for model in MODELS if scores[model] is not None]
    known.sort(key=lambda model: -(scores[model] or 0.0))
    assert opened.order() == [*known, MODELS[-1]]
    assert opened.link() == {"weights": "clean:1 mce:2"}
    cells = opened.page.locator("[data-row] > td:nth-child(2)").all_inner_texts()
    assert cells == [*(f"{scores[model]:.3f}" for model in known), "\N{EN DASH}"]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_link_shows_what_it_chooses(browser: Browser, report: Path, width: int) -> None:
    link = f"#weights=clean:1&hide=shape_bias&model={MODELS[2]}&a={MODELS[1]}&b={MODELS[3]}&up=mce"
    with opening(browser, report, link, width=width) as found:
        assert found.page.input_value('[data-weight="clean"]') == "1"
        assert not found.page.locator('th[data-measure="shape_bias"]').is_visible()
        assert found.page.input_value("#model-select") == MODELS[2]
        assert found.page.input_value("#gallery-model") == MODELS[2]
        assert found.page.input_value("#compare-a") == MODELS[1]
        assert found.page.input_value("#compare-b") == MODELS[3]
        assert found.page.input_value("#choosing-up") == "mce"
        assert found.page.locator("tr[aria-current]").get_attribute("data-row") == MODELS[2]
        assert found.messages == []


@pytest.mark.parametrize("link", ["#model=nobody&a=nobody", "#sort=nothing+up&weights=x:y"])
def test_a_link_of_another_study_shows_the_first(browser: Browser, report: Path, link: str) -> None:
    with opening(browser, report, link) as found:
        assert found.order() == ordered("corruptions", descending=True)
        assert found.page.input_value("#model-select") == found.order()[0]
        assert found.messages == []


def front(*measures: str) -> set[str]:
    """Return the names of the models that no other dominates."""
    signs = {"clean": 1, "corruptions": 1, "mce": -1, "parameters": -1}

    def goodness(model: str) -> list[float]:
        return [signs[m] * float(value_of(model, m) or 0.0) for m in measures]

    complete = [m for m in MODELS if all(value_of(m, measure) is not None for measure in measures)]
    return {
        model
        for model in complete
        if not any(
            all(o >= g for o, g in zip(goodness(other), goodness(model), strict=True))
            and goodness(other) != goodness(model)
            for other in complete
        )
    }


def names_in(opened: OpenedModels) -> set[str]:
    sentence = opened.text("#choosing-front")
    names = {row["model"]: name_of(row) for row in BOARD}
    return {model for model, name in names.items() if name in sentence}


def name_of(row: dict[str, Any]) -> str:
    return f"{row['architecture_label']} ({row['pretraining_label']})"


def test_the_front_is_that_of_the_chosen_measures(opened: OpenedModels) -> None:
    page = opened.page
    assert names_in(opened) == front("clean", "corruptions", "parameters")
    page.select_option("#choosing-cost", "none")
    assert names_in(opened) == front("clean", "corruptions")
    page.select_option("#choosing-up", "mce")
    assert names_in(opened) == front("clean", "mce")
    assert "1 model lacks a value" in opened.text("#choosing-front")
    assert opened.link() == {"cost": "none", "up": "mce"}
    page.wait_for_selector("#choosing-chart[data-drawn*=mce]")
    title = page.locator("#choosing-chart .role-axis-title").all_text_contents()
    assert "mCE (%), less is better" in title


def test_a_click_on_a_mark_chooses_the_model_in_the_table_and_back(opened: OpenedModels) -> None:
    page = opened.page
    marks = page.locator("#choosing-chart .mark-symbol.marks_marks path")
    marks.first.wait_for()
    assert marks.count() == NUM_MODELS
    marks.last.click()
    row = page.locator("tr[aria-current]")
    row.wait_for()
    assert row.get_attribute("data-row") == MODELS[-1]
    assert opened.link()["model"] == MODELS[-1]
    link = page.locator(f'a[data-model="{MODELS[1]}"]')
    link.focus()
    page.keyboard.press("Enter")
    ring = page.locator("#choosing-chart .chosen_marks path")
    ring.wait_for()
    assert ring.count() == 1
    assert opened.text("#leaderboard-model") == opened.text("#model-name")
    assert page.input_value("#model-select") == MODELS[1]
    page.go_back()
    page.wait_for_selector(f'tr[data-row="{MODELS[-1]}"][aria-current]')


def test_charts_are_saved_as_they_are_shown(browser: Browser, report: Path) -> None:
    with opening(browser, report, f"#up=mce&a={MODELS[1]}&b={MODELS[4]}") as found:
        for chart, words in (("choosing", "mCE (%)"), ("compare", "ResNet-S (Small) is better")):
            for kind, head in (("svg", b"<svg"), ("png", b"\x89PNG")):
                with found.page.expect_download() as download:
                    found.page.click(f"#{chart} button[data-save={kind}]")
                assert download.value.suggested_filename == f"{chart}.{kind}"
                content = Path(download.value.path()).read_bytes()
                assert content.startswith(head)
                assert kind == "png" or words in content.decode()
        assert found.messages == []


def lead_rows(a: str, b: str) -> list[dict[str, Any]]:
    rows = [
        row
        for row in TABLES["model_pairs"].to_pylist()
        if {row["model_a"], row["model_b"]} == {a, b}
    ]
    sign = 1 if rows[0]["model_a"] == a else -1
    return [{**row, "lead": sign * row["difference"]} for row in rows]


@pytest.mark.parametrize("turned", [False, True])
def test_two_models_are_compared(opened: OpenedModels, turned: bool) -> None:
    a, b = (MODELS[4], MODELS[1]) if turned else (MODELS[1], MODELS[4])
    page = opened.page
    page.select_option("#compare-a", a)
    page.select_option("#compare-b", b)
    assert opened.link() == {"a": a, "b": b}
    rows = lead_rows(a, b)
    sentence = opened.text("#compare-sentence")
    # Each corruption adds to the mean over all, which is one of the measures.
    singles = [row for row in rows if row["measure"] in CORRUPTIONS]
    measures = [row for row in rows if row["measure"] not in CORRUPTIONS]
    for kind, counted in (("measures", measures), ("single corruptions", singles)):
        num_better = sum(row["lead"] > 0.05 for row in counted)
        num_worse = sum(row["lead"] < -0.05 for row in counted)
        num_neither = len(counted) - num_better - num_worse
        assert f"on {num_better} of {len(counted)} {kind}" in sentence
        assert f"on {num_worse}; on {num_neither} they cannot be distinguished" in sentence
    page.locator("details:has(#compare-table) summary").click()
    table = page.locator("#compare-table tbody tr").all_inner_texts()
    best = max(rows, key=lambda row: row["lead"])
    assert table[0].startswith(best["measure_label"])
    assert f"{100 * best['lead']:+.1f}".replace("-", "\N{MINUS SIGN}") in table[0]
    page.wait_for_function(
        "count => document.querySelectorAll('#compare-chart .layer_2_marks path').length === count",
        arg=len(rows),
    )


def test_images_on_which_two_models_differ_have_both_answers(opened: OpenedModels) -> None:
    page = opened.page
    page.select_option("#compare-a", MODELS[0])
    page.select_option("#compare-b", MODELS[1])
    page.wait_for_function("document.querySelectorAll('#compare-images .card').length === 8")
    assert opened.text("#compare-count").startswith(
        "Of all images of the test sets, 20 are answered"
    )
    # The first model errs on every fourth image, the second on those before.
    assert "15 of these were chosen" in opened.text("#compare-count")
    card = page.locator("#compare-images .card").first
    assert "disc" in card.locator("strong").inner_text()
    answers = card.locator("li").all_inner_texts()
    assert ["wrong" in answer for answer in answers] == [True, False]
    assert all("% sure" in answer for answer in answers)
    picture = card.locator(".tile")
    assert (picture.get_attribute("aria-label") or "").startswith("Image of disc")
    assert "data:image/webp" in picture.evaluate("tile => getComputedStyle(tile).backgroundImage")
    page.locator("#compare-images button").click()
    assert page.locator("#compare-images .card").count() == 15


def test_one_model_has_its_weakest_conditions_first(opened: OpenedModels) -> None:
    page = opened.page
    page.select_option("#model-select", MODELS[2])
    facts = opened.text("#model-facts")
    assert MODELS[2] in facts
    assert formatted(value_of(MODELS[2], "parameters"), "parameters") in facts
    rows = [r for r in TABLES["model_conditions"].to_pylist() if r["model"] == MODELS[2]]
    changed = [row for row in rows if row["perturbation"] != "none"]
    shown = page.locator("#model-conditions tbody tr").all_inner_texts()
    assert len(shown) == len(changed)
    weakest = min(changed, key=lambda row: row["accuracy"] / row["clean_accuracy"])
    assert f"{100 * weakest['accuracy']:.1f}" in shown[0]
    assert f"{100 * weakest['accuracy'] / weakest['clean_accuracy']:.0f} %" in shown[0]
    assert "Corruptions" in shown[0]
    assert page.locator("#model-images .card").count() == len(
        [n for n in range(30) if not (n + 2) % 4]
    )
    assert all("wrong" in text for text in page.locator("#model-images li").all_inner_texts())


def test_transfer_is_named_by_its_source_and_leaves_out_the_own_examples(
    browser: Browser, tmp_path: Path
) -> None:
    tables = tables_of(3)
    changed = [
        {**row, "perturbation": "transfer", "condition": source, "condition_label": f"The {source}"}
        for row in tables["model_conditions"].to_pylist()
        if row["condition"] == "snow" and row["severity"] == 1
        for source in MODELS[:3]
    ]
    found = {**tables, "model_conditions": pa.Table.from_pylist(changed)}
    page = write(tmp_path / "index.html", side_by_side(found, None, {}))
    with opening(browser, page, f"#model={MODELS[1]}") as opened:
        rows = opened.page.locator("#model-conditions tbody th").all_inner_texts()
        named = {text.split("\n")[0] for text in rows}
        assert named == {f"PGD examples of The {source}, 1" for source in (MODELS[0], MODELS[2])}


def test_the_gallery_shows_the_accuracy_of_the_chosen_model(opened: OpenedModels) -> None:
    page = opened.page
    for summary in page.locator("#gallery details:not([open]) > summary").all():
        summary.click()
    assert page.locator("#gallery h3").all_inner_texts() == ["Unchanged", "Snow", "Fog"]
    assert page.locator("#gallery .severity").count() == 7
    assert page.locator("#gallery .tile").count() == 28
    label = page.locator("#gallery .tile").nth(4).get_attribute("aria-label")
    assert label == "Image 1: Snow, 1"
    for model in (MODELS[0], MODELS[6]):
        page.select_option("#gallery-model", model)
        rows = [r for r in TABLES["model_conditions"].to_pylist() if r["model"] == model]
        expected = [
            f"{100 * r['accuracy']:.1f} % "
            f"[{100 * r['accuracy_low']:.1f}, {100 * r['accuracy_high']:.1f}]".replace(
                "-", "\N{MINUS SIGN}"
            )
            for r in rows
        ]
        assert page.locator("#gallery .accuracy").all_inner_texts() == expected
        assert opened.link()["model"] == model
    assert page.input_value("#model-select") == MODELS[6]


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (DESKTOP, "light")])
def test_an_accessibility_checker_finds_nothing(
    browser: Browser, report: Path, width: int, scheme: str
) -> None:
    with opening(
        browser, report, f"#model={MODELS[1]}&weights=clean:1", width=width, scheme=scheme
    ) as found:
        found.page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        results = Axe().run(found.page)
        serious = [
            v for v in results.response["violations"] if v["impact"] in ("serious", "critical")
        ]
        assert [(v["id"], v["nodes"][0]["html"]) for v in serious] == []
        assert found.messages == []


def test_two_models_that_never_err_are_told_alike(browser: Browser, tmp_path: Path) -> None:
    tables = tables_of(2)
    board = tables["leaderboard"].to_pylist()
    same = [{**row, "value": 1.0, "value_high": None} for row in board]
    same = [{**row, "rank": row["rank"] and 1, "rank_low": row["rank"] and 1} for row in same]
    pairs = [
        {**row, "difference": 0.0, "difference_low": -0.2, "difference_high": 0.2}
        for row in tables["model_pairs"].to_pylist()
    ]
    found = {
        **tables,
        "leaderboard": pa.Table.from_pylist(same),
        "model_pairs": pa.Table.from_pylist(pairs),
    }
    page = write(tmp_path / "index.html", side_by_side(found, None, {}))
    with opening(browser, page) as opened:
        assert len(opened.order()) == 2
        sentence = opened.text("#compare-sentence")
        assert "cannot be distinguished on any of 2 measures." in sentence
        assert "cannot be distinguished on any of 2 single corruptions." in sentence
        assert opened.page.locator("#compare-images, #model-images, #gallery").count() == 0
        opened.page.wait_for_selector("#choosing-chart[data-drawn]")
        assert opened.messages == []


def test_one_model_has_no_comparison(browser: Browser, tmp_path: Path) -> None:
    tables = {name: table for name, table in tables_of(1).items() if name != "model_pairs"}
    page = write(tmp_path / "index.html", side_by_side(tables, None, {}))
    with opening(browser, page) as opened:
        assert opened.page.locator("#compare").count() == 0
        assert len(opened.order()) == 1
        opened.page.wait_for_selector("#choosing-chart[data-drawn]")
        assert opened.messages == []


def test_a_gallery_stands_without_tables(browser: Browser, tmp_path: Path) -> None:
    examples = examples_of(tmp_path, MODELS[:3])
    compared = side_by_side({"models": TABLES["models"]}, examples, {"shapes": "Shapes"})
    page = write(tmp_path / "index.html", compared)
    with opening(browser, page) as opened:
        parts = opened.page.locator("main > section").all()
        assert [part.get_attribute("id") for part in parts] == ["gallery"]
        assert opened.page.locator("#gallery .tile").count() == 28
        assert opened.messages == []


def test_a_picture_without_its_description_is_a_mistake(tmp_path: Path) -> None:
    files = dict(examples_of(tmp_path, MODELS[:2]))
    del files["gallery.json"]
    with pytest.raises(ValueError, match=r"gallery\.webp alone; needed: gallery\.json and"):
        side_by_side({}, files, {})


def test_models_of_one_name_are_told_apart() -> None:
    rows = [{**row, "pretraining_label": "Small"} for row in BOARD]
    for row in rows:
        row["architecture_label"] = "ViT-S/8"
    models = [{**row, "architecture_label": "ViT-S/8"} for row in TABLES["models"].to_pylist()]
    board = board_data(pa.Table.from_pylist(rows), pa.Table.from_pylist(models))
    names = [model["name"] for model in board["models"]]
    assert names == [f"ViT-S/8 (Small), {model}" for model in MODELS]


def test_pairs_are_matrices_in_hundredths_of_a_percent() -> None:
    board = board_data(TABLES["leaderboard"], TABLES["models"])
    found = pairs_data(TABLES["model_pairs"], board)
    rows = TABLES["model_pairs"].to_pylist()
    for row in rows[::7]:
        pair = [(MODELS[a], MODELS[b]) for a, b in zip(found["a"], found["b"], strict=True)].index(
            (row["model_a"], row["model_b"])
        )
        labels = [measure["label"] for measure in found["measures"]]
        place = labels.index(row["measure_label"])
        assert found["difference"][place][pair] == round(10_000 * row["difference"])
        assert found["low"][place][pair] == round(10_000 * row["difference_low"])


def test_a_verdict_comes_from_the_interval_before_it_is_rounded() -> None:
    board = board_data(TABLES["leaderboard"], TABLES["models"])
    rows = TABLES["model_pairs"].to_pylist()[:4]
    ends = [(2e-5, 0.1), (-0.1, -2e-5), (-2e-5, 0.1), (None, None)]
    made = [
        {**row, "difference_low": low, "difference_high": high}
        for row, (low, high) in zip(rows, ends, strict=True)
    ]
    found = pairs_data(pa.Table.from_pylist(made), board)
    assert found["sign"] == [[1], [-1], [0], [0]]
    assert found["low"][0] == found["high"][1] == [0]


def test_a_fact_has_no_lead_and_a_single_corruption_is_no_measure() -> None:
    board = board_data(TABLES["leaderboard"], TABLES["models"])
    rows = TABLES["model_pairs"].to_pylist()
    fact = {**rows[0], "measure": "shape_bias", "measure_label": "Shape bias"}
    found = pairs_data(pa.Table.from_pylist([*rows, fact]), board)["measures"]
    assert [(measure["label"], measure["is_single_corruption"]) for measure in found] == [
        ("Clean", False),
        ("Corruptions", False),
        ("Snow", True),
        ("Fog", True),
    ]
