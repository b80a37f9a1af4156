"""Planned perturbations work on a small network of every kind of transformer in timm."""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perturb.config.perturbations import perturbation
from perturb.evaluation.outcome import Outcome, Setting
from perturb.experiments.layer_correlations.similarity import correlate_layers
from perturb.experiments.possible import (
    conditions_of,
    is_possible,
    lacking,
    samples_of,
)
from perturb.experiments.registry import evaluator as evaluator_of
from perturb.experiments.registry import perturbation as perturbation_of
from perturb.experiments.registry import perturbations
from perturb.models.anatomy import anatomy, describe_blocks
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.timm_modules import find_maker, load_timm_zoo
from perturb.models.timm_table import TimmModel, blocks_of, timm_models
from perturb.models.zoo import build_timm_network, describe_network
from perturb.records import Architecture, Makeup
from perturb.severities import severity_value
from tests.family_walk import NUM_CLASSES, asked, planned_as, some_images

ON_NETWORKS = [id for id, declared in perturbations().items() if declared.changes == "model"]
# Perturbations of parts that not every network has.
ON_PARTS = [id for id, declared in perturbations().items() if declared.lacks is not None]
SMALL = {"depth": 2, "num_heads": 2, "embed_dim": 32}
# timm's modules of transformers that are no plain ViT, or not in its order: a small one of each.
OTHERS = (
    *("beit", "cait", "coat", "convit", "crossvit", "davit", "deit", "edgenext", "efficientformer"),
    *("efficientformer_v2", "efficientvit_mit", "efficientvit_msra", "eva", "gcvit", "hiera"),
    *("levit", "maxxvit", "metaformer", "mobilevit", "mvitv2", "naflexvit", "nest", "nextvit"),
    *("pit", "pvt_v2", "repvit", "shvit", "swin_transformer", "swin_transformer_v2"),
    *("swin_transformer_v2_cr", "tiny_vit", "tnt", "twins", "vision_transformer"),
    *("vision_transformer_hybrid", "vision_transformer_relpos", "visformer", "volo", "xcit"),
)
# The other modules show the same, BEiT on a small network in `tests.family_walk`.
_FAST = ("cait", "deit", "eva", "levit", "pit", "swin_transformer", "tiny_vit", "xcit")


def _kinds() -> dict[str, TimmModel]:
    """Return a network of every kind of ViT in the table, the smallest, by its name."""
    found: dict[tuple[object, ...], TimmModel] = {}
    for model in timm_models().values():
        if model.kind == "vit":
            kind = (
                *(model.network, model.block, model.attention, model.embedding, model.pooling),
                *(model.num_prefix_tokens, model.num_class_tokens, model.num_heads is None),
            )
            kept = found.setdefault(kind, model)
            if (model.num_parameters or 0) < (kept.num_parameters or 0):
                found[kind] = model
    return {model.architecture: model for model in found.values()}


VITS = _kinds()


@cache
def small_vit(name: str) -> tuple[Classifier, Architecture]:
    """Return a small network of the kind, every weight of which is random, and its plan."""
    known, maker = VITS[name], find_maker(name)
    assert maker is not None
    side = 3 * (known.patch_size or 0)
    network = maker(pretrained=False, img_size=side, num_classes=NUM_CLASSES, **SMALL)
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) / 4
    plan = planned_as(known)
    sizes = {key: value for key, value in SMALL.items() if plan.arguments.get(key) is not None}
    plan = replace(plan, arguments={**plan.arguments, **sizes})
    return Classifier(network, Preprocessing(side)).eval(), plan


def severity_of(id: str) -> float:
    """Return the severity of the example that changes least."""
    return severity_value(asked(id).severities[0])


def outcomes(
    classifier: Classifier, id: str, conditions: Sequence[str], options: Mapping[str, Any]
) -> list[Outcome]:
    """Return the outcomes of a changed network on two images."""
    images = some_images(classifier.preprocessing.side)
    setting = Setting(tuple(conditions), severity_of(id), 7, options)
    return list(evaluator_of(id)(classifier, images, setting))


def logits_of(classifier: Classifier) -> Tensor:
    with torch.inference_mode():
        return classifier(some_images(classifier.preprocessing.side).pixels)


@pytest.mark.parametrize("name", VITS)
def test_a_small_network_of_each_kind_is_what_the_table_says(name: str) -> None:
    classifier, plan = small_vit(name)
    found = describe_network(classifier.network)
    names = ("network", "block", "attention", "embedding", "pooling", "num_prefix_tokens")
    for column in (*names, "num_class_tokens"):
        assert found[column] == getattr(VITS[name], column), column
    assert plan.makeup == Makeup(*(found[column] for column in names[1:5]))


@pytest.mark.parametrize("id", ON_NETWORKS)
@pytest.mark.parametrize("name", VITS)
def test_what_is_planned_changes_a_vit_and_what_is_not_is_refused(name: str, id: str) -> None:
    classifier, plan = small_vit(name)
    clean, change = logits_of(classifier), asked(id)
    severity = severity_of(id)
    if not is_possible(change, severity, plan):
        with pytest.raises(ValueError, match=r"."):
            outcomes(classifier, id, perturbation_of(id).conditions, change.options)
    else:
        conditions = conditions_of(change, plan)
        found: dict[str, tuple[int, ...]] = {}
        for outcome in outcomes(classifier, id, conditions, change.options):
            found[outcome.condition] = (*found.get(outcome.condition, ()), outcome.sample)
            # What the last of all blocks hears from patches is lost on a head that reads none.
            if (id, outcome.condition) != ("patch_attention", "last"):
                assert not torch.allclose(outcome.logits, clean, atol=1e-4), outcome.condition
            assert outcome.logits.isfinite().all()
        assert found == samples_of(change, severity, plan, 7)
        parts = (
            set(perturbation_of("lesions").conditions) - set(conditions) if id == "lesions" else ()
        )
        for part in parts:
            with pytest.raises(ValueError, match="without a separate"):
                outcomes(classifier, id, (part,), change.options)
    assert torch.equal(logits_of(classifier), clean)


@pytest.mark.parametrize("name", VITS)
def test_layers_of_every_kind_are_correlated(name: str) -> None:
    classifier, plan = small_vit(name)
    assert lacking("layer_correlations", plan) is None
    images = some_images(classifier.preprocessing.side, 4)
    table = correlate_layers(classifier, [images.pixels], model="m")
    has_class_token = bool(VITS[name].num_class_tokens)
    assert ("pearson_cls" in set(table["measure"].to_pylist())) == has_class_token


def test_what_is_known_to_be_impossible() -> None:
    plans = {name: small_vit(name)[1] for name in VITS}
    impossible = {
        name: [id for id in ON_PARTS if not is_possible(asked(id), 0.5, plan)]
        for name, plan in plans.items()
    }
    by_embedding = {VITS[name].embedding: found for name, found in impossible.items()}
    assert by_embedding["HybridEmbed"] == ["token_removal"]
    for name, found in impossible.items():
        assert ("heads" in found) == ("Parallel" in str(VITS[name].block))
        assert ("patch_attention" in found) == (VITS[name].num_prefix_tokens == 0)
        assert "token_removal" in found or VITS[name].num_class_tokens == 1
        assert not {"lesions", "restricted_attention"} & set(found)


@pytest.mark.parametrize(
    ("makeup", "impossible"),
    [
        ({"block": "NewBlock"}, set(ON_PARTS)),
        ({"block": None}, set(ON_PARTS)),
        ({"attention": "NewAttention"}, set(ON_PARTS) - {"lesions"}),
        ({"embedding": "NewEmbed"}, {"token_removal"}),
        ({"pooling": "new"}, {"token_removal"}),
        ({}, set()),
    ],
)
def test_what_is_not_known_is_not_planned(makeup: dict[str, Any], impossible: set[str]) -> None:
    arguments = {"depth": 2, "num_heads": 2, "num_prefix_tokens": 1, "num_class_tokens": 1}
    plan = Architecture("x", "vit", "S", 8, "X", arguments, "x", Makeup(**makeup))
    assert {id for id in ON_PARTS if lacking(id, plan) is not None} == impossible


@cache
def _smallest(module: str) -> TimmModel:
    """Return the smallest of a module's networks that is no ViT whose parts can be reached."""
    registry = load_timm_zoo().models._registry
    names = set(registry.list_models(module=module))
    found = [model for model in timm_models().values() if model.architecture in names]
    return min(found, key=lambda model: (model.kind != "other", model.gmacs or 0))


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(module, marks=[] if module in _FAST else [pytest.mark.exhaustive])
        for module in OTHERS
    ],
)
def test_other_networks_of_timm_are_planned_for_what_their_blocks_allow(module: str) -> None:
    known = _smallest(module)
    torch.manual_seed(0)
    network: nn.Module = build_timm_network(known.architecture, NUM_CLASSES, known.side)
    for name, parameter in network.named_parameters():
        if "gamma" in name:  # scales of layers start so small that a block changes nothing
            nn.init.constant_(parameter, 0.5)
        elif blocks_of(known.architecture) and parameter.ndim == 2 and re.search("attn|head", name):
            # Else logits are small, and attention so even that masks change little.
            parameter.data *= 10
        elif not parameter.any():  # some start with a head that decides nothing
            nn.init.normal_(parameter, std=0.1)
    classifier = Classifier(network, Preprocessing(known.side)).eval()
    plan = planned_as(known)
    if plan.family == "vit":  # all networks of the module are
        assert anatomy(network).num_blocks == plan.arguments["depth"]
        return
    assert plan.family == "other"
    assert plan.label == f"{type(network).__name__}-T"
    blocks = blocks_of(known.architecture)
    assert {name: plan.arguments[name] for name in blocks} == blocks
    if not blocks:
        assert all(lacking(id, plan) for id in (*ON_PARTS, "layer_correlations"))
    else:
        found = describe_blocks(anatomy(network))
        assert {**found, "fixed_blocks": list(found["fixed_blocks"])} == blocks
        assert lacking("layer_correlations", plan) is None
    assert lacking("heads", plan)
    assert lacking("token_removal", plan)
    assert set(ON_PARTS) < set(ON_NETWORKS)
    clean = logits_of(deepcopy(classifier))  # `classifier` itself has kept nothing yet
    is_small = sum(weight.numel() for weight in network.parameters()) < 10_000_000
    for id in ON_NETWORKS:
        if id == "weight_noise" and not is_small:  # which takes a minute
            continue
        conditions, options = perturbation_of(id).conditions, asked(id).options
        if lacking(id, plan):
            with pytest.raises(ValueError, match=r"."):
                outcomes(classifier, id, conditions, options)
            continue
        conditions = conditions_of(asked(id), plan)
        for outcome in outcomes(classifier, id, conditions, options):
            if (id, outcome.condition) != ("patch_attention", "last"):
                assert not torch.allclose(outcome.logits, clean, atol=1e-4), id
        assert torch.equal(logits_of(classifier), clean), id
    attack = perturbation("fgsm", {"datasets": ["test"], "epsilons": ["8/255"]}, {"test": {}})
    assert is_possible(attack, 8 / 255, plan)
    setting = Setting(("fgsm",), 8 / 255, 7, attack.options)
    images = replace(some_images(known.side), targets=clean.argmax(dim=1))
    [outcome] = evaluator_of("fgsm")(classifier, images, setting)
    assert not torch.equal(outcome.logits, clean)
    assert torch.equal(logits_of(classifier), clean)
