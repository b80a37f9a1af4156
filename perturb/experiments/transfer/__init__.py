"""Transfer of adversarial images from one model to another."""

from collections.abc import Iterator

from perturb.experiments.attacks.checks import check_epsilons, check_pgd, check_restarts
from perturb.experiments.attacks.passes import descents
from perturb.experiments.declaration import Asked, Experiment, Passes, Perturbation
from perturb.experiments.shared_pixels import check_shared_pixels
from perturb.records import Config


def _passes(asked: Asked) -> Passes:
    """Every target predicts once; the examples are made once, in the source's own cell."""
    predicted = Passes(predictions=1)
    return predicted + descents(asked, knows_first=False) if asked.is_source else predicted


def _check(config: Config) -> Iterator[str]:
    transfer = config.perturbations.get("transfer")
    if transfer is None:
        return
    yield from check_pgd("transfer", config)
    yield from check_epsilons(transfer)
    yield from check_restarts(transfer)
    yield from check_shared_pixels("perturbations.transfer.datasets", transfer.datasets, config)


EXPERIMENT = Experiment(
    title="Transfer of adversarial images",
    perturbations=(
        Perturbation(
            id="transfer",
            protocol=1,
            evaluator=None,
            passes=_passes,
            severities="epsilons",
        ),
    ),
    checks=_check,
)
