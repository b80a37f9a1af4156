"""A small network of each family of timm's, and what each experiment makes of it.

    python -m tests.family_walk

writes the table of `docs/families.md`. A test compares the table with what the walk finds, so it
says what the code does. Widths and depths are reduced through timm's own arguments; every weight is
random.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from perturb.config.models import architecture
from perturb.config.perturbations import perturbation
from perturb.config.schema import schema
from perturb.datasets.store import Images
from perturb.evaluation.outcome import Setting
from perturb.experiments.layer_correlations.similarity import correlate_layers
from perturb.experiments.possible import conditions_of, lacking
from perturb.experiments.registry import evaluator as evaluator_of
from perturb.experiments.registry import perturbation as perturbation_of
from perturb.models.anatomy import anatomy, describe_blocks
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.timm_modules import load_timm_zoo
from perturb.models.timm_table import TimmModel, geometry
from perturb.models.zoo import describe_network
from perturb.records import Architecture, PerturbationEntry
from perturb.severities import severity_value

DOCUMENT = Path(__file__).parents[1] / "docs" / "families.md"
NUM_CLASSES = 5
OF_NETWORKS = ("lesions", "heads", "restricted_attention", "patch_attention", "token_removal")
OF_INPUTS = "fgsm"  # which needs the gradient through the whole network
COLUMNS = (OF_INPUTS, *OF_NETWORKS, "layer_correlations")
_TITLES = (
    *("Family", "Network", "Images changed", "Layers removed", "Heads removed"),
    *("Attention restricted", "Patch attention removed", "Tokens removed", "Layers correlated"),
)
_START, _END = "<!-- made by python -m tests.family_walk -->", "<!-- end -->"


@dataclass(frozen=True, eq=False)
class Family:
    """A family of networks, by the name of one in timm, with arguments that make it small."""

    title: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    side: int = 64


_VIT = {"img_size": 48, "embed_dim": 24, "depth": 3, "num_heads": 3}
_VIT_14 = _VIT | {"img_size": 42}
_SWIN = {
    **{"img_size": 64, "embed_dim": 24, "window_size": 4},
    **{"depths": (2, 1, 1, 1), "num_heads": (1, 2, 3, 4)},
}
_RESNET = {"layers": (2, 1, 1, 1), "channels": (16, 16, 32, 32)}
_CONVNEXT = {"depths": (1, 1, 2, 1), "dims": (16, 16, 32, 32)}
_MAXVIT = {"img_size": 64, "embed_dim": (32, 32, 64, 64), "depths": (1, 2, 1, 1)}
FAMILIES = (
    Family("ViT", "vit_tiny_patch16_224", _VIT, 48),
    Family("DeiT", "deit_tiny_distilled_patch16_224", _VIT, 48),
    Family("DeiT III", "deit3_small_patch16_224", _VIT, 48),
    Family("CLIP's ViT", "vit_base_patch16_clip_224", _VIT, 48),
    Family("BEiT", "beit_base_patch16_224", _VIT, 48),
    Family("EVA-02", "eva02_tiny_patch14_336", _VIT_14, 42),
    Family("CaiT", "cait_xxs24_224", _VIT, 48),
    Family("XCiT", "xcit_nano_12_p16_224", {"embed_dim": 24, "depth": 3, "num_heads": 3}, 224),
    Family("ViT with relative positions", "vit_relpos_small_patch16_224", _VIT, 48),
    Family("Swin", "swin_tiny_patch4_window7_224", _SWIN),
    Family("Swin V2", "swinv2_tiny_window8_256", _SWIN),
    Family("MaxViT", "maxvit_tiny_tf_224", _MAXVIT),
    Family("CoAtNet", "test_coatnet", {"img_size": 64}),
    Family("PiT", "pit_ti_224", {"img_size": 64}),
    Family("PVT v2", "pvt_v2_b0"),
    Family("LeViT", "levit_128", {}, 224),
    Family("MLP-Mixer", "mixer_b16_224", {"img_size": 48}, 48),
    Family("ResMLP", "resmlp_12_224", {"img_size": 48}, 48),
    Family("ConvNeXt", "convnext_tiny", _CONVNEXT),
    Family("ConvNeXt V2", "convnextv2_tiny", _CONVNEXT),
    Family("ResNet", "resnet50", _RESNET),
    Family("ResNet-D", "resnet50d", _RESNET),
    Family("SE-ResNet", "seresnet50", _RESNET),
    Family("ResNeXt", "resnext50_32x4d", {"layers": (2, 1, 1, 1)}),
    Family("BiT", "resnetv2_50x1_bit"),
    Family("RegNet", "regnety_002"),
    Family("EfficientNet", "efficientnet_b0"),
    Family("MobileNetV3", "mobilenetv3_small_050"),
    Family("DenseNet", "densenet121"),
    Family("VGG", "vgg11"),
)


@cache
def small(family: Family) -> tuple[Classifier, Architecture]:
    """Return the small network of a family, every weight of which is random, and its plan."""
    torch.manual_seed(0)
    zoo = load_timm_zoo()
    network = zoo.create_model(family.name, num_classes=NUM_CLASSES, **family.arguments).eval()
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        if not parameter.any() or parameter.ndim < 2:  # scales, and heads that start at zero
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return Classifier(network, Preprocessing(family.side)).eval(), _planned(family, network)


def _planned(family: Family, network: nn.Module) -> Architecture:
    """Return the architecture that a configuration has, with the numbers of the small network."""
    plan = planned_as(geometry(family.name))
    found = describe_network(network)
    if "num_blocks" in plan.arguments:
        found |= describe_blocks(anatomy(network))
    small = {name: found[name] for name in plan.arguments}
    lists = {name: list(v) if isinstance(v, tuple) else v for name, v in small.items()}
    return replace(plan, arguments=lists)


def planned_as(known: TimmModel) -> Architecture:
    """Return the architecture that a configuration has for a network of timm's."""
    entry: dict[str, Any] = {"family": known.family, "size": "T", "timm": known.architecture}
    return architecture("x", entry | ({"patch_size": known.patch_size} if known.patch_size else {}))


def asked(id: str) -> PerturbationEntry:
    """Return the entry of a perturbation, the example of its schema."""
    properties = schema()["$defs"]["perturbations"]["properties"]
    return perturbation(id, properties[id]["examples"][0], {"test": {}})


def some_images(side: int, count: int = 2) -> Images:
    """Return noise, of the side that a network takes."""
    generator = torch.Generator().manual_seed(2)
    pixels = torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.arange(count), torch.zeros(count, dtype=torch.long))


def changes(family: Family, id: str) -> bool:
    """Return whether an experiment changes the logits of the family's network in each condition.

    Raises
    ------
    ValueError
        If the network has no such part.
    """
    classifier, plan = small(family)
    if id == "layer_correlations":
        pixels = some_images(family.side, 4).pixels
        return correlate_layers(classifier, [pixels], model="m").num_rows > 0
    images, entry = some_images(family.side), asked(id)
    with torch.inference_mode():
        clean = classifier(images.pixels)
    images = replace(images, targets=clean.argmax(dim=1))
    conditions = conditions_of(entry, plan) or perturbation_of(id).conditions
    setting = Setting(tuple(conditions), severity_value(entry.severities[0]), 7, entry.options)
    found: dict[str, bool] = {}
    for outcome in evaluator_of(id)(classifier, images, setting):
        is_changed = outcome.logits.isfinite().all() and not torch.equal(outcome.logits, clean)
        found[outcome.condition] = found.get(outcome.condition, True) and bool(is_changed)
    with torch.inference_mode():  # the network is as before
        is_restored = torch.equal(classifier(images.pixels), clean)
    # What the last block hears from patches is lost on a head that reads the class token alone.
    unread = {"last"} if id == "patch_attention" else set()
    changed = {condition for condition, is_changed in found.items() if is_changed}
    return is_restored and set(found) == set(conditions) and changed >= set(conditions) - unread


@cache
def finding(family: Family, id: str) -> str:
    """Return ``yes``, or the reason why an experiment is not planned; raise where they disagree."""
    _, plan = small(family)
    reason = lacking(id, plan)
    try:
        works = changes(family, id)
    except ValueError as error:
        if reason is None:
            raise AssertionError(f"{family.name}: {id} is planned, but {error}") from error
        return reason
    if reason is not None or not works:
        raise AssertionError(f"{family.name}: {id} runs, changes {works}; planned: {reason}")
    return "yes"


def table() -> str:
    """Return the table of all families, and below it the reasons, each by a letter."""
    letters: dict[str, str] = {}
    rows = []
    for family in FAMILIES:
        cells = [family.title, f"`{family.name}`"]
        for id in COLUMNS:
            found = finding(family, id)
            if found == "yes":
                cells.append(_parts(family) if id == "lesions" else "yes")
            else:
                letter = letters.setdefault(found, "abcdefghijklmnop"[len(letters)])
                cells.append(f"no ({letter})")
        rows.append(f"| {' | '.join(cells)} |")
    head = [f"| {' | '.join(_TITLES)} |", f"|{'---|' * len(_TITLES)}"]
    reasons = [f"- ({letter}) {reason}" for reason, letter in letters.items()]
    return "\n".join([*head, *rows, "", *reasons])


def _parts(family: Family) -> str:
    parts = conditions_of(asked("lesions"), small(family)[1])
    return "blocks" if parts == ("block",) else "blocks, MLPs, attention"


def in_document() -> str:
    """Return the table of the committed document."""
    return DOCUMENT.read_text().partition(_START)[2].partition(_END)[0].strip()


def main() -> None:
    """Write the table into the document."""
    before, _, rest = DOCUMENT.read_text().partition(_START)
    after = rest.partition(_END)[2]
    DOCUMENT.write_text(f"{before}{_START}\n\n{table()}\n\n{_END}{after}")


if __name__ == "__main__":
    main()
