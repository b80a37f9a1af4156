"""Models of a command line: timm's tags, files of weights and Python factories."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perturb.files import sha256_of
from perturb.messages import ConfigError, did_you_mean, refuse
from perturb.models.timm_table import (
    TimmModel,
    default_of,
    geometry,
    known_architectures,
    timm_models,
)
from perturb.own.nearby import beside

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".npz", ".tar")
_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)=(.+)")


@dataclass(frozen=True)
class View:
    """Preprocessing that a command line gives to files of weights and factories."""

    side: int | None = None
    mode: str | None = None
    crop: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def given(self) -> dict[str, Any]:
        """Return the given values, as in the configuration."""
        values = {name: value for name, value in vars(self).items() if value is not None}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }


def is_model(word: str) -> bool:
    """Return whether a word can only be a model: no folder, archive or table of images."""
    _, spec = _split(word)
    path = Path(spec)
    if path.exists():
        return path.is_file() and path.suffix in SUFFIXES and path.suffix != ".tar"
    return bool(_FACTORY.fullmatch(spec)) or _is_of_timm(spec)


def entries_of(
    words: Sequence[str],
    architectures: Sequence[str],
    view: View,
    known: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the entries of `models` that words of a command line mean, by id.

    Parameters
    ----------
    words : tags of timm, files of weights, or ``package.module:function``; ``NAME=WORD`` gives an
        id, else it is the tag, the name of the file or of the function.
    architectures : timm's names for the files in their order, or one for all.
    view : preprocessing of files and factories.
    known : models of the study, whose architectures need not be said again.

    Raises
    ------
    ConfigError
        with a line for each word that names no model, and each id that stands twice.
    """
    files = [word for word in words if Path(_split(word)[1]).is_file()]
    unknown = set(architectures) - set(known_architectures())
    mistakes = list(_unfit_architectures(architectures, unknown, files))
    names = list(architectures) * len(files) if len(architectures) == 1 else architectures
    of_file = dict(zip(files, names, strict=False))
    entries: dict[str, dict[str, Any]] = {}
    for word in words:
        id, spec = _split(word)
        if of_file.get(word) in unknown:
            continue
        made = id or _id_of(spec)
        before = (known or {}).get(made, {}).get("architecture")
        try:
            entry = _entry(spec, of_file.get(word, before), view)
        except ConfigError as error:
            mistakes.append(str(error))
            continue
        if made in entries:
            mistakes.append(
                f"{word}: the model {made!r} stands twice; NAME={spec} gives it another name"
            )
        entries[made] = entry
    refuse(mistakes)
    return entries


def _split(word: str) -> tuple[str | None, str]:
    found = _NAMED.fullmatch(word)
    if found is None or Path(word).exists():
        return None, word
    return found[1], found[2]


def _unfit_architectures(
    architectures: Sequence[str], unknown: Collection[str], files: Sequence[str]
) -> Iterator[str]:
    if architectures and len(architectures) not in (1, len(files)):
        yield (
            f"--architecture: {len(architectures)} names for {len(files)} files of weights; "
            "allowed: one for all, or one for each"
        )
    names = known_architectures()
    for name in sorted(unknown):
        yield f"--architecture: {name!r} is no network of timm.{did_you_mean(name, names)}"


def _entry(spec: str, architecture: str | None, view: View) -> dict[str, Any]:
    path = Path(spec)
    if path.is_file():
        return _of_file(spec, path, architecture, view)
    return _of_factory(spec, view) if _FACTORY.fullmatch(spec) else _of_timm(spec)


def _of_file(spec: str, path: Path, architecture: str | None, view: View) -> dict[str, Any]:
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{spec}: no file of weights; allowed: {', '.join(SUFFIXES)}")
    if architecture is None:
        raise ConfigError(
            f"{spec}: --architecture is missing; the name of its network in timm, such as resnet18"
        )
    row = default_of(architecture) or geometry(architecture)
    given = {"side": row.side, **view.given()}
    return {
        "architecture": architecture,
        "weights": {"file": spec, "sha256": sha256_of(path)},
        "preprocessing": _whole(given, row),
    }


def _whole(given: dict[str, Any], row: TimmModel) -> dict[str, Any]:
    """Return a preprocessing with every value, so that the file shows what is assumed."""
    filled = {
        "side": row.side,
        "mode": row.mode,
        "crop": min(row.crop, 1.0),
        "interpolation": row.interpolation,
        "mean": list(row.mean),
        "std": list(row.std),
        **given,
    }
    if filled["mode"] == "squash":
        del filled["crop"]
    return filled


def _of_factory(spec: str, view: View) -> dict[str, Any]:
    given = view.given()
    missing = [f"--{name}" for name in ("side", "mean", "std") if name not in given]
    if missing:
        raise ConfigError(
            f"{spec}: {', '.join(missing)}: missing; a function does not say what its network's "
            "images are, such as --side 224 --mean 0.485 0.456 0.406 --std 0.229 0.224 0.225"
        )
    squash = {} if "crop" in given else {"mode": "squash"}
    return {"weights": {"factory": spec}, "preprocessing": {**squash, **given}}


def _of_timm(spec: str) -> dict[str, Any]:
    rows, default = timm_models(), default_of(spec)
    if spec in rows:
        return {"weights": {"timm": spec}}
    if default is not None:
        return {"weights": {"timm": default.tag}}
    if Path(spec).suffix in SUFFIXES or "/" in spec:
        raise ConfigError(f"{spec}: there is no such file.{did_you_mean(spec, beside(spec))}")
    names = {*rows, *(row.architecture for row in rows.values()), *beside(spec)}
    raise ConfigError(
        f"{spec}: no model, and no such file; allowed: a name or tag of timm, a file of weights, "
        f"or package.module:function.{did_you_mean(spec, names)}"
    )


def _is_of_timm(spec: str) -> bool:
    return spec in timm_models() or default_of(spec) is not None


def _id_of(spec: str) -> str:
    """Return the id of a model: the name of its file or function, or timm's."""
    path, is_factory = Path(spec), _FACTORY.fullmatch(spec)
    name = path.stem if path.is_file() else spec.partition(":")[2] if is_factory else spec
    id = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("._-")
    return (id or "model")[:64]
