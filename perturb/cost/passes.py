"""Number of passes through the network per image, for each perturbation.

A pass is one image through the whole network; parts of a network are fractions of a pass. Where the
code shares work (lesions with a common beginning, tokens before the cut) the shared work is counted
once. Where the work depends on the predictions, the number is an upper bound: it assumes that every
attack takes all its steps, and that no point of the spatial grid is misclassified.
"""

from perturb.config import Config
from perturb.evaluation.cell import Cell
from perturb.experiments.declaration import Asked, Passes
from perturb.experiments.possible import samples_of
from perturb.experiments.registry import perturbation


def passes_of(config: Config, cell: Cell) -> Passes:
    """Return the passes of one image of a cell."""
    asked = Asked(
        config.perturbations[cell.perturbation],
        cell.severity_value,
        config.models[cell.model].architecture,
        config.seed,
        is_source=cell.source in (None, cell.model),
    )
    passes = perturbation(cell.perturbation).passes
    if passes is not None:
        return passes(asked)
    samples = samples_of(asked.entry, asked.severity, asked.architecture, asked.seed)
    return Passes(predictions=sum(map(len, samples.values())))
