"""What makes no study among its perturbations and analyses, told before any job starts."""

from perturb.config.records import Config
from perturb.config.schema import ConfigError, listed
from perturb.perturbations.plans import is_possible, lacking
from perturb.severities import severity_value

# The unbiased estimate of CKA divides by n - 3.
FEWEST_CORRELATED = 4
NUM_SEVERITIES = 5
IMAGENET_C_SIDE = 224  # of the published files [px]
# Perturbations whose cost or question ties them to the test set that all is compared with.
ON_THE_CLEAN_SET = (
    *("fgsm", "pgd", "ensemble", "spatial"),
    *("lesions", "heads", "attention_distance", "patch_cls", "tokens"),
)


def check_perturbations(config: Config) -> None:
    """Raise a ConfigError for the first perturbation or analysis that cannot be run as asked."""
    _check_attacks(config)
    _check_side_by_side(config)
    _check_applied(config)
    _check_analyses(config)
    _check_evaluated(config)
    _check_subsets(config)


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


def _check_side_by_side(config: Config) -> None:
    """What shows models the same pixels: the clean set, or one that is seen alike by all."""
    asked = {}
    if "transfer" in config.perturbations:
        asked["perturbations.transfer.datasets"] = config.perturbations["transfer"].datasets
    if config.patterns is not None:
        asked["analyses.patterns.dataset"] = (config.patterns.dataset,)
    for key, ids in asked.items():
        if len(ids) > 1:
            raise ConfigError(f"{key}: {listed(ids)}; allowed: one")
        if config.datasets[ids[0]].role not in ("clean", "other"):
            raise ConfigError(
                f"{key}: {ids[0]!r}; allowed: {config.clean_dataset.id}, the clean set, or one "
                "with `role: other`"
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
                    f"perturbations.{perturbation.key}: no model of this study has what it "
                    f"changes, or as many of it as {shown}"
                )
            if id in ("fgsm", "pgd", "ensemble", "transfer") and value > 1:
                raise ConfigError(f"perturbations.{id}.epsilons: {severity.replace('_', '/')} > 1")
    _check_corruptions(config)
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


def _check_corruptions(config: Config) -> None:
    """Corruptions are of the clean set: made from it, or a data set that others made from it."""
    found = [item for item in config.perturbations.values() if item.key.endswith("corruptions")]
    if len(found) > 1:
        raise ConfigError(
            "perturbations: `corruptions` and `stored_corruptions` exclude each other; their "
            "numbers differ by many points. Two configurations with two `results` folders hold both"
        )
    for perturbation in found:
        key = f"perturbations.{perturbation.key}.datasets"
        if perturbation.denominators == "alexnet" and len(perturbation.severities) < NUM_SEVERITIES:
            raise ConfigError(
                f"perturbations.{perturbation.key}.severities: {listed(perturbation.severities)}; "
                "`denominators: alexnet` needs all five: its errors are published as their means"
            )
        if (
            perturbation.key == "corruptions"
            and config.clean_dataset.id not in perturbation.datasets
        ):
            raise ConfigError(f"{key}: {config.clean_dataset.id!r}, the clean set, is missing")
        is_made = perturbation.key == "corruptions"
        view = config.clean_dataset.view
        is_224 = view is not None and view.side in (0, IMAGENET_C_SIDE)
        is_comparable = is_224 and bool(perturbation.options)
        if perturbation.denominators == "alexnet" and is_made and not is_comparable:
            raise ConfigError(
                f"perturbations.corruptions.denominators: alexnet needs `jpeg` and, as "
                f"datasets.{config.clean_dataset.id}.preprocessing, a side of "
                f"{IMAGENET_C_SIDE}: AlexNet's errors are on such files"
            )
        for id in perturbation.datasets:
            is_stored = perturbation.key == "stored_corruptions"
            if is_stored != (config.datasets[id].role == "corrupted"):
                raise ConfigError(
                    f"{key}: {id!r} has the role {config.datasets[id].role}; `stored_corruptions` "
                    "needs `role: corrupted`, and nothing else may have it"
                )
        if perturbation.key == "stored_corruptions" and len(perturbation.datasets) > 1:
            raise ConfigError(f"{key}: {listed(perturbation.datasets)}; allowed: one")


def _check_analyses(config: Config) -> None:
    patterns, correlations = config.patterns, config.correlations
    if correlations is not None and correlations.dataset != config.clean_dataset.id:
        raise ConfigError(
            f"analyses.correlations.dataset: {correlations.dataset!r}; "
            f"allowed: {config.clean_dataset.id}, the clean set"
        )
    if correlations is not None and not any(
        lacking("correlations", config.models[model].architecture) is None
        for model in config.benchmark_models
    ):
        raise ConfigError(
            "analyses.correlations: no model of this study has blocks that can be read"
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


def _check_evaluated(config: Config) -> None:
    for perturbation in config.perturbations.values():
        for id in perturbation.datasets:
            dataset = config.datasets[id]
            key = f"perturbations.{perturbation.key}.datasets"
            if dataset.role == "train":
                raise ConfigError(
                    f"{key}: {id!r} has `role: train`; models are not evaluated on it"
                )
            if dataset.role == "corrupted":
                if perturbation.key != "stored_corruptions":
                    raise ConfigError(
                        f"{key}: {id!r} has `role: corrupted`; allowed only in stored_corruptions"
                    )
                continue
            if perturbation.id != "none" and id not in config.perturbations["none"].datasets:
                raise ConfigError(f"{key}: {id!r} must also be under perturbations.none.datasets")
    if config.clean_dataset.id not in config.perturbations["none"].datasets:
        raise ConfigError(
            f"perturbations.none.datasets: {config.clean_dataset.id!r}, the clean set, is missing"
        )


def _check_subsets(config: Config) -> None:
    """A subset must lie within its data set, where the size of that is known beforehand."""
    asked = [
        (f"perturbations.{item.key}.images", dataset, item.num_images)
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
            if model in config.absent:
                raise ConfigError(f"analyses.patterns.models: {model!r} has `weights: absent`")
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
