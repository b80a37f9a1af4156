"""How many passes through its network an image costs under each perturbation.

A pass is one image through the whole network; parts of a network are fractions of a pass. Where the
code shares work (lesions with a common beginning, tokens before the cut) the shared work is counted
once. Where the work depends on what is decided, the number is an upper bound: an attack is taken to
end on no image before its last step, the spatial grid to have no point that misleads.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perturb.config import Config
from perturb.evaluate.cell import Cell
from perturb.experiments.lesions.plans import lesion_sets, removable_blocks
from perturb.experiments.possible import conditions_of
from perturb.records import Architecture, PerturbationEntry

# Queries, keys and values, of an attention's weights.
_PROJECTED_SHARE = 3 / 4
# The part that a lesion removes, and of which blocks.
_Lesion = tuple[str, frozenset[int]]


@dataclass(frozen=True)
class Passes:
    """Passes of one image.

    decisions : forward passes without a gradient.
    gradients : forward passes followed by a backward pass to the pixels, weights frozen.
    corruptions : corrupted images that are computed; no pass, but work.
    """

    decisions: float = 0.0
    gradients: float = 0.0
    corruptions: float = 0.0

    def __add__(self, other: "Passes") -> "Passes":
        return Passes(
            self.decisions + other.decisions,
            self.gradients + other.gradients,
            self.corruptions + other.corruptions,
        )

    def times(self, count: float) -> "Passes":
        """Return the passes of so many images."""
        return Passes(self.decisions * count, self.gradients * count, self.corruptions * count)

    @property
    def forward(self) -> float:
        """All forward passes."""
        return self.decisions + self.gradients

    @property
    def backward(self) -> float:
        """All backward passes."""
        return self.gradients


@dataclass(frozen=True)
class Asked:
    """One cell: a perturbation at one severity, of one network."""

    cell: Cell
    perturbation: PerturbationEntry
    architecture: Architecture
    seed: int

    @property
    def severity(self) -> float:
        """The natural value of the severity."""
        return self.cell.severity_value

    def option(self, name: str) -> int:
        """Return an option that is a count; the configuration has filled in its default."""
        return int(self.perturbation.options[name])


def passes_of(config: Config, cell: Cell) -> Passes:
    """Return the passes of one image of a cell.

    Raises
    ------
    ValueError
        For a perturbation that no function here counts.
    """
    perturbation = config.perturbations[cell.perturbation]
    if perturbation.key not in _COUNTED:
        raise ValueError(f"perturbation {perturbation.key!r}: its passes are not counted yet")
    architecture = config.models[cell.model].architecture
    asked = Asked(cell, perturbation, architecture, config.seed)
    return _COUNTED[perturbation.key](asked)


def _one(_: Asked) -> Passes:
    return Passes(decisions=1)


def _corruptions(asked: Asked) -> Passes:
    count = len(asked.perturbation.conditions)
    return Passes(decisions=count, corruptions=count)


def _stored_corruptions(asked: Asked) -> Passes:
    return Passes(decisions=len(asked.perturbation.conditions))


def _fgsm(_: Asked) -> Passes:
    """One decision on the clean image, its gradient, the verdict."""
    return Passes(decisions=2, gradients=1)


def _pgd(asked: Asked) -> Passes:
    """As FGSM; the clean gradient is the first step's, unless the start is random."""
    return Passes(decisions=2) + _descents(asked, knows_first=True)


def _descents(asked: Asked, *, knows_first: bool) -> Passes:
    """Return what PGD's steps cost: all restarts, and the decisions between them."""
    steps, restarts = asked.option("steps"), asked.option("restarts")
    is_random = bool(asked.perturbation.options["random_start"])
    clean = 1 if knows_first and is_random else 0
    return Passes(decisions=restarts - 1, gradients=clean + steps * restarts)


def _ensemble(asked: Asked) -> Passes:
    """The clean decision and its gradient; then two or three attacks, each with its verdict.

    A run of APGD takes a gradient at its start and after each step; between runs it is decided
    which images still stand. The targeted form first asks which classes are likely.
    """
    run, restarts = asked.option("steps") + 1, asked.option("restarts")
    has_dlr = "apgd_dlr" in asked.perturbation.conditions
    runs = (restarts, asked.option("targets") * restarts) if has_dlr else (restarts,)
    between = sum(count - 1 for count in runs)
    verdicts, likely_classes = len(asked.perturbation.conditions), int(has_dlr)
    return Passes(
        decisions=1 + between + likely_classes + asked.option("queries") + verdicts,
        gradients=1 + run * sum(runs),
    )


def _spatial(asked: Asked) -> Passes:
    points = asked.option("rotations") * asked.option("translations") ** 2
    return Passes(decisions=points + asked.option("samples"))


def _transfer(asked: Asked) -> Passes:
    """Every target decides once; the examples are made once, which is the source's own cell's."""
    decided = Passes(decisions=1)
    is_own = asked.cell.source == asked.cell.model
    return decided + _descents(asked, knows_first=False) if is_own else decided


def _heads(asked: Asked) -> Passes:
    """The unchanged network; for each head the rest of its block, and all later ones."""
    arguments = asked.architecture.arguments
    depth, num_heads = int(arguments["depth"]), int(arguments["num_heads"])
    rest_of_block = 1 - _PROJECTED_SHARE * _attention_share(arguments)
    blocks = sum(rest_of_block + later for later in range(depth))
    return Passes(decisions=1 + num_heads * blocks / depth)


def _attention_distance(asked: Asked) -> Passes:
    return Passes(decisions=1 + asked.option("seeds"))


def _patch_cls(asked: Asked) -> Passes:
    return Passes(decisions=len(asked.perturbation.conditions))


def _tokens(asked: Asked) -> Passes:
    """What comes before the cut once; after it the tokens that are left, for every sample.

    For the class token's attention queries, keys and values are computed once more.
    """
    arguments = asked.architecture.arguments
    depth = int(arguments["depth"])
    after = asked.perturbation.options["after_block"]
    before = (max(1, depth // 3) if after is None else int(after)) / depth
    samples = 1 + asked.option("seeds")
    again = _PROJECTED_SHARE * _attention_share(arguments) / depth
    return Passes(decisions=before + again + samples * (1 - before) * (1 - asked.severity))


def _lesions(asked: Asked) -> Passes:
    """Every stretch of the network once for all lesions that begin alike, blocks taken as equal."""
    family, arguments = asked.architecture.family, asked.architecture.arguments
    removable = removable_blocks(family, arguments)
    count, samples = int(asked.severity), asked.option("samples")
    lesions = [
        (part, frozenset(blocks))
        for part in conditions_of(asked.perturbation, asked.architecture)
        for blocks in lesion_sets(removable, count, samples, asked.seed, part).values()
    ]
    num_blocks = int(arguments["depth"]) if family == "vit" else sum(arguments["layers"])
    attention = _attention_share(arguments)
    run_without = {"block": 0.0, "mlp": attention, "attention": 1 - attention}
    return Passes(decisions=_walked(lesions, 0, num_blocks, run_without) / num_blocks)


def _walked(
    lesions: Sequence[_Lesion], start: int, num_blocks: int, run_without: Mapping[str, float]
) -> float:
    """Return how many blocks are run for lesions that are alike before block `start`.

    The walk is that of `lesion_outcomes`. `run_without` says what is run of a block that loses a
    part, as a share of the block.
    """
    walked = 0.0
    for index in range(start, num_blocks):
        groups: dict[str, list[_Lesion]] = {"": []}
        for part, blocks in lesions:
            groups.setdefault(part if index in blocks else "", []).append((part, blocks))
        lesions = groups.pop("")
        walked += sum(run_without[part] for part in groups)
        walked += sum(
            _walked(group, index + 1, num_blocks, run_without) for group in groups.values()
        )
        if not lesions:
            break
        # A block without its MLP is where the whole one stands after its attention.
        walked += run_without["attention"] if "mlp" in groups else 1
    return walked


def _attention_share(arguments: Mapping[str, Any]) -> float:
    """Return the attention's share of a ViT's block: 4 D^2 weights beside 2 D M of the MLP."""
    return 4 / (4 + 2 * float(arguments.get("mlp_ratio", 4)))


_COUNTED: Mapping[str, Callable[[Asked], Passes]] = {
    "none": _one,
    "class_subset": _one,
    "corruptions": _corruptions,
    "stored_corruptions": _stored_corruptions,
    "fgsm": _fgsm,
    "pgd": _pgd,
    "ensemble": _ensemble,
    "spatial": _spatial,
    "transfer": _transfer,
    "lesions": _lesions,
    "heads": _heads,
    "attention_distance": _attention_distance,
    "patch_cls": _patch_cls,
    "tokens": _tokens,
}
