"""Experiments of a command line, as entries of `perturbations` and `analyses`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perturb.config import load_config
from perturb.config.draft import SECTIONS
from perturb.config.perturbations import perturbation
from perturb.config.schema import schema
from perturb.config.short_forms import written_out
from perturb.experiments.possible import why_not
from perturb.experiments.registry import experiments
from perturb.messages import ConfigError, did_you_mean, listed, refuse
from perturb.severities import severity_value

#: Experiments of a command line that names none.
USUAL = ("corruptions", "fgsm", "pgd", "spatial", "lesions")
# Perturbations that need datasets or models of their own.
_OF_GRIDS = frozenset({"none", "class_subset", "stored_corruptions", "transfer"})
# Values of options without a default, as in the default study where it has them.
_VALUES: Mapping[str, Mapping[str, Any]] = {
    "attack_ensemble_l2": {"epsilons": [0.5]},
    "lesions": {"removed": [1, 2], "samples": 10},
    "restricted_attention": {"distances": [1, 2, 4], "seeds": 3},
    "patch_attention": {"blocks": [1, 2]},
    "token_removal": {"drop_rates": [0.25, 0.5], "seeds": 3},
    "weight_noise": {"scales": [0.02, 0.1], "seeds": 3},
    "weight_rounding": {"bits": [8, 4]},
}


def entries_of(words: Sequence[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the entries of `perturbations` and `analyses` that words mean, without images.

    Parameters
    ----------
    words : names of perturbations and measurements as in the configuration, or of experiments,
        which stand for all of theirs.

    Raises
    ------
    ConfigError
        with a line for each word that names none.
    """
    sections: dict[str, dict[str, dict[str, Any]]] = {"perturbations": {}, "analyses": {}}
    known = _known()
    unknown = [word for word in dict.fromkeys(words) if word not in known]
    for section, key in (entry for word in words for entry in known.get(word, ())):
        sections[section][key] = dict(_VALUES.get(key, {}))
    mistakes = [
        f"--experiments: {word!r} is no experiment.{did_you_mean(word, known)}" for word in unknown
    ]
    refuse([*mistakes, f"--experiments: allowed: {listed(known)}"] if mistakes else [])
    return sections


def impossible(study: Mapping[str, Any], keys: Iterable[str]) -> dict[str, str]:
    """Return the perturbations that no model of a study can have, by key, and why.

    Parameters
    ----------
    study : with valid datasets and models; its perturbations are not read.
    """
    config = load_config({**study, "perturbations": {"none": {}}, "analyses": {}})
    networks = [config.models[id].architecture for id in config.benchmark_models]
    raw = {name: study.get(name) or {} for name in SECTIONS}
    raw["perturbations"] = {key: raw["perturbations"][key] for key in keys}
    reasons: dict[str, str] = {}
    for key, entry in written_out(raw, {})["perturbations"].items():
        record = perturbation(key, entry, raw["datasets"])
        found = [
            why_not(record, severity_value(severity), network)
            for severity in record.severities
            for network in networks
        ]
        if found and all(found):
            reasons[key] = str(found[0])
    return reasons


def takes_images(section: str, key: str) -> bool:
    """Return whether an entry is evaluated on a subset."""
    whole = schema()
    of_section = {
        "perturbations": whole["$defs"]["perturbations"]["properties"],
        "analyses": whole["properties"]["analyses"]["properties"],
    }[section]
    return "images" in of_section[key]["properties"]


def _known() -> dict[str, list[tuple[str, str]]]:
    """Return what each word stands for: sections and keys."""
    known: dict[str, list[tuple[str, str]]] = {}
    for name, found in experiments().items():
        keys = dict.fromkeys(item.key or item.id for item in found.perturbations)
        entries = [("perturbations", key) for key in keys if key not in _OF_GRIDS]
        entries += [("analyses", item.id) for item in found.measurements]
        if entries:
            known.setdefault(name, []).extend(entries)
        known |= {key: [(section, key)] for section, key in entries}
    return known


def split(text: str) -> list[str]:
    """Return the words of a list with commas."""
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise ConfigError(f"--experiments: {text!r}; expected names with commas between them")
    return words
