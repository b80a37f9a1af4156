"""Models that are trained several times in the charts of single models: the mean over the runs.

Tables have a row a run. Charts that are declared as those of runs take them as they are: they show
single runs, or values that stand for all runs already. In all other charts a model is one mark,
line or panel, whatever the number of its runs.
"""

from collections.abc import Mapping

import pandas as pd

# Columns that name a model.
_NAMES = ("model", "source", "target")
# Text that depends on the numbers of a run; the first run's stands for all.
_OF_A_RUN = ("warning",)


def has_runs(models: pd.DataFrame) -> bool:
    """Return whether a model of the table `models` is trained several times."""
    return "num_runs" in models and bool((models["num_runs"] > 1).any())


def over_runs(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the tables of a chart with the mean over the runs of each model.

    The ends of an interval are means, too. Such an interval covers the sampling of images, since
    the mean over runs varies no more with the images than a run does on average. It does not cover
    the sampling of runs.

    Parameters
    ----------
    tables : by name; `models` has the run of each model. Without it, or with one run of each, the
        tables are returned as they are.
    """
    models = tables.get("models")
    if models is None or not has_runs(models):
        return dict(tables)
    found = {name: _means(frame, models) for name, frame in tables.items() if name != "models"}
    return {**found, "models": entries_of(models)}


def entries_of(models: pd.DataFrame) -> pd.DataFrame:
    """Return the models without their further runs, labelled by their entries."""
    first = models[models["run"] == 1]
    return first.assign(architecture_label=first["entry_label"])


def _means(frame: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the entries, each the mean over those of its runs."""
    if "model" not in frame:
        return frame
    named = _by_entry(frame, models)
    texts = [name for name in _names(named, is_number=False) if name not in _OF_A_RUN]
    # Rows of one run that texts do not distinguish, such as epsilons, are in the same order in all.
    place = named.groupby([frame["model"], *texts], dropna=False).cumcount()
    groups = named.groupby([*(named[name] for name in texts), place], sort=False, dropna=False)
    means = groups.first()
    for name in _names(named, is_number=True):
        # A run without a value has no mean.
        mean = groups[name].mean().where(groups[name].count() == groups.size())
        is_whole = named[name].dtype.kind == "i" and bool((mean % 1 == 0).all())
        means[name] = mean.astype(named[name].dtype) if is_whole else mean
    return means.droplevel(-1).reset_index()[list(frame.columns)]


def _names(frame: pd.DataFrame, *, is_number: bool) -> list[str]:
    """Return the columns of numbers, or those of texts; flags are neither."""
    kinds = {str(name): kind for name, kind in frame.dtypes.items()}
    return [
        name
        for name, kind in kinds.items()
        if pd.api.types.is_numeric_dtype(kind) == is_number and not pd.api.types.is_bool_dtype(kind)
    ]


def _by_entry(frame: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with ids and labels of entries in place of those of their runs."""
    entry_of = dict(zip(models["model"], models["entry"], strict=True))
    label_of = dict(zip(models["architecture_label"], models["entry_label"], strict=True))
    # Some labels name the pre-training, too.
    titles = models["pretraining_label"].fillna("").map(" · {}".format)
    runs, entries = models["architecture_label"] + titles, models["entry_label"] + titles
    label_of |= dict(zip(runs, entries, strict=True))
    found = frame.copy()
    for name in map(str, frame.columns):
        if name in _NAMES:
            found[name] = frame[name].map(entry_of)
        elif name.endswith("_label"):
            found[name] = frame[name].map(lambda label: label_of.get(label, label))
    return found
