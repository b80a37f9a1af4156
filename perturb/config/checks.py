"""What the schema cannot say: references between entries, and what makes a whole study."""

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema

from perturb.config.records import Architecture, Config, Dataset, Model
from perturb.config.schema import ConfigError, did_you_mean, listed, schema
from perturb.models.names import ARGUMENTS
from perturb.perturbations.plans import is_possible
from perturb.severities import severity_value

# The unbiased estimate of CKA divides by n - 3.
FEWEST_CORRELATED = 4
# Perturbations whose cost or question ties them to the test set that all is compared with.
ON_THE_CLEAN_SET = (
    *("fgsm", "pgd", "ensemble", "spatial", "transfer"),
    *("lesions", "heads", "attention_distance", "patch_cls", "tokens"),
)
# Ids that would read as something else in a path or a table.
RESERVED_IDS = frozenset({"none", "all", "clean", "con", "nul", "aux", "prn"})


def check_references(raw: Mapping[str, Any]) -> None:
    """Raise a ConfigError for an id that is not allowed or refers to nothing."""
    for section in ("datasets", "pretraining", "architectures", "models"):
        _check_ids(section, raw[section])
    for key, value, section in _references(raw):
        if value not in raw[section]:
            raise ConfigError(
                f"{key}: there is no entry {value!r} under `{section}`; "
                f"allowed: {listed(raw[section])}.{did_you_mean(value, raw[section])}"
            )


def _check_ids(section: str, entries: Mapping[str, Any]) -> None:
    pattern = schema()["$defs"]["id"]
    validator = jsonschema.Draft202012Validator(pattern)
    folded: dict[str, str] = {}
    for id in entries:
        if not validator.is_valid(id):
            raise ConfigError(f"{section}: the id {id!r} is not allowed. {pattern['description']}")
        if id.lower() in RESERVED_IDS:
            raise ConfigError(
                f"{section}: the id {id!r} is reserved; any but {listed(sorted(RESERVED_IDS))}"
            )
        if folded.setdefault(id.lower(), id) != id:
            raise ConfigError(
                f"{section}: the ids {folded[id.lower()]!r} and {id!r} differ only in case; "
                "some file systems would store them in one place"
            )


def _references(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (key, value, section in which the value must be an entry)."""
    for id, dataset in raw["datasets"].items():
        if "filter" in dataset:
            yield f"datasets.{id}.filter.dataset", dataset["filter"]["dataset"], "datasets"
            yield f"datasets.{id}.filter.wrong_by", dataset["filter"]["wrong_by"], "models"
    for id, entry in raw["pretraining"].items():
        if "dataset" in entry:
            yield f"pretraining.{id}.dataset", entry["dataset"], "datasets"
    trainings = {"training": raw.get("training")}
    for id, model in raw["models"].items():
        yield f"models.{id}.architecture", model["architecture"], "architectures"
        if "pretraining" in model:
            yield f"models.{id}.pretraining", model["pretraining"], "pretraining"
        trainings[f"models.{id}.training"] = model.get("training")
    for key, training in trainings.items():
        for name in ("dataset", "validation"):
            if training is not None:
                yield f"{key}.{name}", training[name], "datasets"
    for id, perturbation in raw["perturbations"].items():
        for position, dataset in enumerate(perturbation["datasets"]):
            yield f"perturbations.{id}.datasets.{position}", dataset, "datasets"
    patterns = raw.get("analyses", {}).get("patterns")
    if patterns is not None:
        yield "analyses.patterns.dataset", patterns["dataset"], "datasets"
        for position, model in enumerate(patterns.get("models", ())):
            yield f"analyses.patterns.models.{position}", model, "models"
    correlations = raw.get("analyses", {}).get("correlations")
    if correlations is not None:
        yield "analyses.correlations.dataset", correlations["dataset"], "datasets"


def check_study(config: Config) -> None:
    """Raise a ConfigError for the first thing that makes no study."""
    labels: dict[str, str] = {}
    for dataset in config.datasets.values():
        _check_dataset(dataset, config)
        first = labels.setdefault(dataset.label, dataset.id)
        if first != dataset.id:
            raise ConfigError(
                f"datasets.{dataset.id}.label: {dataset.label!r} is also the label of {first!r}"
            )
    for architecture in config.architectures.values():
        _check_architecture(architecture)
    for model in config.models.values():
        _check_model(model)
    clean = [dataset.id for dataset in config.datasets.values() if dataset.role == "clean"]
    if len(clean) != 1:
        raise ConfigError(f"datasets: exactly one needs `role: clean`; found: {listed(clean)}")
    references = [model.id for model in config.models.values() if model.is_reference]
    if len(references) > 1:
        raise ConfigError(
            f"models: only one may have `role: reference`; found: {listed(references)}"
        )
    corruptions = config.corruptions
    if corruptions and corruptions.denominators == "reference" and not references:
        raise ConfigError(
            "perturbations.corruptions.denominators: 'reference' needs a model with "
            "`role: reference`; allowed without one: alexnet, on ImageNet"
        )
    if len(references) == len(config.models):
        raise ConfigError("models: at least one with `role: benchmark` is needed")
    _check_attacks(config)
    _check_applied(config)
    _check_analyses(config)
    _check_evaluated(config)
    _check_subsets(config)


def _check_architecture(architecture: Architecture) -> None:
    key = f"architectures.{architecture.id}.patch_size"
    if architecture.family == "vit" and architecture.patch_size is None:
        raise ConfigError(f"{key}: missing; a ViT needs the side of its patches in pixels")
    if architecture.family == "resnet" and architecture.patch_size is not None:
        raise ConfigError(f"{key}: {architecture.patch_size} is not allowed; a ResNet has none")
    key = f"architectures.{architecture.id}.arguments"
    known = ARGUMENTS[architecture.family]
    for name in architecture.arguments:
        if name not in known:
            raise ConfigError(
                f"{key}: unknown argument `{name}`; allowed: {listed(known)}."
                f"{did_you_mean(name, known)}"
            )
    for name, types in known.items():
        value = architecture.arguments.get(name)
        if not isinstance(value, types) or isinstance(value, bool):
            kinds = " or ".join(kind.__name__ for kind in types)
            raise ConfigError(f"{key}.{name}: {value!r} is not allowed; {kinds} is needed")


def _check_dataset(dataset: Dataset, config: Config) -> None:
    key = f"datasets.{dataset.id}"
    if (dataset.generate is None) == (dataset.filter is None):
        raise ConfigError(f"{key}: exactly one of `generate` and `filter` is needed")
    if (dataset.generate is None) != (dataset.num_images is None):
        raise ConfigError(f"{key}.images: needed with `generate`, and only there")
    if dataset.filter is not None:
        pool = config.datasets[dataset.filter["dataset"]]
        if pool.filter is not None:
            raise ConfigError(f"{key}.filter.dataset: {pool.id!r} is itself made by a filter")
    generate = dataset.generate or {}
    upstream = generate.get("set") == "upstream"
    if upstream != ("classes" in generate):
        raise ConfigError(f"{key}.generate.classes: needed for `set: upstream`, and only there")


def _check_model(model: Model) -> None:
    key, pretraining = f"models.{model.id}", model.pretraining
    if model.weights is None and model.training is None:
        raise ConfigError(f"{key}.weights: `trained` needs a `training` section")
    if pretraining is None:
        if not model.is_reference:
            raise ConfigError(f"{key}: missing `pretraining`, the id of a pre-training set")
        return
    needed = {"dataset": pretraining.dataset, "samples": pretraining.num_samples}
    for name, value in needed.items():
        if model.weights is None and value is None:
            raise ConfigError(
                f"pretraining.{pretraining.id}.{name}: missing; {key} is trained on it"
            )
    if pretraining.num_images is None:
        raise ConfigError(f"pretraining.{pretraining.id}: one of `images` and `dataset` is needed")


def _check_evaluated(config: Config) -> None:
    for perturbation in config.perturbations.values():
        for id in perturbation.datasets:
            dataset = config.datasets[id]
            key = f"perturbations.{perturbation.id}.datasets"
            if dataset.role == "train":
                raise ConfigError(
                    f"{key}: {id!r} has `role: train`; models are not evaluated on it"
                )
            if perturbation.id != "none" and id not in config.perturbations["none"].datasets:
                raise ConfigError(f"{key}: {id!r} must also be under perturbations.none.datasets")
    if config.clean_dataset.id not in config.perturbations["none"].datasets:
        raise ConfigError(
            f"perturbations.none.datasets: {config.clean_dataset.id!r}, the clean set, is missing"
        )


def _check_attacks(config: Config) -> None:
    """What compares models under attack needs one epsilon, and the models' own classes."""
    if config.clean_dataset.class_map is not None:
        raise ConfigError(
            f"datasets.{config.clean_dataset.id}.class_map: not allowed on the clean set, whose "
            "classes are the models' own"
        )
    for id in ("fgsm", "pgd", "ensemble"):
        attack = config.perturbations.get(id)
        if attack is not None and severity_value(config.epsilon) not in {
            severity_value(severity) for severity in attack.severities
        }:
            known = listed(severity.replace("_", "/") for severity in attack.severities)
            raise ConfigError(
                f"epsilon: {config.epsilon.replace('_', '/')} is not among "
                f"perturbations.{id}.epsilons ({known}); attacks are compared at it"
            )
    for id in ("fgsm", "ensemble", "transfer"):
        if id in config.perturbations and "pgd" not in config.perturbations:
            raise ConfigError(
                f"perturbations.{id}: needs perturbations.pgd, which it is compared with"
            )
    for id in ON_THE_CLEAN_SET:
        perturbation = config.perturbations.get(id)
        if perturbation is not None and perturbation.datasets != (config.clean_dataset.id,):
            raise ConfigError(
                f"perturbations.{id}.datasets: {listed(perturbation.datasets)}; "
                f"allowed: {config.clean_dataset.id}, the clean set, alone"
            )
        options = perturbation.options if perturbation else {}
        for name in ("rotations", "translations"):
            if options.get(name, 1) % 2 == 0:
                raise ConfigError(
                    f"perturbations.{id}.{name}: {options[name]} is even; "
                    "allowed: odd numbers, so that the unchanged image is in the grid"
                )
        if options.get("restarts", 1) > 1 and not options.get("random_start", True):
            raise ConfigError(
                f"perturbations.{id}.restarts: more than one needs `random_start: true`"
            )


def _check_applied(config: Config) -> None:
    """Every perturbation must have something to change, at every severity, in some model."""
    benchmark = [config.models[model].architecture for model in config.benchmark_models]
    for id, perturbation in config.perturbations.items():
        for severity in perturbation.severities:
            value = severity_value(severity)
            if not any(is_possible(perturbation, value, model) for model in benchmark):
                shown = severity.replace("_", "/")
                raise ConfigError(
                    f"perturbations.{id}: no model of this study has what it changes, or as many "
                    f"of it as {shown}"
                )
            if id in ("fgsm", "pgd", "ensemble", "transfer") and value > 1:
                raise ConfigError(f"perturbations.{id}.epsilons: {severity.replace('_', '/')} > 1")
    corruptions = config.corruptions
    if corruptions is not None and config.clean_dataset.id not in corruptions.datasets:
        raise ConfigError(
            f"perturbations.corruptions.datasets: {config.clean_dataset.id!r}, the clean set, is "
            "missing"
        )
    conflicts = [
        id
        for id in config.perturbations["none"].datasets
        if config.datasets[id].role == "cue_conflict"
    ]
    if len(conflicts) > 1:
        raise ConfigError(
            f"perturbations.none.datasets: {listed(conflicts)} all have `role: cue_conflict`; "
            "allowed: one"
        )


def _check_analyses(config: Config) -> None:
    patterns, correlations = config.patterns, config.correlations
    for name, analysis in (("patterns", patterns), ("correlations", correlations)):
        if analysis is not None and analysis.dataset != config.clean_dataset.id:
            raise ConfigError(
                f"analyses.{name}.dataset: {analysis.dataset!r}; "
                f"allowed: {config.clean_dataset.id}, the clean set"
            )
    if correlations is not None and correlations.num_images < FEWEST_CORRELATED:
        raise ConfigError(
            f"analyses.correlations.images: {correlations.num_images}; "
            f"allowed: {FEWEST_CORRELATED} or more"
        )
    if patterns is None:
        return
    if patterns.options["epsilon"] == 0:
        raise ConfigError("analyses.patterns.epsilon: 0 changes nothing; allowed: more")
    if not any(config.models[model].architecture.patch_size for model in config.benchmark_models):
        raise ConfigError("analyses.patterns: needs a model with patches: it measures borders")


def _check_subsets(config: Config) -> None:
    """A subset must lie within its data set, where the size of that is known beforehand."""
    asked = [
        (f"perturbations.{item.id}.images", dataset, item.num_images)
        for item in config.perturbations.values()
        for dataset in item.datasets
        if item.num_images is not None
    ]
    if config.patterns is not None:
        patterns = config.patterns
        asked.append(("analyses.patterns.images", patterns.dataset, patterns.num_images))
        if patterns.num_shown > patterns.num_images:
            raise ConfigError(
                f"analyses.patterns.shown: {patterns.num_shown} is more than the "
                f"{patterns.num_images} images that are measured"
            )
        for model in patterns.shown_models:
            if config.models[model].is_reference:
                raise ConfigError(
                    f"analyses.patterns.models: {model!r} is the reference, "
                    "which is no part of the benchmark"
                )
    if config.correlations is not None:
        correlations = config.correlations
        asked.append(("analyses.correlations.images", *vars(correlations).values()))
    for key, dataset, num_images in asked:
        available = config.datasets[dataset].num_images
        if available is not None and num_images > available:
            raise ConfigError(f"{key}: {num_images} is more than the {available} of {dataset!r}")
