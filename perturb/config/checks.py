"""Checks beyond the schema: references between entries, and consistency of the study."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import jsonschema

from perturb.config.class_checks import check_classes
from perturb.config.perturbation_checks import check_perturbations
from perturb.config.role_checks import check_decisions, check_reference
from perturb.config.schema import schema
from perturb.config.source_checks import check_source, check_views
from perturb.config.walk import Key, named
from perturb.datasets.real.bundled_sets import BUNDLED_SIDE
from perturb.datasets.synthetic.family import SIDE
from perturb.experiments.registry import perturbations, test_sets
from perturb.messages import did_you_mean, each, listed
from perturb.models.timm_table import known_architectures
from perturb.records import Config, Dataset, Model, Pretraining

# Ids with another meaning in a path or a table.
RESERVED_IDS = frozenset({"none", "all", "clean", "con", "nul", "aux", "prn"})

# The predictions on a dataset of such an id would be pooled with those of the test set or change.
RESERVED_DATASET_IDS = frozenset({*test_sets(), *perturbations()})


def check_references(raw: Mapping[str, Any], ids: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Yield a message for each id that is not allowed or refers to nothing.

    Parameters
    ----------
    ids : of each section that could be read, those of entries with mistakes included.
    """
    for section, entries in ids.items():
        if section not in ("perturbations", "analyses"):
            yield from _check_ids(section, entries)
    for key, value, section in references(raw):
        if section in ids and value not in ids[section]:
            others = known_architectures() if key[-1] == "architecture" else ()
            allowed = [*ids[section], *(["a name in timm"] if others else [])]
            yield (
                f"{named(key)}: there is no entry {value!r} under `{section}`; "
                f"allowed: {listed(allowed)}.{did_you_mean(value, [*ids[section], *others])}"
            )


def _check_ids(section: str, entries: Iterable[str]) -> Iterator[str]:
    pattern = schema()["$defs"]["id"]
    validator = jsonschema.Draft202012Validator(pattern)
    folded: dict[str, str] = {}
    for id in entries:
        if not validator.is_valid(id):
            yield f"{section}: the id {id!r} is not allowed. {pattern['description']}"
            continue
        if id.lower() in RESERVED_IDS:
            yield f"{section}: the id {id!r} is reserved; any but {listed(sorted(RESERVED_IDS))}"
        if folded.setdefault(id.lower(), id) != id:
            yield (
                f"{section}: the ids {folded[id.lower()]!r} and {id!r} differ only in case; "
                "some file systems would store them in one place"
            )


def references(raw: Mapping[str, Any]) -> Iterator[tuple[Key, str, str]]:
    """Yield (key, value, section in which the value must be an entry)."""
    for id, dataset in raw["datasets"].items():
        if "filter" in dataset:
            key: Key = ("datasets", id, "filter")
            yield (*key, "dataset"), dataset["filter"]["dataset"], "datasets"
            wrong_by = dataset["filter"]["wrong_by"]
            if isinstance(wrong_by, str):
                yield (*key, "wrong_by"), wrong_by, "models"
            else:
                yield from (
                    ((*key, "wrong_by", place), model, "models")
                    for place, model in enumerate(wrong_by)
                )
    for id, entry in raw["pretraining"].items():
        if "dataset" in entry:
            yield ("pretraining", id, "dataset"), entry["dataset"], "datasets"
    trainings: dict[Key, Any] = {("training",): raw.get("training")}
    for id, model in raw["models"].items():
        yield ("models", id, "architecture"), model["architecture"], "architectures"
        if "pretraining" in model:
            yield ("models", id, "pretraining"), model["pretraining"], "pretraining"
        trainings["models", id, "training"] = model.get("training")
    for key, training in trainings.items():
        for name in ("dataset", "validation"):
            if training is not None:
                yield (*key, name), training[name], "datasets"
    for id, perturbation in raw["perturbations"].items():
        for position, dataset in enumerate(perturbation["datasets"]):
            yield ("perturbations", id, "datasets", position), dataset, "datasets"
    for name, analysis in raw.get("analyses", {}).items():
        yield ("analyses", name, "dataset"), analysis["dataset"], "datasets"
        for position, model in enumerate(analysis.get("models", ())):
            yield ("analyses", name, "models", position), model, "models"


def check_study(config: Config) -> Iterator[str]:
    """Yield a message for each inconsistency of the study."""
    yield from each(
        _check_labels("datasets", config.datasets.values()),
        _check_labels("pretraining", config.pretraining.values()),
        *(_check_names(dataset) for dataset in config.datasets.values()),
        *(_check_dataset(dataset, config) for dataset in config.datasets.values()),
        *(_check_stream(dataset, config) for dataset in config.datasets.values()),
        _check_published(config),
        check_decisions(config),
        *(_check_model(model) for model in config.models.values()),
        *(_check_side(model, config) for model in config.models.values()),
        check_reference(config),
    )
    clean = [dataset.id for dataset in config.datasets.values() if dataset.role == "clean"]
    if len(clean) > 1 or (not clean and config.is_whole("datasets")):
        yield f"datasets: exactly one needs `role: clean`; found: {listed(clean)}"
    elif clean:
        yield from each(check_views(config), check_classes(config), check_perturbations(config))


def _check_published(config: Config) -> Iterator[str]:
    published = [dataset.published for dataset in config.datasets.values() if dataset.published]
    for name in dict.fromkeys(published):
        if published.count(name) > 1:
            yield f"datasets: several are {name!r} by `published`; allowed: one"


def _check_labels(section: str, entries: Iterable[Dataset | Pretraining]) -> Iterator[str]:
    labels: dict[str, str] = {}
    for entry in entries:
        first = labels.setdefault(entry.label, entry.id)
        if first != entry.id:
            yield f"{section}.{entry.id}.label: {entry.label!r} is also the label of {first!r}"


def _check_names(dataset: Dataset) -> Iterator[str]:
    """Yield a message for each dataset that tables could not distinguish from another test set."""
    # A dataset whose id is its role is that test set.
    if dataset.id.lower() in RESERVED_DATASET_IDS - {dataset.role}:
        yield (
            f"datasets.{dataset.id}: the id is also that of a test set or a perturbation, among "
            "whose predictions tables would count those on this set; any but "
            f"{listed(sorted(RESERVED_DATASET_IDS))}"
        )
    labels = [test_set.label for test_set in test_sets().values()]
    # Tables append how the images were made, in brackets, to labels of corruptions.
    is_taken = any(
        dataset.label == label or dataset.label.startswith(f"{label} (") for label in labels
    )
    if dataset.role == "extra" and is_taken:
        yield (
            f"datasets.{dataset.id}.label: {dataset.label!r} is also the label of another test "
            f"set, beside which tables show this one; any but {listed(labels)}"
        )


def _check_dataset(dataset: Dataset, config: Config) -> Iterator[str]:
    key = f"datasets.{dataset.id}"
    origins = ("generate", "filter", "bundled", "source")
    given = [name for name in origins if getattr(dataset, name) is not None]
    if len(given) != 1:
        yield f"{key}: exactly one of {listed(origins)} is needed; found: {listed(given)}"
    if dataset.generate is not None and dataset.num_images is None:
        yield f"{key}.images: missing; needed with `generate`"
    if dataset.filter is not None and dataset.num_images is not None:
        yield f"{key}.images: not allowed with `filter`; the filter determines the number of images"
    for name, value in (("preprocessing", dataset.view), ("classes", dataset.num_classes)):
        if dataset.source is None and value is not None:
            yield f"{key}.{name}: needs `source`"
    if dataset.filter is not None:
        pool = config.datasets[dataset.filter["dataset"]]
        has_several = "accepted_labels" in (pool.source or {})
        if pool.role == "corrupted" or pool.class_map or has_several:
            yield (
                f"{key}.filter.dataset: {pool.id!r} has parts, coarser classes or several labels "
                "an image; allowed: a plain set"
            )
        for id in dataset.filter_models:
            if id in config.absent:
                yield f"{key}.filter.wrong_by: {id!r} has `weights: absent`"
        if pool.filter is not None:
            yield f"{key}.filter.dataset: {pool.id!r} is itself made by a filter"
        if not pool.is_seen_alike:
            yield (
                f"{key}.filter.dataset: {pool.id!r} needs `preprocessing`, so that all models see "
                "the same pixels"
            )
    generate = dataset.generate or {}
    if dataset.source is not None:
        yield from check_source(dataset)
    upstream = generate.get("set") == "upstream"
    if upstream != ("classes" in generate):
        yield f"{key}.generate.classes: needed for `set: upstream`, and only there"


def _check_stream(dataset: Dataset, config: Config) -> Iterator[str]:
    """Check that no result but a network is made from images that are not stored."""
    key = f"datasets.{dataset.id}"
    if dataset.is_streamed and dataset.generate is None:
        yield f"{key}.stream: true; allowed: false without `generate`"
    if dataset.is_streamed and dataset.role != "train":
        yield f"{key}.stream: true; allowed: false with `role: {dataset.role}`"
    pool = dataset.filter["dataset"] if dataset.filter else None
    if pool is not None and config.datasets[pool].is_streamed:
        yield f"{key}.filter.dataset: {pool!r} has `stream: true`; allowed: a stored dataset"


def _check_side(model: Model, config: Config) -> Iterator[str]:
    """Check that images of a trained ViT have a known side, a multiple of the patch size."""
    training, patch_size = model.training, model.architecture.patch_size
    if training is None or not patch_size:
        return
    dataset = config.datasets[training.dataset]
    side = SIDE if dataset.generate else dataset.view.side if dataset.view else 0
    if dataset.bundled is not None:
        side = BUNDLED_SIDE[dataset.bundled["set"]]
    if side % patch_size:
        yield (
            f"architectures.{model.architecture.id}.patch_size: {patch_size}; allowed: a divisor "
            f"of {side}, the side of datasets.{dataset.id}, which models.{model.id} is trained on"
        )


def _check_model(model: Model) -> Iterator[str]:
    key, pretraining = f"models.{model.id}", model.pretraining
    if model.weights is None and model.training is None:
        yield f"{key}.weights: `trained` needs a `training` section"
    if model.weights is None and model.architecture.timm is not None:
        yield f"{key}.weights: `trained` needs an architecture given by `arguments`"
    if pretraining is None:
        return
    needed = {"dataset": pretraining.dataset, "samples": pretraining.num_samples}
    for name, value in needed.items():
        if model.weights is None and value is None:
            yield f"pretraining.{pretraining.id}.{name}: missing; {key} is trained on it"
    if pretraining.num_images is None:
        yield f"pretraining.{pretraining.id}: one of `images` and `dataset` is needed"
