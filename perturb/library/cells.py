"""The cell that a caller asks for: its entry as of a configuration, and what a model has of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
from torch import nn

from perturb.config.perturbations import perturbation as configured
from perturb.config.schema import explained, schema
from perturb.evaluation.outcome import Setting
from perturb.experiments import registry
from perturb.experiments.attacks.checks import FEWEST_OF_DLR
from perturb.experiments.corruptions.names import STORED_CORRUPTIONS
from perturb.experiments.declaration import Perturbation
from perturb.experiments.possible import conditions_of, options_of, why_not
from perturb.library.classifiers import anatomy_of
from perturb.messages import did_you_mean, listed
from perturb.models.anatomy import describe_blocks
from perturb.models.classifier import Classifier
from perturb.models.zoo import describe_network
from perturb.records import Architecture, Makeup, PerturbationEntry
from perturb.severities import severity_value

_MAKEUP = ("block", "attention", "embedding", "pooling")
_FAMILIES = {"vit": "vit", "resnetv2": "resnet"}


@dataclass(frozen=True)
class Wanted:
    """What a caller asks for; the fields are parameters of `perturb.evaluate`."""

    perturbation: str
    severity: float | str | None
    conditions: Sequence[str] | None
    dataset_id: str
    num_images: int | None
    class_index: str | Path | None
    options: Mapping[str, Any]


def declared(id: str) -> Perturbation:
    """Return a perturbation that a model by itself can be evaluated under.

    Raises
    ------
    ValueError
        If there is none of this id.
    """
    known = {id: item for id, item in registry.perturbations().items() if item.evaluator}
    if id not in known:
        raise ValueError(
            f"perturbation is {id!r}; allowed: {listed(known)}.{did_you_mean(id, known)}"
        )
    return known[id]


def entry_of(wanted: Wanted) -> PerturbationEntry:
    """Return the entry of a configuration with this cell alone.

    Raises
    ------
    ValueError
        If an option, the severity or a condition is unknown, missing or not allowed.
    """
    perturbation = declared(wanted.perturbation)
    _check_conditions(wanted, perturbation.conditions or (wanted.dataset_id,))
    key = perturbation.key or perturbation.id
    form = schema()["$defs"]["perturbations"]["properties"][key]
    given = _entry(wanted, perturbation, form["properties"])
    _check_form(perturbation, key, given)
    source = {} if wanted.class_index is None else {"class_index": str(wanted.class_index)}
    record = configured(key, given, {wanted.dataset_id: {"source": source}})
    asked = record.conditions if wanted.conditions is None else wanted.conditions
    chosen = tuple(condition for condition in record.conditions if condition in asked)
    if perturbation.id == STORED_CORRUPTIONS and len(chosen) > 1:
        raise ValueError(
            f"conditions of {perturbation.id} are {listed(chosen)}; allowed: one, the corruption "
            "that the images were stored with"
        )
    return replace(record, num_images=wanted.num_images, conditions=chosen)


def setting_of(entry: PerturbationEntry, classifier: Classifier, seed: int) -> Setting:
    """Return the setting of the entry's cell: what a model can have of it.

    Raises
    ------
    ValueError
        If the model cannot have the cell.
    """
    severity, architecture = severity_value(entry.severities[0]), _architecture(classifier.network)
    if reason := why_not(entry, severity, architecture):
        name = type(classifier.network).__name__
        raise ValueError(f"{entry.id} of severity {severity:g} is impossible for {name}: {reason}")
    possible = conditions_of(entry, architecture)
    conditions = tuple(name for name in possible if name in entry.conditions)
    if not conditions:
        raise ValueError(
            f"conditions of {entry.id} are {listed(entry.conditions)}; allowed for "
            f"{type(classifier.network).__name__}: {listed(possible)}"
        )
    options = options_of(entry, severity, architecture)
    if "apgd_dlr" in conditions and classifier.num_classes < FEWEST_OF_DLR:
        # As in a study, see `perturb.experiments.attacks.checks.with_possible_attacks`.
        conditions = tuple(name for name in conditions if name != "apgd_dlr")
        options = {name: value for name, value in options.items() if name != "targets"}
    return Setting(conditions, severity, seed, options)


def _entry(wanted: Wanted, perturbation: Perturbation, form: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry as a configuration would hold it."""
    given: dict[str, Any] = {"datasets": [wanted.dataset_id], **wanted.options}
    if "images" in form:
        given["images"] = 1 if wanted.num_images is None else wanted.num_images
    if "corruptions" in form and wanted.conditions is not None:
        given["corruptions"] = list(wanted.conditions)
    if "denominators" in form:
        given.setdefault("denominators", "none")
    if "jpeg" in form:
        given.setdefault("jpeg", perturbation.id != perturbation.key and bool(perturbation.key))
    return given | _severity(wanted.severity, perturbation, form)


def _severity(
    severity: float | str | None, perturbation: Perturbation, form: Mapping[str, Any]
) -> dict[str, Any]:
    option, id = perturbation.severities, perturbation.id
    if not isinstance(option, str):
        if severity not in (None, option):
            raise ValueError(f"severity of {id} is {severity!r}; allowed: {option}")
        return {}
    if severity is None and "default" in form[option]:
        return {}
    if severity is None or isinstance(severity, bool | list | tuple):
        meaning = form[option].get("description", "")
        raise ValueError(f"severity of {id} is {severity!r}; allowed: one. {meaning}".rstrip())
    if isinstance(severity, float) and not math.isfinite(severity):
        raise ValueError(f"severity of {id} is {severity}; allowed: finite numbers")
    return {option: [severity]}


def _check_form(perturbation: Perturbation, key: str, given: Mapping[str, Any]) -> None:
    """Raise a ValueError for what the schema of a configuration does not allow."""
    form = {"$ref": f"#/$defs/perturbations/properties/{key}", "$defs": schema()["$defs"]}
    errors = map(explained, jsonschema.Draft202012Validator(form).iter_errors(given))
    of_configuration = f"{perturbation.severities}.0: "
    messages = [
        f"{perturbation.id}: {error.replace(of_configuration, 'severity: ', 1)}" for error in errors
    ]
    if messages:
        raise ValueError("\n".join(messages))


def _check_conditions(wanted: Wanted, allowed: Sequence[str]) -> None:
    conditions = wanted.conditions
    if conditions is None:
        return
    if isinstance(conditions, str) or not conditions:
        raise ValueError(f"conditions are {conditions!r}; allowed: a list of {listed(allowed)}")
    for condition in conditions:
        if condition not in allowed:
            raise ValueError(
                f"condition of {wanted.perturbation} is {condition!r}; allowed: "
                f"{listed(allowed)}.{did_you_mean(condition, allowed)}"
            )


def _architecture(network: nn.Module) -> Architecture:
    """Return the record of a network, from what it consists of."""
    found = describe_network(network)
    if found["kind"] not in _FAMILIES and (known := anatomy_of(network)) is not None:
        found |= describe_blocks(known)
    return Architecture(
        id="model",
        family=_FAMILIES.get(found.pop("kind"), "other"),
        size="",
        patch_size=found.get("patch_size"),
        label=found.pop("network"),
        makeup=Makeup(*(found.pop(name, None) for name in _MAKEUP)),
        arguments=found,
        timm=None,
    )
