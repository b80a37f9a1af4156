"""Checks of architectures: their patches, and the arguments of those that timm has no name for."""

from collections.abc import Iterator

from perturb.messages import did_you_mean, each, listed
from perturb.models.arguments import ARGUMENTS, unfit_arguments
from perturb.records import Architecture, Config


def check_architectures(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the id of each architecture with a mistake, and the message."""
    for id, entry in config.architectures.items():
        for message in each(_check_patch_size(entry), _check_origin(entry, config)):
            yield id, message


def _check_patch_size(architecture: Architecture) -> Iterator[str]:
    key, family = f"architectures.{architecture.id}.patch_size", architecture.family
    if family == "vit" and architecture.patch_size is None:
        yield f"{key}: missing; a ViT needs the side of its patches in pixels"
    if family != "vit" and architecture.patch_size is not None:
        whose = "a ResNet has none" if family == "resnet" else "only with family: vit"
        yield f"{key}: {architecture.patch_size} is not allowed; {whose}"


def _check_origin(architecture: Architecture, config: Config) -> Iterator[str]:
    """Check that the network is given in one way: by timm's name, its models' tags or arguments."""
    key = f"architectures.{architecture.id}"
    of_it = [model for model in config.models.values() if model.architecture.id == architecture.id]
    is_given = bool(architecture.arguments.keys() - {"patch_size"})
    is_from_timm = all(model.timm_tag for model in of_it)
    if of_it and all(model.factory for model in of_it):
        return
    if architecture.timm is not None or (is_from_timm and not is_given):
        return
    if of_it and is_from_timm and config.is_whole("models"):
        yield f"{key}.arguments: not allowed; all its models have their weights from timm"
    elif architecture.family not in ARGUMENTS:
        yield (
            f"{key}.timm: missing; networks of `family: {architecture.family}` are given by their "
            "name in timm, not by `arguments`"
        )
    elif not is_given:
        yield (
            f"{key}: one of `arguments` and `timm`, the name of the architecture in timm, is needed"
        )
    else:
        yield from _check_arguments(architecture)


def _check_arguments(architecture: Architecture) -> Iterator[str]:
    key, arguments = f"architectures.{architecture.id}.arguments", architecture.arguments
    known = ARGUMENTS[architecture.family]
    for name in arguments:
        is_told = name == "patch_size" and architecture.patch_size is not None
        if name not in known and not is_told:
            yield (
                f"{key}: unknown argument `{name}`; allowed: {listed(known)}."
                f"{did_you_mean(name, known)}"
            )
    is_typed = True
    for name, types in known.items():
        value = arguments.get(name)
        if not isinstance(value, types) or isinstance(value, bool):
            is_typed = False
            kinds = " or ".join(kind.__name__ for kind in types)
            yield f"{key}.{name}: {value!r} is not allowed; {kinds} is needed"
    if is_typed:
        problems = unfit_arguments(architecture.family, arguments)
        yield from (f"{key}: {problem}" for problem in problems)
