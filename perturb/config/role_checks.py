"""Checks of what there is one of: the denominator of mCE, the dataset with decisions of people."""

from collections.abc import Iterator

from perturb.config.paths import REFUSED
from perturb.messages import listed
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

    The errors of the first one divide those of the models under test in mCE.
    """
    references = [model.id for model in config.models.values() if model.is_reference]
    filtering = {id for dataset in config.datasets.values() for id in dataset.filter_models}
    unused = [id for id in references[1:] if id not in filtering]
    if unused and config.is_whole("datasets"):
        yield (
            f"models: {listed(unused)} with `role: reference` filter no dataset; allowed besides "
            f"those that do: one, the denominator of mCE, here {references[0]!r}"
        )
    corruptions = config.corruptions
    if not config.is_whole("models"):
        return
    if corruptions and corruptions.denominators == "reference" and not references:
        yield (
            f"perturbations.{corruptions.key}.denominators: 'reference' needs a model with "
            "`role: reference`; allowed without one: none, and on ImageNet alexnet"
        )
    if len(references) == len(config.models):
        yield "models: at least one with `role: benchmark` is needed"
