"""Preprocessing of a model: the values of its entry, and defaults that follow from its network.

timm defines the whole preprocessing of a tag. A file of weights defines none: for one of timm's
architectures the defaults are those of timm's default weights, for a network by `arguments` only
filter, mean and deviation have a default. All other values are required: a wrong normalisation can
cost a network a quarter of its accuracy without any error.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from perturb.messages import ConfigError
from perturb.models.arguments import INTERPOLATION, MEAN, STD
from perturb.models.resizing import Resizing
from perturb.models.timm_table import TimmModel, default_of, model_of, tags_of
from perturb.records import Architecture, Model, ModelPreprocessing

_KEYS = {
    "side": "side of the model's square input [px]",
    "mode": "`crop` (the centre of the image) or `squash` (all of it)",
    "crop": "fraction of the short side that is kept, such as 0.875; only with `mode: crop`",
    "interpolation": "`bilinear` or `bicubic`",
    "mean": "of each channel, in units of [0, 1]",
    "std": "of each channel, in units of [0, 1]",
}


def own_preprocessing(
    key: str, entry: Mapping[str, Any], architecture: Architecture, tagged: TimmModel | None
) -> ModelPreprocessing | None:
    """Return a model's preprocessing of images; None if its input is one dataset's squares.

    Parameters
    ----------
    key : of the entry's preprocessing, for errors.
    entry : of the model.
    tagged : timm's row of the model's tag, if it has one.

    Raises
    ------
    ConfigError
        for keys that are not allowed there, or all that are missing.
    """
    given = entry.get("preprocessing")
    if entry["weights"] == "trained" and given is not None:
        raise ConfigError(
            f"{key}: not allowed with `weights: trained`; its training set defines it"
        )
    is_made_for_one_set = tagged is None and architecture.timm is None and given is None
    if is_made_for_one_set or entry["weights"] in ("absent", "trained"):
        return None
    known, origin = _known(given or {}, architecture, tagged)
    if "factory" in entry["weights"]:  # nothing is known of a function's network
        known, origin = (
            {"interpolation": INTERPOLATION},
            "default of networks that a function makes",
        )
    return _completed(key, given or {}, architecture, known, origin)


def _completed(
    key: str,
    given: Mapping[str, Any],
    architecture: Architecture,
    known: Mapping[str, Any],
    origin: str,
) -> ModelPreprocessing:
    """Return the preprocessing from the given values and, for the rest, the known defaults."""
    if given.get("mode", known.get("mode")) == "squash" and "crop" in given:
        raise ConfigError(f"{key}.crop: not allowed with `mode: squash`; only with `mode: crop`")
    # `squash` uses the whole image; some of timm's weights squash and crop.
    whole = {"crop": 1.0} if given.get("mode") == "squash" else {}
    chosen = {**known, **given, **whole}
    _refuse_missing(key, chosen, known, origin)
    if architecture.patch_size and chosen["side"] % architecture.patch_size:
        raise ConfigError(
            f"{key}.side: {chosen['side']} is no multiple of the patch size, "
            f"{architecture.patch_size}"
        )
    taken = [name for name in known if name not in given and name not in whole]
    return ModelPreprocessing(
        Resizing(chosen["side"], chosen["mode"], float(chosen["crop"]), chosen["interpolation"]),
        tuple(map(float, chosen["mean"])),
        tuple(map(float, chosen["std"])),
        f"{_listed(chosen, taken)} ({origin})" if taken else None,
    )


def assumed_values(models: Iterable[Model]) -> list[str]:
    """Return a line for each file of weights whose preprocessing is not fully given."""
    return [
        f"models.{model.id}.preprocessing: not given, and taken as {assumed}"
        for model in models
        if (assumed := assumed_preprocessing(model)) is not None
    ]


def assumed_preprocessing(model: Model) -> str | None:
    """Return the assumed preprocessing of a file, with the reason; None if all of it is given."""
    if not model.says_no_input or model.own_preprocessing is None:
        return None  # a tag defines its preprocessing
    return model.own_preprocessing.origin


def _known(
    given: Mapping[str, Any], architecture: Architecture, tagged: TimmModel | None
) -> tuple[Mapping[str, Any], str]:
    """Return the default values for keys that an entry does not set, and their origin."""
    if tagged is not None:
        return _of_row(tagged, _KEYS), f"of timm's {tagged.tag}"
    if architecture.timm is not None:
        row = default_of(architecture.timm)
        if row is None:
            return {}, ""
        # timm does not define the side of a file: weights are often trained at another.
        names = [name for name in _KEYS if name != "side"]
        is_normalised = {"mean", "std"} <= given.keys()
        return _of_row(row, names), f"of timm's {row.tag}{'' if is_normalised else _unlike(row)}"
    defaults = {"interpolation": INTERPOLATION, "mean": MEAN, "std": STD}
    return defaults, "default of networks by `arguments`"


def _of_row(row: TimmModel, names: Iterable[str]) -> Mapping[str, Any]:
    return {name: getattr(row, name) for name in names}


def _unlike(row: TimmModel) -> str:
    """Return a message about other weights of an architecture with another normalisation."""
    tags = tags_of(row.architecture)
    unlike = [tag for tag in tags if _normalisation(model_of(tag)) != _normalisation(row)]
    return f"; mean and std are others in {', '.join(unlike)}" if unlike else ""


def _normalisation(row: TimmModel) -> tuple[Any, Any]:
    return row.mean, row.std


def _refuse_missing(
    key: str, chosen: Mapping[str, Any], known: Mapping[str, Any], origin: str
) -> None:
    """Raise a ConfigError that names all keys without a value."""
    is_whole = chosen.get("mode") == "squash"
    missing = [name for name in _KEYS if name not in chosen and not (name == "crop" and is_whole)]
    if not missing:
        return
    lines = [f"{key}.{name}: missing; {_KEYS[name]}" for name in missing]
    if known:
        lines.append(f"{key}: what else is not given is {_listed(known, known)} ({origin})")
    else:
        lines.append(f"{key}: timm has no default weights for 1000 classes of the architecture")
    raise ConfigError("\n".join(lines))


def _listed(values: Mapping[str, Any], names: Iterable[str]) -> str:
    """Return values with their names, on one line."""
    plain = {name: values[name] for name in names}
    lists = {name: list(value) for name, value in plain.items() if isinstance(value, tuple)}
    return ", ".join(f"{name} {value}" for name, value in (plain | lists).items())
