"""Expected origins of checkpoints and decoded datasets, and their comparison with the actual ones.

Snakemake compares a job's parameters with its record of the last run, and keeps these records
outside the results folder. A results folder that was copied without them, or made by another
checkout, would be used unchanged under any configuration. Therefore each checkpoint and decoded
dataset records its own origin: all inputs that change its numbers, by names and hashes that stay
the same when results or data are moved. Planning compares the origin with the configuration, and
plans the job again if it differs; each job compares the files that it reads.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

from perturb.config import Config
from perturb.files import sha256_of
from perturb.models.arguments import PROTOCOL as TRAINING_PROTOCOL
from perturb.models.recipes import RECIPES
from perturb.plan import params, sources
from perturb.plan.paths import Paths
from perturb.plan.stores import stores_of_dataset

Origin = Mapping[str, Any]

_UNREAD = "not read: the file is not there"
_LABEL_FILES = ("labels", "synsets", "accepted_labels", "class_index")
_NUM_NAMED = 20


def of_store(config: Config, store: str) -> dict[str, Any]:
    """Return the origin of a decoded dataset."""
    id = store.partition("/")[0]
    dataset = config.datasets[id]
    if dataset.generate is not None:
        return params.generated(config, id)
    if dataset.bundled is not None:
        return params.bundled(config, id)
    if dataset.filter is not None:
        models = sorted(dataset.filter_models)  # their order changes no image
        return {
            "filter": {**dataset.filter, "wrong_by": models},
            "pool": of_store(config, dataset.filter["dataset"]),
            "wrong_by": {id: of_checkpoint(config, id) for id in models},
        }
    return sources.decoded(config, store) | {"source": _source(config, id)}


def of_checkpoint(config: Config, model: str) -> dict[str, Any]:
    """Return the origin of a model's weights: a whole training, or pretrained weights."""
    entry = config.models[model]
    if entry.training is not None:
        datasets = params.training_datasets(config, model)
        return {
            **params.model_facts(config, model),
            "num_samples": params.training_samples(config, model),
            "images": {purpose: of_store(config, id) for purpose, id in datasets.items()},
            "recipe": asdict(RECIPES[entry.architecture.family]),
            "seed": config.seed,
            "protocol": TRAINING_PROTOCOL,
        }
    facts = params.given_facts(config, model)
    weights = facts["weights"]
    if "sha256" in weights:
        named = {key: value for key, value in weights.items() if key != "file"}
        facts["weights"] = named | {"sha256": weights["sha256"].lower()}
        if "class_vectors" in weights:
            facts["weights"]["class_vectors"] = weights["class_vectors"]["sha256"]
    is_as_clean = entry.own_preprocessing is None  # input and classes of the clean images
    return facts | {"images": of_store(config, config.clean_dataset.id) if is_as_clean else None}


def check_files(config: Config, files: Iterable[str | Path]) -> None:
    """Raise a ValueError if a job's checkpoints or decoded datasets have another origin.

    Raises
    ------
    ValueError
        naming each, the difference, and the remedy.
    """
    asked = {os.path.normpath(file) for file in files}
    _refuse({path: origin for path, origin in _artefacts(config).items() if path in asked})


def check_study(config: Config) -> None:
    """Raise a ValueError if existing checkpoints or decoded datasets have another origin."""
    _refuse({path: origin for path, origin in _artefacts(config).items() if Path(path).exists()})


def foreign_artefacts(config: Config) -> dict[str, list[str]]:
    """Return the existing cards and manifests of another origin, with the differences."""
    there = ((path, origin) for path, origin in _artefacts(config).items() if Path(path).exists())
    differences_of = {path: _differs(Path(path), origin()) for path, origin in there}
    return {path: lines for path, lines in differences_of.items() if lines}


def _differs(path: Path, expected: Origin) -> list[str]:
    try:
        return _faults(path, expected)
    except ValueError as error:
        return [str(error)]


def differences(found: Any, expected: Any) -> Iterator[str]:
    """Yield the differences between two origins, one line per key."""
    yield from _differences(_in_present_form(found), _in_present_form(expected), "")


def _differences(found: Any, expected: Any, key: str) -> Iterator[str]:
    if _UNREAD in (found, expected) or found == expected:
        return
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in sorted(found.keys() | expected.keys()):
            inner = f"{key}.{name}" if key else name
            if isinstance(expected.get(name), dict) and name not in found:
                yield f"{inner} is missing"
            elif isinstance(found.get(name), dict) and name not in expected:
                yield f"{inner} is not expected"
            else:
                yield from _differences(found.get(name), expected.get(name), inner)
        return
    yield f"{key} is {found!r}, expected {expected!r}"


def _artefacts(config: Config) -> dict[str, Callable[[], Origin]]:
    """Return the function for each checkpoint's and decoded dataset's origin, by its file."""
    layout = Paths(config.results)
    found: dict[str, Callable[[], Origin]] = {}
    for model in config.models:
        found[layout.card(model)] = partial(of_checkpoint, config, model)
    for dataset in config.datasets:
        for store in stores_of_dataset(config, dataset):
            found[layout.manifest(store)] = partial(of_store, config, store)
    return {os.path.normpath(path): origin for path, origin in found.items()}


def _refuse(origins: Mapping[str, Callable[[], Origin]]) -> None:
    lines, faulty = [], []
    for path, origin in origins.items():
        found = [f"{path}: {line}" for line in _faults(Path(path), origin())]
        lines += found
        faulty += [path] if found else []
    if not faulty:
        return
    more = [f"and {len(lines) - _NUM_NAMED} more"] if len(lines) > _NUM_NAMED else []
    folders = " ".join(str(Path(path).parent) for path in faulty)
    raise ValueError(
        "\n".join(
            [
                "Results on disk were not made from what the configuration asks for.",
                *lines[:_NUM_NAMED],
                *more,
                f"Delete these folders, and the next run makes them anew: {folders}",
                f"(or give the options `--forcerun {' '.join(faulty)}`), or put the configuration "
                "back as it was.",
            ]
        )
    )


def _faults(path: Path, expected: Origin) -> list[str]:
    found = _card_origin(path) if path.suffix == ".json" else _store_origin(path)
    if found and found.get("model") != expected.get("model"):  # further differences add nothing
        return [f"is the card of model {found.get('model')!r}, expected {expected['model']!r}"]
    if found is None:
        return [
            "does not say what it was made from: it was written by an older version, or by "
            "another program"
        ]
    return list(differences(found, json.loads(json.dumps(expected))))


def _in_present_form(origin: Any) -> Any:
    """Return an origin with the models of each filter by id, as earlier versions did not if one."""
    if not isinstance(origin, dict):
        return origin
    found = {key: _in_present_form(value) for key, value in origin.items()}
    chosen = found.get("filter")
    if isinstance(chosen, dict) and "wrong_by" in chosen:
        models, is_one = chosen["wrong_by"], isinstance(chosen["wrong_by"], str)
        found["filter"] = {**chosen, "wrong_by": [models] if is_one else sorted(models)}
        found["wrong_by"] = {models: found["wrong_by"]} if is_one else found["wrong_by"]
    return found


def _card_origin(path: Path) -> Origin | None:
    try:
        card = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    origin = card.get("made_from") if isinstance(card, dict) else None
    return origin or None


def _store_origin(path: Path) -> Origin | None:
    # Not needed where Snakemake plans a study, and slow to import.
    from perturb.datasets.manifests import read_origin

    return read_origin(path)


def _source(config: Config, id: str) -> dict[str, Any]:
    """Return a source with paths and hashes that do not depend on its place."""
    source = sources.resolved_source(config, config.datasets[id])
    source["path"] = _place(Path(source["path"]), Path(config.data))
    for key in _LABEL_FILES:
        if key in source and source[key] != "numbers":
            source[key] = _content(Path(source[key]))
    return source


def _place(path: Path, root: Path) -> str:
    """Return a path relative to the root; of one elsewhere its end, unchanged by a move."""
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return "/".join(path.parts[-2:])


@cache
def _content(path: Path) -> str:
    """Return the SHA-256 of a file, or the name of a folder."""
    if path.is_dir():
        return path.name
    return sha256_of(path) if path.is_file() else _UNREAD
