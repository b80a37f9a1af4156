"""Sweeps over lesions: shared computations run once, and predictions are those of each lesion."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Outcome, Setting
from perturb.experiments.lesions import steps
from perturb.experiments.lesions.evaluate import head_outcomes, lesion_outcomes
from perturb.experiments.lesions.plans import PARTS, head_sets, lesion_sets
from perturb.experiments.lesions.surgery import without, without_heads
from perturb.experiments.lesions.test_lesions import BLOCKS, logits_of, set_fused, traces_of
from perturb.models.anatomy import anatomy
from perturb.models.classifier import Classifier
from tests.test_anatomy import NETWORKS, VITS, classifier_of, some_images, vit

Agreement = Callable[[Tensor, Tensor], bool]


def images_of(count: int = 5) -> Images:
    return Images(some_images(count), torch.arange(count), torch.zeros(count, dtype=torch.int64))


def setting_for(classifier: Classifier, n: float, **options: Any) -> Setting:
    return Setting(PARTS[anatomy(classifier.network).family], n, 11, options)


@pytest.fixture(params=[True, False], ids=["all tokens", "read tokens"])
def agree(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Agreement:
    """Return the comparison of logits: bit for bit where the last MLP runs on all tokens."""
    if request.param:
        monkeypatch.setattr(steps, "_reads_class_token", lambda _: False)
        return lambda shared, own: torch.equal(shared, own)

    def agree_closely(shared: Tensor, own: Tensor) -> bool:
        assert torch.equal(shared.argmax(dim=1), own.argmax(dim=1))
        return torch.allclose(shared, own, rtol=0, atol=1e-5)

    return agree_closely


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("name", NETWORKS)
def test_shared_lesions_are_those_from_the_pixels(name: str, n: int, agree: Agreement) -> None:
    classifier = classifier_of(NETWORKS[name]())
    body, setting = anatomy(classifier.network), setting_for(classifier, n, samples=4)
    if n > len([index for index in body.removable if index]):
        pytest.skip("too shallow to lose that many")
    traces = traces_of(classifier)
    outcomes = list(lesion_outcomes(classifier, images_of(), setting))
    expected = []
    for part in setting.conditions:
        for sample, blocks in lesion_sets(body.removable, n, 4, 11, part).items():
            with without(classifier, blocks, part):
                expected.append((part, sample, ",".join(map(str, blocks)), logits_of(classifier)))
    assert len(outcomes) == len(expected)
    for outcome, (part, sample, removed, logits) in zip(outcomes, expected, strict=True):
        assert (outcome.condition, outcome.sample) == (part, sample)
        assert outcome.added == {"removed": removed}
        assert agree(outcome.logits, logits)
        assert n or torch.equal(outcome.logits, logits)
    assert traces_of(classifier) == traces


@pytest.mark.parametrize("is_fused", [True, False])
@pytest.mark.parametrize("name", VITS)
def test_shared_heads_are_those_from_the_pixels(
    name: str, is_fused: bool, agree: Agreement
) -> None:
    classifier = classifier_of(VITS[name]())
    set_fused(classifier, is_fused)
    body, traces = anatomy(classifier.network), traces_of(classifier)
    outcomes = list(head_outcomes(classifier, images_of(), Setting(("head",), 1, 0)))
    heads = head_sets(body.num_blocks, body.num_heads)
    assert [outcome.sample for outcome in outcomes] == list(heads)
    for outcome in outcomes:
        block, head = heads[outcome.sample]
        with without_heads(classifier, [(block, head)]):
            assert agree(outcome.logits, logits_of(classifier))
        assert outcome.condition == "head"
        assert outcome.added == {"removed": f"{block}.{head}"}
    assert traces_of(classifier) == traces


# Input rows of the last MLP of each network for 40 images: only the class token where no more is
# read.
READ_TOKENS = {
    "plain": 1,
    "study": 1,
    "registers": 1,
    "no class token": 4,
    "clip": 1,
    "any size": 5,
    "distilled": 6,
    "averaged": 5,
}


@pytest.mark.parametrize("name", VITS)
def test_the_last_mlp_runs_on_what_is_read(name: str) -> None:
    classifier = classifier_of(VITS[name]())
    shapes = set()
    last: Any = anatomy(classifier.network).blocks[-1]
    last.mlp.fc1.register_forward_pre_hook(lambda _, args: shapes.add(args[0].shape[:2]))
    images = images_of(40)
    lesions = list(lesion_outcomes(classifier, images, setting_for(classifier, 1)))
    heads = list(head_outcomes(classifier, images, Setting(("head",), 1, 0)))
    assert shapes == {(40, READ_TOKENS[name])}
    for outcome in (*lesions, *heads):
        logits = damaged_logits(classifier, images, outcome)
        assert torch.equal(outcome.logits.argmax(dim=1), logits.argmax(dim=1))
        torch.testing.assert_close(outcome.logits, logits, rtol=0, atol=1e-5)


@torch.inference_mode()
def damaged_logits(classifier: Classifier, images: Images, outcome: Outcome) -> Tensor:
    if outcome.condition == "head":
        heads = head_sets(99, anatomy(classifier.network).num_heads)
        with without_heads(classifier, [heads[outcome.sample]]):
            return classifier(images.pixels)
    with without(classifier, [outcome.sample], outcome.condition):
        return classifier(images.pixels)


@pytest.mark.parametrize("kind", ["ResPostBlock", "ParallelThingsBlock"])
def test_other_blocks_share_bit_for_bit(kind: str) -> None:
    classifier = classifier_of(vit(block_fn=getattr(BLOCKS, kind)))
    for outcome in lesion_outcomes(classifier, images_of(), setting_for(classifier, 1)):
        with without(classifier, [outcome.sample], outcome.condition):
            assert torch.equal(outcome.logits, logits_of(classifier))


def count_calls(classifier: Classifier, run: Callable[[], object]) -> Counter[str]:
    """Return the number of runs of each block's attention and MLP, and of the embedding."""
    calls: Counter[str] = Counter()
    network: Any = classifier.network
    modules = {"embed": network.patch_embed, "head": network.head}
    for index, block in enumerate(network.blocks):
        modules |= {f"attention {index}": block.attn.qkv, f"mlp {index}": block.mlp.fc1}
    handles = [
        module.register_forward_hook(lambda *_, name=name: calls.update([name]))
        for name, module in modules.items()
    ]
    run()
    for handle in handles:
        handle.remove()
    return calls


def test_what_lesions_share_is_computed_once() -> None:
    classifier = classifier_of(vit(depth=5))
    setting = setting_for(classifier, 1)
    calls = count_calls(classifier, lambda: list(lesion_outcomes(classifier, images_of(), setting)))
    expected = {"embed": 1, "head": 15}
    for index in range(5):
        # Once for the trunk, and once for each lesion before; the MLP also where attention is lost.
        expected[f"attention {index}"] = 1 + 3 * index
        expected[f"mlp {index}"] = (1 if index < 4 else 0) + 3 * index + 1
    assert calls == expected


def test_what_heads_share_is_computed_once() -> None:
    classifier = classifier_of(vit(depth=4))
    setting = Setting(("head",), 1, 0)
    calls = count_calls(classifier, lambda: list(head_outcomes(classifier, images_of(), setting)))
    expected = {"embed": 1, "head": 12}
    for index in range(4):
        expected[f"attention {index}"] = 1 + 3 * index
        expected[f"mlp {index}"] = 1 + 3 * (index + 1)
    assert calls == expected


def test_lesions_that_begin_alike_share_more_than_the_trunk() -> None:
    classifier = classifier_of(vit(depth=6))
    setting = Setting(("mlp",), 4, 0)
    run = count_calls(classifier, lambda: list(lesion_outcomes(classifier, images_of(), setting)))
    sets = lesion_sets(range(6), 4, 25, 0, "mlp").values()
    assert len(sets) == 5
    for index in range(6):
        # Attention runs once for every different history of MLPs.
        histories = {tuple(block for block in blocks if block < index) for blocks in sets}
        assert run[f"attention {index}"] == len(histories)


def test_an_abandoned_sweep_leaves_the_classifier_whole() -> None:
    classifier = classifier_of(vit())
    intact = logits_of(classifier)
    for sweep in (
        lesion_outcomes(classifier, images_of(), setting_for(classifier, 1)),
        head_outcomes(classifier, images_of(), Setting(("head",), 1, 0)),
    ):
        next(sweep)
        assert torch.equal(logits_of(classifier), intact)  # also while the generator is suspended
        sweep.close()
        assert torch.equal(logits_of(classifier), intact)


def test_an_image_decides_alone() -> None:
    classifier = classifier_of(vit())
    setting = setting_for(classifier, 1)
    together = list(lesion_outcomes(classifier, images_of(), setting))
    images = images_of()
    for row in range(5):
        one = Images(images.pixels[row : row + 1], images.keys[:1], images.targets[:1])
        for alone, joint in zip(lesion_outcomes(classifier, one, setting), together, strict=True):
            torch.testing.assert_close(alone.logits[0], joint.logits[row], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("plain", Setting(("mlp",), 1.5, 0), "blocks of lesions is 1.5; allowed: a whole"),
        ("plain", Setting(("mlp",), 3, 0), "number of removed blocks is 3; allowed: 0 to 2"),
        ("plain", Setting(("mlp",), -1, 0), "blocks of lesions is -1; allowed: a whole number, 0"),
        ("basic", Setting(("attention",), 1, 0), "without a separate attention; allowed: block"),
        ("plain", Setting(("head",), 2, 0), "severity of heads is 2; allowed: a whole number, 1$"),
        ("basic", Setting(("head",), 1, 0), "block 0 is a PreActBasic; allowed: blocks with one"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, setting: Setting, message: str) -> None:
    evaluator = head_outcomes if setting.conditions == ("head",) else lesion_outcomes
    with pytest.raises(ValueError, match=message):
        list(evaluator(classifier_of(NETWORKS[name]()), images_of(), setting))
