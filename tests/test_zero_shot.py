"""Zero-shot heads: scaled cosines with made-up text vectors, and mistakes in their files."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from perturb.config import ConfigError, load_config
from perturb.experiments.lesions.surgery import without
from perturb.files import sha256_of
from perturb.models.checkpoints import ModelCard, load_classifier, read_card, save_checkpoint
from perturb.models.class_vectors import read_class_vectors, width_of_tower
from perturb.models.classifier import Classifier
from perturb.models.making import import_weights
from perturb.models.timm_modules import ResNetV2, find_maker
from perturb.models.zero_shot import ZeroShotHead, with_zero_shot_head
from perturb.models.zoo import build_timm_network
from perturb.plan.origins import of_checkpoint
from perturb.plan.params import given_facts
from perturb.plan.sources import missing_files
from tests.test_config_mistakes import changed
from tests.tiny_study import TINY_STUDY

DOCUMENT = Path(__file__).parents[1] / "docs" / "zero-shot.md"
NUM_CLASSES, WIDTH, SIDE = 12, 20, 48
SCALE = 100.0
FACTS: dict[str, Any] = {
    "model": "mine",
    "architecture": "clip",
    "family": "vit",
    "size": "T",
    "patch_size": 16,
    "arguments": {"depth": 6},
    "pretraining": "web",
    "timm": "test_vit",
    "preprocessing": {"side": SIDE},
    "num_classes": NUM_CLASSES,
}


def some_vectors(count: int = NUM_CLASSES, width: int = WIDTH) -> Tensor:
    """Return made-up text vectors, which are not of unit length."""
    return torch.randn(count, width, generator=torch.Generator().manual_seed(1)) * 3


def vectors_file(folder: Path, **tensors: Tensor) -> Path:
    """Return a file of class vectors, with other tensors in place of the made-up ones."""
    content = {"class_vectors": some_vectors(), "logit_scale": torch.tensor(SCALE)}
    save_file({**content, **tensors}, folder / "vectors.safetensors")
    return folder / "vectors.safetensors"


def tower_file(folder: Path, width: int = WIDTH, name: str = "tower.safetensors") -> Path:
    """Return a file of the weights of an image tower, all of which are random."""
    torch.manual_seed(0)
    network = build_timm_network("test_vit", width, SIDE)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    if name.endswith(".safetensors"):
        save_file(state, folder / name)
    else:
        torch.save({"model": state}, folder / name)
    return folder / name


def imported(tower: Path, vectors: Path, sha256: str = "") -> tuple[Classifier, ModelCard]:
    """Return the classifier and the card of the two files."""
    weights = {
        "file": str(tower),
        "sha256": sha256_of(tower),
        "class_vectors": {"file": str(vectors), "sha256": sha256 or sha256_of(vectors)},
    }
    return import_weights(FACTS | {"weights": weights})


def test_logits_are_scaled_cosines_with_the_class_vectors(tmp_path: Path) -> None:
    tower = tower_file(tmp_path)
    classifier, card = imported(tower, vectors_file(tmp_path))
    plain = build_timm_network("test_vit", WIDTH, SIDE).eval()
    plain.load_state_dict(torch.load(tower_file(tmp_path, name="tower.pt"))["model"])
    images = torch.rand(5, 3, SIDE, SIDE)
    with torch.inference_mode():
        embedded = plain(classifier.prepare(images))
        expected = SCALE * torch.cosine_similarity(embedded[:, None], some_vectors()[None], dim=-1)
        torch.testing.assert_close(classifier(images), expected, atol=1e-4, rtol=1e-5)
    assert classifier.num_classes == card.num_classes == NUM_CLASSES
    assert len(set(classifier(images).argmax(dim=1).tolist())) > 1


def test_a_checkpoint_keeps_the_head_and_its_card_names_the_vectors(tmp_path: Path) -> None:
    classifier, card = imported(tower_file(tmp_path), vectors_file(tmp_path))
    save_checkpoint(tmp_path / "mine", classifier, card)
    images = torch.rand(2, 3, 40, 40)
    assert torch.equal(load_classifier(tmp_path / "mine")(images), classifier(images))
    kept = read_card(tmp_path / "mine")
    assert kept.zero_shot_width == WIDTH
    assert kept.source["class_vectors"] == {
        "file": "vectors.safetensors",
        "sha256": sha256_of(tmp_path / "vectors.safetensors"),
        "logit_scale": SCALE,
    }


def test_a_zero_shot_classifier_is_changed_as_any_other(tmp_path: Path) -> None:
    classifier, _ = imported(tower_file(tmp_path), vectors_file(tmp_path))
    images = torch.rand(2, 3, SIDE, SIDE, requires_grad=True)
    logits = classifier(images)
    (gradient,) = torch.autograd.grad(logits.logsumexp(dim=1).sum(), images)
    assert gradient.isfinite().all()
    assert gradient.any()
    with torch.inference_mode(), without(classifier, [1]):
        assert not torch.allclose(classifier(images), logits)
    with torch.autocast("cpu", torch.bfloat16):
        assert classifier(images).dtype == torch.float32


def test_a_clip_tower_of_timms_takes_the_head() -> None:
    maker = find_maker("vit_base_patch16_clip_224")
    assert maker is not None
    sizes = {"img_size": 32, "embed_dim": 24, "depth": 2, "num_heads": 2}
    tower = maker(num_classes=WIDTH, **sizes).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        embedded = tower(images)
        network: Any = with_zero_shot_head(tower, NUM_CLASSES)
        network.head.class_vectors.copy_(nn.functional.normalize(some_vectors(), dim=1))
        network.head.logit_scale.fill_(SCALE)
        assert isinstance(network.head, ZeroShotHead)
        cosines = torch.cosine_similarity(embedded[:, None], some_vectors()[None], dim=-1)
        torch.testing.assert_close(network(images), SCALE * cosines, atol=1e-4, rtol=1e-5)


def test_a_head_that_is_not_linear_is_refused() -> None:
    network = ResNetV2(layers=[1], channels=[128], stem_chs=32, num_classes=WIDTH)
    with pytest.raises(ValueError, match="head of ResNetV2 is Conv2d; allowed with class vectors"):
        with_zero_shot_head(network, NUM_CLASSES)


def _with(row: int, value: float) -> Tensor:
    vectors = some_vectors()
    vectors[row] = value
    return vectors


MISTAKES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no scale": (
        lambda folder: _alone(folder, class_vectors=some_vectors()),
        "holds class_vectors; allowed: exactly class_vectors and logit_scale",
    ),
    "another name": (
        lambda folder: _alone(folder, text=some_vectors(), logit_scale=torch.tensor(SCALE)),
        "holds logit_scale, text; allowed: exactly class_vectors and logit_scale",
    ),
    "the logarithm of the scale": (
        lambda folder: vectors_file(folder, logit_scale=torch.tensor(SCALE).log()),
        r"logit_scale is 4\.60517; allowed: .*save model\.logit_scale\.exp\(\)",
    ),
    "a scale for each class": (
        lambda folder: vectors_file(folder, logit_scale=torch.ones(NUM_CLASSES)),
        r"logit_scale has shape \(12,\); allowed: one number",
    ),
    "a scale that is none": (
        lambda folder: vectors_file(folder, logit_scale=torch.tensor(torch.nan)),
        "logit_scale is nan; allowed: a finite number",
    ),
    "NaN": (
        lambda folder: vectors_file(folder, class_vectors=_with(3, torch.nan)),
        "class_vectors: row 3 is not finite",
    ),
    "several infinite rows": (
        lambda folder: vectors_file(
            folder, class_vectors=_with(3, torch.inf) + _with(5, torch.inf)
        ),
        "class_vectors: 2 rows are, the first of them 3, not finite",
    ),
    "zeros": (
        lambda folder: vectors_file(folder, class_vectors=_with(0, 0.0)),
        "class_vectors: row 0 is zero, which has no direction",
    ),
    "one vector": (
        lambda folder: vectors_file(folder, class_vectors=some_vectors()[0].clone()),
        r"class_vectors has shape \(20,\); allowed: \(K, D\)",
    ),
    "bfloat16": (
        lambda folder: vectors_file(folder, class_vectors=some_vectors().bfloat16()),
        "class_vectors is BF16; allowed: F16, F32, F64",
    ),
    "whole numbers": (
        lambda folder: vectors_file(folder, class_vectors=some_vectors().long()),
        "class_vectors is I64; allowed: F16, F32, F64",
    ),
    "a file of torch": (
        lambda folder: tower_file(folder, name="tower.pt"),
        "not a safetensors file .*; class vectors are one",
    ),
}


def _alone(folder: Path, **tensors: Tensor) -> Path:
    save_file(tensors, folder / "vectors.safetensors")
    return folder / "vectors.safetensors"


def study_with(tower: Path, vectors: Path) -> dict[str, Any]:
    """Return the tiny study with one more model, of the two files."""
    return changed(
        TINY_STUDY,
        "architectures.clip: {family: vit, size: T, patch_size: 16, timm: test_vit}",
        "models.clip: {architecture: clip, pretraining: small, preprocessing: {side: 48}}",
        f"models.clip.weights: {{file: {tower}, sha256: {sha256_of(tower)}}}",
        f"models.clip.weights.class_vectors: {{file: {vectors}, sha256: {sha256_of(vectors)}}}",
    )


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_a_file_are_named_before_any_job(mistake: str, tmp_path: Path) -> None:
    write, message = MISTAKES[mistake]
    tower, path = tower_file(tmp_path), write(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        read_class_vectors(path)
    assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(
        ConfigError, match=rf"models\.clip\.weights\.class_vectors\.file: {path}: .*{message}"
    ):
        load_config(study_with(tower, path))


@pytest.mark.parametrize(
    ("tensors", "of_study", "of_job"),
    [
        (
            {"class_vectors": some_vectors(10)},
            "has 10 class vectors, but datasets.test has 12 classes; allowed: a vector for each",
            "has 10 class vectors; the task has 12 classes",
        ),
        (
            {"class_vectors": some_vectors(width=16)},
            "vectors have width 16, but the head of the image tower in .* has width 20; allowed",
            "the file's head has 20 classes, the network's 16.*; the network's head is as wide as",
        ),
    ],
)
def test_vectors_that_do_not_fit_are_named_before_any_job_and_by_the_import(
    tensors: dict[str, Tensor], of_study: str, of_job: str, tmp_path: Path
) -> None:
    tower, path = tower_file(tmp_path), vectors_file(tmp_path, **tensors)
    with pytest.raises(ConfigError, match=of_study):
        load_config(study_with(tower, path))
    with pytest.raises(ValueError, match=of_job):
        imported(tower, path)


def test_a_study_names_the_files_and_follows_the_vectors_content(tmp_path: Path) -> None:
    tower, path = tower_file(tmp_path, name="tower.pt"), vectors_file(tmp_path)
    raw = study_with(tower, path)
    config = load_config(raw)
    digest = sha256_of(path)
    weights = given_facts(config, "clip")["weights"]
    assert weights["class_vectors"] == {"file": str(path), "sha256": digest}
    assert of_checkpoint(config, "clip")["weights"]["class_vectors"] == digest
    assert missing_files(config) == []
    path.unlink()
    again = load_config(raw)
    assert missing_files(again) == [
        f"models.clip.weights.class_vectors.file: {path} does not exist"
    ]


def test_the_documented_way_to_make_a_file_makes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a text tower that is a table of made-up vectors."""
    [code] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    spoken: list[str] = []

    class TextTower:
        logit_scale = torch.tensor(SCALE).log()

        def encode_text(self, tokens: Tensor) -> Tensor:
            return some_vectors(20)[tokens]

    def tokenize(texts: list[str]) -> Tensor:
        spoken.extend(texts)
        return torch.tensor([len(spoken) // len(texts) - 1] * len(texts))

    monkeypatch.chdir(tmp_path)
    names = [f"thing {number}" for number in range(NUM_CLASSES)]
    exec(code, {"model": TextTower(), "tokenize": tokenize, "names": names})
    found = read_class_vectors(tmp_path / "vectors.safetensors")
    assert "a photo of a thing 3." in spoken
    assert found.logit_scale == pytest.approx(SCALE)
    expected = nn.functional.normalize(some_vectors(20)[:NUM_CLASSES], dim=1)
    torch.testing.assert_close(torch.from_numpy(found.vectors), expected)


def test_only_a_safetensors_tower_tells_its_width_beforehand(tmp_path: Path) -> None:
    assert width_of_tower(tower_file(tmp_path)) == WIDTH
    assert width_of_tower(tower_file(tmp_path, name="tower.pt")) is None
    assert width_of_tower(vectors_file(tmp_path)) is None


def test_another_hash_of_the_vectors_is_refused(tmp_path: Path) -> None:
    tower, path = tower_file(tmp_path), vectors_file(tmp_path)
    with pytest.raises(ValueError, match=r"vectors\.safetensors: SHA-256 is .* says 0000"):
        imported(tower, path, "0" * 64)
