"""Which networks of a job are compiled: those whose passes take long enough to pay for it.

Compiling takes about a minute for passes without gradients and a minute for those with, and saves a
fraction of each pass. With `compile: auto` a network is compiled on a GPU if this fraction of its
passes takes longer than compiling; on a CPU it is not, as little is saved there. Passes through
networks that a perturbation changes are not compiled and do not count.
"""

from collections.abc import Iterable
from dataclasses import replace

from perturb.config import Config
from perturb.cost.networks import network_of
from perturb.cost.passes import passes_of
from perturb.cost.study import images_of
from perturb.evaluation.cell import Cell
from perturb.experiments.declaration import Passes
from perturb.experiments.registry import perturbation

# Of one kind of passes, with and without gradients: the full batches, and those of other sizes.
_COMPILATION_S = 60.0
# Assumed for ViT-B/16 at 224 px in bfloat16 on an H200. On a slower GPU compiling pays sooner.
_FLOPS_PER_S = 2.5e14
# Of the time of a pass. timm's published speeds (results/benchmark-infer-*, RTX PRO 6000) without
# compiling over those with it: .88 for ViT-B/16, .64 to .79 for BiT; the least is taken.
_SAVED = {"resnet": 0.21}
_SAVED_OF_OTHERS = 0.12


def compiled_models(config: Config, left: Iterable[Cell]) -> set[str]:
    """Return the models whose networks are compiled before some cells are evaluated.

    Networks of unknown FLOPs are compiled with `compile: true` alone.

    Parameters
    ----------
    left : cells of a job that are to be evaluated.
    """
    passes: dict[str, Passes] = {}
    for cell in dict.fromkeys(one for shown in left for one in (shown, _of_source(shown))):
        passes.setdefault(cell.model, Passes())
        if perturbation(cell.perturbation).changes == "input":
            num_images = images_of(config, cell) or 0
            passes[cell.model] += passes_of(config, cell).times(num_images)
    if config.compile != "auto":
        return set(passes) if config.compile else set()
    return {model for model, work in passes.items() if _pays(config, model, work)}


def _of_source(cell: Cell) -> Cell:
    """Return the cell of the model that makes the images of a cell."""
    return cell if cell.source is None else replace(cell, model=cell.source)


def _pays(config: Config, model: str, work: Passes) -> bool:
    network = network_of(config, config.models[model])
    if config.device != "cuda" or network.forward_flops is None:
        return False
    seconds = (work.forward + work.backward) * network.forward_flops / _FLOPS_PER_S
    num_compiled = (work.predictions > 0) + (work.gradients > 0)
    return seconds * _SAVED.get(network.family, _SAVED_OF_OTHERS) > num_compiled * _COMPILATION_S
