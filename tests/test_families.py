"""Networks of neither family: refused under another's name, shown, and in no comparison."""

import itertools
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from perturb.charts.style import OTHER_SHAPE, ramp, style_of
from perturb.config import Config, ConfigError, load_config
from perturb.experiments.drawing import draw
from perturb.experiments.registry import charts_of
from perturb.models.timm_table import blocks_of, geometry, timm_models
from perturb.page.write import PageText, write_page
from perturb.plan.cells import cells, own_cells
from perturb.plan.left_out import left_out
from perturb.tables.run import make_table
from tests.hand_made import decided, other, resnet, vit, written
from tests.study_tables import drawn_charts, table_of, tables_of
from tests.synthetic_study import ARCHITECTURES, Study, make_study

CHANGES = {"lesions", "heads", "restricted_attention", "patch_attention", "token_removal"}
PREPROCESSING = {
    **{"side": 224, "mode": "crop", "crop": 1.0, "interpolation": "bicubic"},
    **{"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}
# Facts that no network of a third family may change: what is said of ViTs and ResNets.
COMPARISONS = ("claims", "scaling", "matched_pairs", "patch_pairs", "transfer_means")


def with_network(
    raw: dict[str, Any], family: str, *, timm: str, tag: str | None = None, **entry: Any
) -> Config:
    """Return the study with one more network of timm's, by its name or by a tag."""
    architecture = {"family": family, "size": "T", **entry}
    raw["architectures"]["mine"] = architecture if tag else architecture | {"timm": timm}
    weights = {"timm": f"{timm}.{tag}"} if tag else {"file": "x.pt", "sha256": "0" * 64}
    model = {"architecture": "mine", "pretraining": "web", "weights": weights}
    raw["models"]["mine"] = model if tag else model | {"preprocessing": PREPROCESSING}
    return load_config(raw)


@pytest.mark.parametrize(
    ("architecture", "family"),
    [
        ("vit_tiny_patch16_224", "vit"),
        ("deit_tiny_distilled_patch16_224", "vit"),
        ("deit3_small_patch16_224", "vit"),
        ("vit_base_patch16_clip_224", "vit"),
        ("vit_small_r26_s32_224", "vit"),
        ("resnet18", "resnet"),
        ("resnext101_32x8d", "resnet"),
        ("wide_resnet50_2", "resnet"),
        ("seresnet50", "resnet"),
        ("legacy_seresnet18", "resnet"),
        ("res2net50_26w_4s", "resnet"),
        ("resnetv2_50x1_bit", "resnet"),
        ("swin_tiny_patch4_window7_224", "other"),
        ("levit_128", "other"),
        ("xcit_nano_12_p16_224", "other"),
        ("pit_ti_224", "other"),
        ("convnext_tiny", "other"),
        ("beit_base_patch16_224", "other"),
        ("eva02_tiny_patch14_336", "other"),
        ("vit_relpos_small_patch16_224", "other"),
        ("efficientnet_b0", "other"),
        ("inception_resnet_v2", "other"),
        ("mixer_b16_224", "other"),
        ("botnet26t_256", "other"),
    ],
)
def test_the_family_is_that_of_timms_class(
    imagenet: dict[str, Any], architecture: str, family: str
) -> None:
    known = geometry(architecture)
    assert known.family == family
    for named in ("vit", "resnet", "other"):
        patch = {"patch_size": known.patch_size or 16} if named == "vit" else {}
        study = deepcopy(imagenet)
        if named == family:
            config = with_network(study, named, timm=architecture, **patch)
            assert config.models["mine"].architecture.family == family
            continue
        message = (
            rf"architectures\.mine: '{architecture}' is no network of the family '{named}', "
            rf"which architectures\.mine\.family says.*{known.network}.*family: {family}"
        )
        with pytest.raises(ConfigError, match=message):
            with_network(study, named, timm=architecture, **patch)


def test_the_family_of_a_tag_is_checked_too(imagenet: dict[str, Any]) -> None:
    swin, tag = "swin_tiny_patch4_window7_224", "ms_in1k"
    study = deepcopy(imagenet)
    config = with_network(study, "other", timm=swin, tag=tag)
    assert config.models["mine"].architecture.label == "SwinTransformer-T"
    with pytest.raises(ConfigError, match=r"models\.mine: 'swin_.*SwinTransformer.*family: other"):
        with_network(imagenet, "resnet", timm=swin, tag=tag)


def test_a_third_family_is_named_as_timm_or_the_user_names_it(
    imagenet: dict[str, Any],
) -> None:
    config = with_network(imagenet, "other", timm="convnext_tiny")
    assert config.models["mine"].architecture.label == "ConvNeXt-T"
    config = with_network(imagenet, "other", timm="convnext_tiny", label="My ConvNeXt")
    assert config.models["mine"].architecture.label == "My ConvNeXt"


def test_networks_of_unknown_blocks_have_cells_of_changed_images_alone(
    imagenet: dict[str, Any],
) -> None:
    config = with_network(imagenet, "other", timm="densenet121")
    whole = {cell.perturbation for cell in cells(config)}
    mine = {cell.perturbation for cell in cells(config) if cell.model == "mine"}
    assert whole - mine == CHANGES
    [sentence] = [line for line in left_out(config) if "DenseNet-T" in line]
    changes = "removed layers, removed heads, restricted attention, patch attention removed"
    assert sentence.startswith(changes)
    assert sentence.endswith("(its blocks cannot be reached)")


NO_TOKENS = "removed heads, token removal: .*its tokens and heads are not those of timm's"


@pytest.mark.parametrize(
    ("architecture", "lacks", "said"),
    [
        (
            "convnext_tiny",
            CHANGES - {"lesions"},
            [NO_TOKENS, "restricted attention, patch attention removed: .*no attention of all tok"],
        ),
        ("beit_base_patch16_224", {"heads", "token_removal"}, [NO_TOKENS]),
        ("resnet50", CHANGES - {"lesions"}, []),
        ("vit_xsmall_patch16_clip_224", set(), []),
        ("test_efficientnet", CHANGES, ["removed layers: .*each of its blocks changes the shape"]),
        (
            "vit_small_r26_s32_224",
            {"token_removal"},
            ["token removal: .*more than one convolution"],
        ),
        (
            "vit_pwee_patch16_reg1_gap_256",
            {"heads", "token_removal"},
            ["removed MLPs and attentions alone: .*both from one projection"],
        ),
        (
            "vit_medium_patch16_gap_256",
            {"patch_attention", "token_removal"},
            ["patch attention removed: .*no class token"],
        ),
        (
            "vit_medium_patch16_reg4_gap_256",
            {"token_removal"},
            ["token removal: .*no class token"],
        ),
        ("vit_tiny_patch16_224", set(), []),
    ],
)
def test_cells_that_cannot_be_are_not_planned_and_that_is_said(
    imagenet: dict[str, Any], architecture: str, lacks: set[str], said: list[str]
) -> None:
    known, blocks = geometry(architecture), blocks_of(architecture)
    patch = {"patch_size": known.patch_size} if known.family == "vit" else {}
    config = with_network(imagenet, known.family, timm=architecture, label="Mine", **patch)
    mine = {cell.perturbation for cell in own_cells(config, config.models["mine"])}
    assert CHANGES - mine == lacks
    lines = [line for line in left_out(config) if "Mine" in line]
    assert bool(lines) == bool(said)
    assert all(any(re.match(reason, line) for line in lines) for reason in said), lines
    assert bool(blocks) == (known.family != "vit")
    assert config.models["mine"].architecture.arguments.items() >= blocks.items()


def test_a_network_of_too_few_blocks_is_named(tiny_study: dict[str, Any]) -> None:
    tiny_study["architectures"]["deep"] = {
        **tiny_study["architectures"]["vit"],
        "label": "Deep",
        "arguments": {"embed_dim": 16, "depth": 4, "num_heads": 1, "mlp_ratio": 1},
    }
    tiny_study["models"]["deep"] = {**tiny_study["models"]["a"], "architecture": "deep"}
    tiny_study["perturbations"]["patch_attention"] = {"datasets": ["test"], "blocks": [3]}
    config = load_config(tiny_study)
    assert left_out(config) == ["patch attention removed: ViT-S/16, small (it has too few blocks)"]


def test_a_network_may_lack_what_is_not_planned_for_it(tmp_path: Path) -> None:
    lesion = {"perturbation": "lesions", "condition": "block", "severity": 1.0, "removed": "1"}
    rows = [row for model in "ao" for row in decided(model, "111")]
    rows += decided("a", "110", **lesion)
    models = [vit("a", 8), other("o"), vit("b", 8, planned=["heads"])]
    rows += decided("b", "111")
    table = make_table("lesions_single", written(tmp_path, models, rows))
    assert set(table["model"].to_pylist()) == {"a"}


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Study]:
    """The same study without and with networks of a third family."""
    others = [("other", "S", None, 100_000, 2.2), ("other", "B", None, 400_000, 2.6)]
    found = {}
    for name, more in {"alone": [], "mixed": others}.items():
        folder = tmp_path_factory.mktemp(name)
        study = make_study(
            folder,
            num_images=20,
            architectures=[*ARCHITECTURES, *more],
            pretraining=["Small", "Large"],
            corruptions=["fog"],
            severities=(3,),
            extras={"fgsm", "pgd", "transfer", "lesions", "patterns"},
        )
        found[name] = study.joined()
    return found


@pytest.fixture(scope="module")
def mixed(studies: dict[str, Study], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tables of the study with networks of a third family."""
    study = studies["mixed"]
    tables = tables_of(study, tmp_path_factory.mktemp("tables"))
    return tables | {"datasets": study.datasets}


def test_a_third_family_changes_no_comparison_and_stands_beside_it(
    studies: dict[str, Study],
) -> None:
    alone, mixed = studies["alone"], studies["mixed"]
    for name in COMPARISONS:
        assert table_of(alone, name).num_rows, name
        assert table_of(mixed, name).equals(table_of(alone, name)), name
    for name in ("accuracy", "transfer", "perturbation_patterns", "scaling_models"):
        rows = [row for row in table_of(mixed, name).to_pylist() if row["family"] == "other"]
        assert rows, name
        assert not any(row.get("is_fitted") for row in rows)


def test_a_pre_training_set_of_other_networks_alone_moves_no_claim(tmp_path: Path) -> None:
    def study(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
        folder = tmp_path / str(len(models))
        folder.mkdir()
        rows = [row for model in models for row in decided(model["model"], "1101")]
        rows += [
            row for model in models for row in decided(model["model"], model["art"], dataset="art")
        ]
        facts = [
            {**{k: v for k, v in model.items() if k != "art"}, "paper_pretraining": None}
            for model in models
        ]
        rules = Path(__file__).parents[1] / "resources" / "claims.csv"
        sources = written(folder, facts, rows, claim_rules=rules)
        sources |= {"stimuli": [], "patterns": [], "representations": []}
        parameters = {"headline_epsilon": None}
        return make_table("claims", sources, parameters).to_pylist()

    compared = [
        vit("v1", 8, art="1100"),
        vit("v2", 8, size="B", num_parameters=3000, art="1110"),
        resnet("r1", art="1000"),
        resnet("r2", size="B", num_parameters=3000, art="0110"),
    ]
    largest = {"pretraining": "web", "pretraining_label": "Web", "pretraining_rank": 1}
    assert study(compared) == study([*compared, other("o", art="1111", **largest)])


def test_other_networks_have_a_look_of_their_own(mixed: dict[str, Path]) -> None:
    looks = style_of(pq.read_table(mixed["models"]).to_pandas())
    assert looks.families == [*["resnet"] * 2, *["vit"] * 3, *["other"] * 2]
    assert looks.shapes[5:] == [OTHER_SHAPE] * 2
    assert OTHER_SHAPE not in looks.shapes[:5]
    assert looks.colours[5:] == ramp("other", 2)
    assert not set(looks.colours[5:]) & set(looks.colours[:5])


@pytest.mark.parametrize("chart", ["robustness_benchmarks", "model_size", "pattern_alignment"])
def test_other_networks_are_in_the_charts_and_their_legends(
    mixed: dict[str, Path], chart: str
) -> None:
    frames = {
        name: pq.read_table(path).to_pandas() for name, path in mixed.items() if name != "datasets"
    }
    spec = str(draw(chart, frames).to_dict())
    assert "ConvNeXt-B" in spec
    assert f"'{OTHER_SHAPE}'" in spec


def test_the_page_says_what_other_networks_are_and_what_is_left_out(
    mixed: dict[str, Path], tmp_path: Path
) -> None:
    tables = {name: path for name, path in mixed.items() if name != "datasets"}
    sentences = ("removed heads: Swin <T> (its blocks cannot be reached)",)
    words = PageText("Title", "a: 1", "make", left_out=sentences)
    charts = drawn_charts(tables, tmp_path / "charts")
    page = tmp_path / "page.html"
    write_page(page, words, tables=tables, datasets=mixed["datasets"], charts=charts)
    html = " ".join((tmp_path / "page.html").read_text().split())
    assert "<dt>Other networks</dt>" in html
    assert "removed heads: Swin &lt;T&gt; (its blocks cannot be reached)" in html
    assert "No line for other" not in html


def test_a_study_of_other_networks_alone_has_its_tables_charts_and_page(tmp_path: Path) -> None:
    study = make_study(
        tmp_path,
        num_images=8,
        architectures=[("other", "S", None, 100_000, 2.2)],
        pretraining=["Small"],
        corruptions=["fog"],
        severities=(3,),
        extras={"fgsm", "pgd", "transfer"},
    ).joined()
    tables = tables_of(study, tmp_path / "tables")
    frames = {name: pq.read_table(path).to_pandas() for name, path in tables.items()}
    assert set(frames["claims"]["verdict"]) == {"not testable"}
    for chart in charts_of(study.available):
        assert draw(chart, frames).to_dict()
    words = PageText("Title", "a: 1", "make")
    charts = drawn_charts(tables, tmp_path / "charts")
    page = tmp_path / "page.html"
    write_page(page, words, tables=tables, datasets=study.datasets, charts=charts)
    assert "ConvNeXt-S" in (tmp_path / "page.html").read_text()


def test_the_table_has_a_family_for_every_tag() -> None:
    found = {model.family for model in timm_models().values()}
    assert found == {"vit", "resnet", "other"}
    pairs = itertools.groupby(timm_models().values(), key=lambda model: model.architecture)
    assert all(len({model.family for model in models}) == 1 for _, models in pairs)
