"""The table of timm's pretrained classifiers agrees with the installed timm."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perturb.models.timm_modules import load_timm_zoo
from perturb.models.timm_survey import (
    check_classifier,
    measure,
    pretrained_tags,
    survey,
    survey_blocks,
    write_table,
)
from perturb.models.timm_table import (
    COLUMNS,
    KINDS,
    TABLE,
    TimmModel,
    blocks_of,
    geometry,
    known_architectures,
    model_of,
    read_table,
    tags_of,
    timm_models,
    untagged_models,
)
from perturb.models.zoo import check_table
from tests.workspace import told_by

# One of each kind of block is built in every run of the tests, all of them when timm changes.
_FEW = (
    *("beit_base_patch16_224", "convnext_tiny", "densenet121", "efficientnet_b0", "levit_128"),
    *("eva02_tiny_patch14_336", "maxvit_tiny_tf_224", "mixer_b16_224", "regnetz_040", "resnet50"),
)
PAPER = [  # of the paper's Table 1, what is public
    "vit_base_patch32_384.augreg_in21k_ft_in1k",
    "vit_base_patch16_384.orig_in21k_ft_in1k",
    "vit_large_patch32_384.orig_in21k_ft_in1k",
    "vit_large_patch16_384.augreg_in21k_ft_in1k",
    "resnetv2_50x1_bit.goog_in21k_ft_in1k",
    "resnetv2_101x1_bit.goog_in21k_ft_in1k",
    "resnetv2_50x3_bit.goog_in21k_ft_in1k",
    "resnetv2_101x3_bit.goog_in21k_ft_in1k",
    "resnetv2_152x4_bit.goog_in21k_ft_in1k",
]


def test_reading_the_table_imports_neither_torch_nor_timm() -> None:
    code = (
        "import sys; from perturb.models.timm_table import model_of; "
        "model_of('vit_base_patch16_384.orig_in21k_ft_in1k'); "
        "print(sorted({'torch', 'timm', 'numpy', 'safetensors'} & set(sys.modules)))"
    )
    assert told_by([sys.executable, "-c", code]).strip() == "[]"


def test_every_pretrained_tag_has_the_preprocessing_of_the_installed_timm() -> None:
    tags = pretrained_tags()
    assert list(timm_models()) == tags
    assert len(tags) > 1000
    for tag in tags:
        check_table(tag)


@pytest.mark.parametrize(
    "name",
    [
        *(*PAPER, "vit_base_r50_s16_384.orig_in21k_ft_in1k", "resnet18.a1_in1k"),
        *("vit_xsmall_patch16_clip_224", "mixer_s32_224", "resnet50_clip"),  # without weights
    ],
)
def test_networks_are_those_of_the_installed_timm(name: str) -> None:
    row = model_of(name) if "." in name else geometry(name)
    check_classifier(name, row.side)
    for column, value in measure(name, row.side).items():
        assert getattr(row, column) == value, column


def test_known_figures_of_the_papers_models() -> None:
    # ViT: Table 1 of Dosovitskiy et al. 2021; BiT: 23 M without the head in the paper's Table 1.
    vit, bit = (model_of(PAPER[index]) for index in (1, 4))
    assert (vit.patch_size, vit.depth, vit.embed_dim, vit.num_heads) == (16, 12, 768, 12)
    assert vit.num_parameters == pytest.approx(86e6, rel=0.02)
    assert vit.gmacs == pytest.approx(55.5, rel=0.01)
    assert (vit.side, vit.mean, vit.std, vit.mode) == (384, (0.5,) * 3, (0.5,) * 3, "crop")
    assert (bit.layers, bit.channels) == ((3, 4, 6, 3), (256, 512, 1024, 2048))
    assert bit.num_parameters == pytest.approx(23.5e6 + 2.05e6, rel=0.01)
    assert (bit.side, bit.crop, bit.interpolation) == (448, 1.0, "bilinear")


def test_every_other_name_of_timms_is_in_the_second_table() -> None:
    tagged = {model.architecture for model in timm_models().values()}
    names = set(load_timm_zoo().list_models())
    assert not tagged & set(untagged_models())
    assert set(untagged_models()) < names
    # Encoders without logits, and inputs that are no squares or are padded to one.
    others = names - tagged - set(untagged_models())
    assert {name.rpartition("_")[2] for name in others} <= {"enc", "sapiens2", "412m", "align"}
    assert known_architectures() == tagged | set(untagged_models())
    for model in untagged_models().values():
        assert model.tag == model.architecture
        assert not model.is_default
        assert model.num_parameters
        assert (model.depth is not None) == (model.kind == "vit")


def test_encoders_are_no_classifiers() -> None:
    with pytest.raises(ValueError, match=r"its output is \(1, 256, 768\), no logits"):
        check_classifier("gemma4_vit_167m_enc", 768)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in _FEW else [pytest.mark.exhaustive])
        for name in sorted(known_architectures())
        if geometry(name).kind == "other"
    ],
)
def test_blocks_are_those_of_the_installed_timm(name: str) -> None:
    """Also of the networks without a row, which have no blocks or run them in another order."""
    row: dict[str, Any] = {}
    for found in survey_blocks([geometry(name)]):
        assert found.pop("architecture") == name
        row = found | {"fixed_blocks": list(found["fixed_blocks"])}
    assert row == blocks_of(name)


def test_vits_and_bits_have_no_row_of_blocks() -> None:
    for model in timm_models().values():
        assert model.kind == "other" or not blocks_of(model.architecture)


def test_rows_are_complete() -> None:
    for row in timm_models().values():
        assert row.kind in KINDS
        assert row.num_classes == 1000
        assert row.num_parameters
        assert row.gmacs
        assert (row.depth is not None) == (row.kind == "vit")
        assert (row.layers is not None) == (row.kind == "resnetv2")
        assert row.mode in ("crop", "squash")
        # VOLO's larger models pad the image: no view does that, so a configuration is refused.
        assert 0 < row.crop <= 1 or row.architecture.startswith("volo")
        assert row.side % (row.patch_size or 1) == 0


def test_an_architecture_is_found_without_its_tag() -> None:
    assert geometry("vit_base_patch16_384").tag == tags_of("vit_base_patch16_384")[0]
    assert set(tags_of("vit_base_patch16_384")) >= {PAPER[1]}
    assert tags_of("vit_base") == ()


@pytest.mark.parametrize(
    ("look_up", "name", "message"),
    [
        (model_of, "vit_base_patch16_384", "names no weights: a full tag is needed; .*orig_in21k"),
        (
            model_of,
            "vit_base_patch16_384.best",
            "is not a tag with 1000 classes; .*orig_in21k_ft_in1k",
        ),
        (model_of, "vit_base_patch16_224.orig_in21k", "is not a tag with 1000 classes"),
        (model_of, "vgg", "a tag in resources/timm_models.csv"),
        (
            geometry,
            "vit_base",
            "'vit_base' is not an architecture in resources/timm_models.csv or timm_untagged.csv",
        ),
        (geometry, PAPER[1], "is not an architecture"),
    ],
)
def test_what_the_table_lacks_is_named(
    look_up: Callable[[str], TimmModel], name: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        look_up(name)


def test_a_written_table_is_read_as_it_was(tmp_path: Path) -> None:
    tags = ["test_vit.r160_in1k", "resnetv2_50x1_bit.goog_distilled_in1k"]
    write_table(tmp_path / "some.csv", survey(tags))
    assert dict(read_table(tmp_path / "some.csv")) == {tag: model_of(tag) for tag in tags}
    lines = (tmp_path / "some.csv").read_text().splitlines()
    assert set(lines[1:]) <= set(TABLE.read_text().splitlines())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not found; python -m perturb.models.timm_survey makes it"),
        ("", "columns are ; allowed"),
        (",".join(COLUMNS).replace("side", "size"), "columns are .*size.*; allowed"),
    ],
)
def test_another_table_is_refused(content: Any, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "table.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "table.csv")
