"""Transfer of adversarial images from one model to another."""

from collections.abc import Iterator

from perturb.experiments.attacks.checks import check_epsilons, check_pgd, check_restarts
from perturb.experiments.attacks.passes import descents
from perturb.experiments.declaration import (
    Asked,
    Chart,
    Experiment,
    Passes,
    Perturbation,
    Pivot,
    Table,
)
from perturb.experiments.shared_pixels import check_shared_pixels
from perturb.records import Config


def _passes(asked: Asked) -> Passes:
    """Return passes: one prediction per target; the source's own cell makes the examples."""
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
            references=("madry2018towards", "papernot2016transferability"),
            protocol=1,
            evaluator=None,
            passes=_passes,
            severities="epsilons",
            severity_label="%g/255",
            severity_scale=255.0,
            uses=("pgd",),
        ),
    ),
    checks=_check,
    tables=(
        Table(
            "transfer",
            title="Transfer of adversarial images",
            relations=("transfer_predictions",),
            shown=("target_label", "epsilon_label", "clean_accuracy"),
            pivot=Pivot("source_label", "accuracy", ("target",)),
            reads=("none", "transfer"),
            needs=("transfer",),
        ),
        Table(
            "transfer_means",
            title="Transfer within and between families",
            relations=("transfer_predictions",),
            shown=(
                "relation",
                "source_family",
                "target_family",
                "epsilon_label",
                "num_pairs",
                "num_images",
                "accuracy",
                "accuracy_lost",
            ),
            reads=("none", "transfer"),
            needs=("transfer",),
            on_page=True,
        ),
    ),
    charts=(
        Chart(
            "transfer_heatmap",
            title="Transfer of adversarial images",
            tables=("transfer",),
            empty="No model was evaluated on images that were computed against a model.",
            note="perturb.charts.notes:epsilon_and_images",
        ),
    ),
    shows="perturb.experiments.transfer.shows:within_and_between",
)
