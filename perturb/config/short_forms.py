"""Short forms of a configuration, written out: what follows from other entries may be left out.

A study of one's own models is a dataset, a list of weights and a list of perturbations. Everything
that these define is filled in here, so that the checks and all later code see one complete form.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from perturb.config.schema import default, schema
from perturb.config.walk import Key
from perturb.messages import ConfigError
from perturb.models.timm_table import TimmModel, geometry, model_of
from perturb.severities import severity_id, severity_value

# The longest size that the schema allows.
_SIZE = schema()["$defs"]["architecture"]["properties"]["size"]["maxLength"]
_STRENGTHS = [1, 2, 3, 4, 5]
# Epsilons that mean what the study's `epsilon` means: the largest change of a pixel.
_OF_STUDY = {"$ref": "#/$defs/epsilons"}


def written_out(raw: Mapping[str, Any], known: Mapping[str, Collection[str]]) -> dict[str, Any]:
    """Return a configuration with the entries and keys that follow from others.

    - The architecture of a model is an entry, a name of timm or that of its tag; the entry is made.
      Such a model is called by its id.
    - Family, size, patch size and label of an architecture by timm's name are timm's.
    - A perturbation without datasets is one of the clean set; `none` of all that are evaluated,
      `stored_corruptions` of the corrupted ones.
    - Attacks without epsilons have that of the study, if theirs are of its unit; corruptions have
      all severities.
    - Errors of corruptions are divided by those of a reference, if the study has one.

    Parameters
    ----------
    raw : sections of well-formed entries.
    known : the ids of each section, those of entries with mistakes included.
    """
    architectures = {id: _architecture(entry) for id, entry in raw["architectures"].items()}
    architectures |= {
        id: {"family": "other", "size": id[:_SIZE], "label": id}
        for id, model in raw["models"].items()
        if _is_made(model) and id not in known.get("architectures", ())
    }
    models = {}
    for id, model in raw["models"].items():
        network = _network_of(model)
        usual = id if _is_made(model) else network.architecture if network else None
        name = model.get("architecture", usual)
        models[id] = model if name is None else {**model, "architecture": name}
        if network and name not in known.get("architectures", ()):
            # A model, rather than one of a grid of networks and pre-training sets.
            models[id] = {"label": id, **models[id]}
            architectures[name] = _architecture({"timm": network.architecture})
    perturbations = {
        key: _perturbation(key, entry, raw) for key, entry in raw["perturbations"].items()
    }
    analyses = {key: _measurement(entry, raw["datasets"]) for key, entry in raw["analyses"].items()}
    return {
        **raw,
        "architectures": architectures,
        "models": models,
        "perturbations": perturbations,
        "analyses": analyses,
    }


def incomplete(raw: Mapping[str, Any]) -> Iterator[tuple[Key, ConfigError]]:
    """Yield the key and the error of each entry that lacks what nothing else defines.

    And of an impossible epsilon, which would be a mistake of each attack that has it from there.
    """
    if severity_value(severity_id(raw.get("epsilon", 0))) > 1:
        yield ("epsilon",), ConfigError(f"epsilon: {raw['epsilon']} > 1, in units of [0, 1]")
    for id, model in raw["models"].items():
        if "architecture" not in model and not (_is_tagged(model) or _is_made(model)):
            yield (
                ("models", id),
                ConfigError(
                    f"models.{id}.architecture: missing; an entry of `architectures`, or a name in "
                    "timm such as resnet18"
                ),
            )
    for id, entry in raw["architectures"].items():
        lines = [
            f"architectures.{id}.{name}: missing; only with `timm` it may be left out"
            for name in ("family", "size")
            if name not in entry and "timm" not in entry
        ]
        if lines:
            yield ("architectures", id), ConfigError("\n".join(lines))
    for key, entry in raw["perturbations"].items():
        if "epsilons" not in entry and _form(key).get("epsilons", _OF_STUDY) != _OF_STUDY:
            yield (
                ("perturbations", key),
                ConfigError(f"perturbations.{key}.epsilons: missing; an L2 length such as 0.5"),
            )


def _is_tagged(model: Mapping[str, Any]) -> bool:
    return isinstance(model["weights"], Mapping) and "timm" in model["weights"]


def _is_made(model: Mapping[str, Any]) -> bool:
    return isinstance(model["weights"], Mapping) and "factory" in model["weights"]


def _network_of(model: Mapping[str, Any]) -> TimmModel | None:
    """Return timm's row of a model's tag, or of its architecture; None if timm has neither."""
    try:
        if _is_tagged(model):
            return model_of(model["weights"]["timm"])
        return geometry(model["architecture"]) if "architecture" in model else None
    except ValueError:  # the checks name it
        return None


def _architecture(entry: Mapping[str, Any]) -> dict[str, Any]:
    if "timm" not in entry:
        return dict(entry)
    try:
        row = geometry(entry["timm"])
    except ValueError:
        row = None
    if row is None:
        return dict(entry)
    filled: dict[str, Any] = {"family": row.family}
    if "size" not in entry:
        filled |= {"size": row.architecture[:_SIZE], "label": row.architecture}
    if row.family == "vit":
        filled["patch_size"] = row.patch_size
    return {**filled, **entry}


def _form(key: str) -> dict[str, Any]:
    """Return the schema of each option of a perturbation."""
    return dict(schema()["$defs"]["perturbations"]["properties"][key]["properties"])


def _perturbation(key: str, entry: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    properties = _form(key)
    filled: dict[str, Any] = {"datasets": _datasets(key, raw["datasets"])}
    if "epsilons" in properties:
        filled["epsilons"] = [raw.get("epsilon", default("epsilon"))]
    if "severities" in properties:
        filled["severities"] = _STRENGTHS
    if "denominators" in properties:
        has_reference = any(model.get("role") == "reference" for model in raw["models"].values())
        filled["denominators"] = "reference" if has_reference else "none"
    return {**filled, **entry}


def _datasets(key: str, datasets: Mapping[str, Any]) -> list[str]:
    by_role: dict[str, list[str]] = {}
    for id, dataset in datasets.items():
        by_role.setdefault(dataset.get("role", "extra"), []).append(id)
    match key:
        case "none":
            return [id for role, ids in by_role.items() if role not in _UNSEEN for id in ids]
        case "stored_corruptions":
            return by_role.get("corrupted", [])
    return by_role.get("clean", [])


# Roles of datasets that are not evaluated as they are.
_UNSEEN = ("train", "corrupted")


def _measurement(entry: Mapping[str, Any], datasets: Mapping[str, Any]) -> dict[str, Any]:
    clean = _datasets("", datasets)
    return {"dataset": clean[0], **entry} if clean else dict(entry)
