"""Predictions of a classifier without some of its layers, for many lesions at once.

Lesions agree up to the first layer that only some of them remove, so they are the leaves of a tree
whose branches separate at that layer; every stretch of it is computed once for all lesions beyond
it. The tree contains all conditions and samples of a cell; its trunk is the unchanged network.
Lesions can also share part of a block: the output of a block without its MLP is the state of the
unchanged block after its attention. Networks of which only the blocks are known run as a whole for
each lesion. The network's own blocks run in their order, so a lesion's
logits equal those of `without` from the pixels bit for bit, except where the head reads only the
class token: the few rows of the last block computed then may be rounded differently (see `steps`).

Memory: the tree is walked depth first. For each layer removed so far, at most three activations of
one layer are kept (one, where a cell has one condition), in addition to one forward pass and the
logits of all lesions.

Legend: B images, N tokens, D width, K classes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Outcome, Setting
from perturb.experiments.lesions.plans import head_sets, lesion_sets
from perturb.experiments.lesions.steps import Steps
from perturb.experiments.lesions.surgery import (
    attention_of,
    blanked,
    check_lesions,
    replaced_forward,
    without,
)
from perturb.experiments.setting import checked_options, whole
from perturb.models.anatomy import anatomy
from perturb.models.classifier import Classifier


@dataclass(frozen=True)
class _Lesion:
    """The part and the blocks that one sample of one condition removes."""

    condition: str
    sample: int
    blocks: tuple[int, ...]

    def part_at(self, block: int) -> str:
        """Return the part removed from this block, ``""`` if none."""
        return self.condition if block in self.blocks else ""


@torch.inference_mode()
def lesion_outcomes(classifier: Classifier, images: Images, setting: Setting) -> Iterator[Outcome]:
    """Yield the predictions without n blocks, MLPs or attention layers; evaluates ``lesions``.

    The conditions are the parts of a block: ``block``, ``mlp``, ``attention``; of ResNets ``block``
    alone. The samples and the blocks they remove are those of `plans.lesion_sets`; column
    ``removed`` names the blocks, such as ``2,5,7``.

    Parameters
    ----------
    setting : its severity is n; option ``samples`` is the number of sets drawn where n > 1.

    Raises
    ------
    ValueError
        For an unknown condition or option, an n for which the network has too few blocks, or a
        network whose blocks are unknown or have no such part.
    """
    samples = checked_options("lesions", setting)["samples"]
    num_removed = whole("number of removed blocks of lesions", setting.severity, 0)
    body = anatomy(classifier.network)
    lesions = []
    for condition in setting.conditions:
        check_lesions(body, body.removable, condition)
        sets = lesion_sets(body.removable, num_removed, samples, setting.seed, condition)
        lesions += [_Lesion(condition, sample, blocks) for sample, blocks in sets.items()]
    if body.is_staged:
        steps = Steps(body, is_exact=num_removed == 0)
        logits = dict(_walk(steps, body.embed(classifier, images.pixels), lesions))
    else:
        logits = dict(_whole_passes(classifier, images.pixels, lesions))
    for lesion in lesions:
        removed = ",".join(map(str, lesion.blocks))
        yield Outcome(lesion.condition, lesion.sample, logits[lesion].float(), {"removed": removed})


@torch.inference_mode()
def head_outcomes(classifier: Classifier, images: Images, setting: Setting) -> Iterator[Outcome]:
    """Yield the predictions without each single attention head; evaluates ``heads``.

    Samples count through the heads block by block; column ``removed`` names block and head, such as
    ``4.1``. The outputs of a block's heads are computed once for all of its heads.

    Parameters
    ----------
    setting : its severity is 1 and its condition ``head``; there are no options.

    Raises
    ------
    ValueError
        For another setting, or a network without separate attention heads.
    """
    checked_options("heads", setting)
    whole("severity of heads", setting.severity, 1, 1)
    body = anatomy(classifier.network)
    samples = {
        heads: sample for sample, heads in head_sets(body.num_blocks, body.num_heads).items()
    }
    attentions = [attention_of(body, index) for index in range(body.num_blocks)]
    steps = Steps(body)
    activations = body.embed(classifier, images.pixels)
    for index, attention in enumerate(attentions):
        with _recorded_input(attention.proj) as recorded:
            following = steps.attend(index, activations)
        for head in range(body.num_heads):
            with _given_heads(attention, blanked(recorded[0], head, body.num_heads)):
                damaged = steps.mlp(index, steps.attend(index, activations))
            for later in range(index + 1, body.num_blocks):
                damaged = steps.block(later, damaged)
            logits = body.head(damaged).float()
            yield Outcome("head", samples[index, head], logits, {"removed": f"{index}.{head}"})
        activations = steps.mlp(index, following)


def _whole_passes(
    classifier: Classifier, pixels: Tensor, lesions: Sequence[_Lesion]
) -> Iterator[tuple[_Lesion, Tensor]]:
    """Yield each lesion's logits (B, K), by a pass of its own."""
    for lesion in lesions:
        with without(classifier, lesion.blocks, lesion.condition):
            yield lesion, classifier(pixels)


def _walk(
    steps: Steps, activations: Tensor, lesions: Sequence[_Lesion], start: int = 0
) -> Iterator[tuple[_Lesion, Tensor]]:
    """Yield each lesion's logits (B, K), given the input of block ``start`` that they share."""
    for index in range(start, steps.body.num_blocks):
        groups: dict[str, list[_Lesion]] = {}
        for lesion in lesions:
            groups.setdefault(lesion.part_at(index), []).append(lesion)
        lesions = groups.pop("", [])
        parting = {part: steps.without(index, part, activations) for part in groups}
        if lesions and "mlp" in parting:  # the attention has been run already
            activations = steps.mlp(index, parting["mlp"])
        elif lesions:
            activations = steps.block(index, activations)
        for part, group in groups.items():
            yield from _walk(steps, parting.pop(part), group, index + 1)
    if lesions:
        logits = steps.body.head(activations)
        yield from ((lesion, logits) for lesion in lesions)


@contextmanager
def _recorded_input(module: nn.Module) -> Iterator[list[Tensor]]:
    """Yield a list that records the input of the module."""
    recorded: list[Tensor] = []
    with module.register_forward_pre_hook(lambda _, args: recorded.append(args[0])):
        yield recorded


@contextmanager
def _given_heads(attention: Any, outputs: Tensor) -> Iterator[None]:
    """Replace the head outputs of an attention module, so that only its projection runs."""

    def project(*_: object, **__: object) -> Tensor:
        projected: Tensor = attention.proj_drop(attention.proj(outputs))
        return projected

    with replaced_forward(attention, project):
        yield
