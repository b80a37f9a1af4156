"""A paragraph for the methods section of a paper, made from the configuration and the tables.

An experiment says its part in the `methods.txt` of its folder, a template over the entries of the
configuration. Models, datasets, statistics and reproduction are said here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import jinja2
import pyarrow as pa

from perturb.experiments import registry
from perturb.formatting import formatted, listed
from perturb.page.references import has_numbers
from perturb.records import Config, PerturbationEntry
from perturb.severities import severity_value
from perturb.version import __version__

Row = Mapping[str, Any]

_FILE = "methods.txt"
_FAMILIES = {"vit": "ViT", "resnet": "ResNet", "other": "other network"}
_GRAY_LEVELS = 255
# On a CPU, `auto` is float32 when the configuration is loaded.
_PRECISIONS = {
    "auto": "bfloat16 (of ViTs with bfloat16 weights, of other networks by autocast)",
    "bfloat16": "bfloat16 by autocast",
    "pure_bfloat16": "bfloat16, weights but those of the last layer included",
}
# So many tags of weights are named; of more, the number is given.
_NUM_TAGS = 4
# So many whole numbers in a row are a range.
_LEAST_RANGE = 4


@dataclass(frozen=True)
class Described:
    """An entry of the configuration, in the words of a sentence.

    values : natural values of the severities, the weakest first.
    severities : the same as text.
    epsilons : the same, in gray levels of 255 where they are such.
    images : how many images of which datasets.
    """

    id: str
    conditions: tuple[str, ...]
    values: list[float]
    severities: list[str]
    epsilons: list[str]
    images: str
    denominators: str | None
    options: Mapping[str, Any] = field(default_factory=dict)


def methods_text(study: Config, found: Mapping[str, pa.Table], datasets: Sequence[Row]) -> str:
    """Return the paragraph.

    Parameters
    ----------
    found : the study's tables.
    datasets : facts about the evaluated datasets: label, num_images, num_classes.
    """
    sentences = [
        _models(study, found["models"].to_pylist()),
        _datasets(datasets),
        *_experiments(study, found),
        "All models see the same images. Accuracy is top-1, with Wilson's 95 % interval; where an "
        "image has several predictions, intervals are clustered by image, and differences of "
        "models are paired by image.",
        _reproduction(study, found["runs"].to_pylist()),
    ]
    return " ".join(filter(None, sentences))


def _models(study: Config, rows: Sequence[Row]) -> str:
    compared = [row for row in rows if not row["is_reference"] and row["run"] == 1]
    counts = {
        family: sum(row["family"] == family for row in compared) for family in dict(_FAMILIES)
    }
    kinds = listed(
        [
            f"{count} {_FAMILIES[family]}{'s' if count > 1 else ''}"
            for family, count in counts.items()
            if count
        ]
    )
    sizes = [row["num_parameters"] for row in compared]
    low, high = (formatted(end(sizes), "parameters") for end in (min, max))
    size = f"{low} parameters" if low == high else f"{low} to {high} parameters"
    runs = max((row["num_runs"] for row in compared), default=1)
    again = f", each trained up to {runs} times" if runs > 1 else ""
    return f"We evaluated {kinds} ({size}){again}, {_weights(study)}."


def _weights(study: Config) -> str:
    models = [study.models[id] for id in study.benchmark_models]
    sets = dict.fromkeys(model.pretraining.label for model in models if model.pretraining)
    of = f" (pre-training sets: {listed(list(sets))})" if sets else ""
    trained = sum(model.weights is None for model in models)
    if trained == len(models):
        return f"trained in this study{of}"
    if trained:
        return f"{trained} of them trained in this study, the others with given weights{of}"
    tags = list(dict.fromkeys(tag for model in models if (tag := model.timm_tag)))
    if not tags:
        return f"with given weights{of}"
    named = listed(tags) if len(tags) <= _NUM_TAGS else f"of {len(tags)} tags"
    return f"with timm's pretrained weights {named}{of}"


def _datasets(rows: Sequence[Row]) -> str:
    parts = [
        f"{row['label']} ({formatted(row['num_images'], 'count')} images of {row['num_classes']} "
        "classes)"
        for row in rows
    ]
    return f"The test sets are {listed(parts)}." if parts else ""


def _experiments(study: Config, found: Mapping[str, pa.Table]) -> list[str]:
    """Return the sentences of every experiment that has some for this study."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(registry.FOLDER),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    environment.filters |= {"listed": listed, "ranged": _ranged}
    entries = {id: _described(study, entry) for id, entry in study.perturbations.items()}
    data = {
        "study": study,
        "entries": list(entries.values()),
        "by_id": dict.fromkeys(registry.perturbations()) | entries,
        "numbers": {name for name, table in found.items() if has_numbers(table)},
    }
    names = [name for name in registry.experiments() if (registry.FOLDER / name / _FILE).is_file()]
    texts = (environment.get_template(f"{name}/{_FILE}").render(data) for name in names)
    return [" ".join(text.split()) for text in texts]


def _described(study: Config, entry: PerturbationEntry) -> Described:
    labels = listed([study.datasets[id].label for id in entry.datasets])
    count = entry.num_images
    values = [severity_value(severity) for severity in entry.severities]
    return Described(
        id=entry.id,
        conditions=entry.conditions,
        values=values,
        severities=_ranged(values),
        epsilons=[
            f"{round(value * _GRAY_LEVELS, 6):g}/255" if "_" in severity else f"{value:g}"
            for severity, value in zip(entry.severities, values, strict=True)
        ],
        images=f"all images of {labels}" if count is None else f"{count:,} images of {labels}",
        denominators=entry.denominators,
        options=entry.options,
    )


def _ranged(values: Sequence[float]) -> list[str]:
    """Return numbers as text; whole numbers in a row as a range."""
    is_row = all(after - before == 1 for before, after in pairwise(values))
    if len(values) >= _LEAST_RANGE and is_row and values[0] % 1 == 0:
        return [f"{values[0]:g} to {values[-1]:g}"]
    return [f"{value:g}" for value in values]


def _reproduction(study: Config, runs: Sequence[Row]) -> str:
    devices, versions, commits = (
        ", ".join(dict.fromkeys(row[column] for row in runs if row[column]))
        for column in ("devices", "versions", "commits")
    )
    precision = _PRECISIONS.get(study.precision, study.precision)
    return (
        f"Computation was in {precision}, on {devices}, with {versions} and Perturb "
        f"{__version__} (commit {commits}). "
        f"Every random number follows from the seed {study.seed} and its purpose."
    )
