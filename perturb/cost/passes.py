"""Number of passes through the network per image, for each perturbation.

A pass is one image through the whole network; parts of a network are fractions of a pass. Where the
code shares work (lesions with a common beginning, tokens before the cut) the shared work is counted
once. Where the work depends on the predictions, the number is an upper bound: it assumes that every
attack takes all its steps, and that no point of the spatial grid is misclassified.
"""

from perturb.config import Config
from perturb.evaluate.cell import Cell
from perturb.experiments.declaration import Asked, Passes
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
    return perturbation(cell.perturbation).passes(asked)
