"""Checks of what there is one of: the denominator of mCE, the dataset with decisions of people."""

from collections.abc import Iterator, Sequence

from perturb.config.paths import REFUSED
from perturb.messages import did_you_mean, listed
from perturb.records import Config


def check_decisions(config: Config) -> Iterator[str]:
    """Check that people decided on one dataset: trials name an image, but not its dataset."""
    decided = [dataset.id for dataset in config.datasets.values() if dataset.decisions]
    if len(decided) > 1:
        yield f"datasets: several have `decisions`: {listed(decided)}; allowed: one"
    for id in decided:
        dataset, unchanged = config.datasets[id], config.perturbations.get("none")
        # A clean set that is not evaluated is a mistake of its own.
        if unchanged and dataset.role != "clean" and id not in unchanged.datasets:
            yield f"datasets.{id}.decisions: {id!r} is not among perturbations.none.datasets"
        for place, file in enumerate(dataset.decisions):
            if not set(REFUSED).isdisjoint(file):
                yield (
                    f"datasets.{id}.decisions.{place}: {file!r}: none of {' '.join(REFUSED)} can "
                    "be in its path: Snakemake and DuckDB read them as patterns"
                )


def check_reference(config: Config) -> Iterator[str]:
    """Check that every reference has a purpose, and that there are models under test beside them.

    The errors of one divide those of the models under test in mCE; others filter datasets.
    """
    references = [model.id for model in config.models.values() if model.is_reference]
    if config.is_whole("models"):
        yield from _check_denominators(config, references)
        if len(references) == len(config.models):
            yield "models: at least one with `role: benchmark` is needed"
    filtering = {id for dataset in config.datasets.values() for id in dataset.filter_models}
    divides = config.reference.id if config.reference else None
    for id in references:
        if id not in {divides, *filtering} and config.is_whole("datasets"):
            yield (
                f"models.{id}.role: 'reference', but it filters no dataset; allowed without: one, "
                f"the denominator of mCE, here {divides!r}"
            )


def _check_denominators(config: Config, references: Sequence[str]) -> Iterator[str]:
    corruptions = config.corruptions
    given = corruptions.denominators if corruptions else None
    if corruptions is None or given in ("alexnet", "none", *references):
        return
    key = f"perturbations.{corruptions.key}.denominators"
    if given != "reference":
        allowed = ("alexnet", "none", "reference", *references)
        yield f"{key}: {given!r} is not one of {listed(allowed)}.{did_you_mean(given, allowed)}"
    elif not references:
        yield (
            f"{key}: 'reference' needs a model with `role: reference`; allowed without one: none, "
            "and on ImageNet alexnet"
        )
    elif len(references) > 1:
        yield f"{key}: 'reference', but there are several; allowed: one of {listed(references)}"
