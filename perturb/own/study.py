"""The study that a command line means: a new one, or what it adds to that of the file."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from perturb.config import Config, load_config
from perturb.messages import ConfigError, refuse
from perturb.own import asked_experiments, budget, study_file
from perturb.own.asked_data import dataset_of
from perturb.own.asked_models import View, entries_of, is_model
from perturb.own.estimate import machine_of_study, num_devices
from perturb.plan.sources import faulty_files

#: Images of an experiment if nothing says how many.
IMAGES = 1000

_Sections = dict[str, dict[str, dict[str, Any]]]


def asked_study(arguments: argparse.Namespace) -> tuple[CommentedMap, list[str]]:
    """Return the study of the file and the command line, and what the latter changes."""
    study = study_file.read_study(arguments.study)
    given = _given(arguments, study)
    changes = study_file.extend(study, given)
    if arguments.experiments is None and "perturbations" in given:
        _set_images(study, arguments.images)
        usual = asked_experiments.impossible(study, given["perturbations"])
        for key, reason in usual.items():
            del study["perturbations"][key]
            changes.remove(f"perturbations.{key}: added")
            changes.append(f"perturbations.{key}: left out, {reason}")
    return study, changes


def _given(arguments: argparse.Namespace, study: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries that the command line means.

    Raises
    ------
    ConfigError
        with a line for each word that cannot be understood or is missing.
    """
    models, data = _sorted(arguments.words, has_data="datasets" in study)
    mistakes: list[str] = []
    made: tuple[Callable[[], _Sections], ...] = (
        lambda: _dataset(data, arguments.classes, study),
        lambda: _models(models, arguments, study),
        lambda: _experiments(arguments, study),
    )
    given: dict[str, Any] = {} if "title" in study else _heading(arguments)
    for make in made:
        try:
            given |= {section: entries for section, entries in make().items() if entries}
        except ConfigError as error:
            mistakes += str(error).splitlines()
    if not models and not study.get("models"):
        mistakes.append("MODEL: missing; a name of timm, a file of weights or module:function")
    if data is None and "datasets" not in study:
        mistakes.append("DATA: missing; a folder with a folder for each class comes last")
    mistakes += _too_many(arguments.images, study, given)
    refuse(mistakes)
    return given | ({"device": arguments.device} if arguments.device else {})


def _too_many(
    images: int | None, study: Mapping[str, Any], given: Mapping[str, Any]
) -> Iterator[str]:
    """Yield a message if more images are asked for than the clean dataset has."""
    for id, entry in {**study.get("datasets", {}), **given.get("datasets", {})}.items():
        size = entry.get("images") if entry.get("role") == "clean" else None
        if images is not None and size is not None and images > size:
            yield f"--images: {images} is more than the {size} of {id!r}"


def _heading(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "title": "How robust are my models?",
        "results": f"results/{arguments.study.stem}",
        "data": ".",
        "device": "cpu",
    }


def _dataset(word: str | None, classes: str | None, study: Mapping[str, Any]) -> _Sections:
    """Return the dataset: the clean one, or one beside that of the study."""
    if word is None:
        return {}
    id, entry = dataset_of(word, classes)
    others = (dataset for name, dataset in study.get("datasets", {}).items() if name != id)
    if any(dataset.get("role") == "clean" for dataset in others):
        del entry["role"]
    source = entry["source"]
    for key in source.keys() & {"path", "class_index"}:
        source[key] = _below_data(source[key], study)
    return {"datasets": {id: {**study.get("datasets", {}).get(id, {}), **entry}}}


def _below_data(path: str, study: Mapping[str, Any]) -> str:
    """Return a path of the command line as the study has it: below its `data`, or absolute."""
    data, place = Path(study.get("data", ".")).absolute(), Path(path).absolute()
    if data == Path.cwd() or path.startswith("resources/") or path == "numbers":
        return path
    return str(place.relative_to(data) if place.is_relative_to(data) else place)


def _models(
    words: Sequence[str], arguments: argparse.Namespace, study: Mapping[str, Any]
) -> _Sections:
    """Return the models; of one that the study has, what the command line does not say stays."""
    mean, std = (values and tuple(values) for values in (arguments.mean, arguments.std))
    view, known = (
        View(arguments.side, arguments.mode, arguments.crop, mean, std),
        study.get("models", {}),
    )
    entries = entries_of(words, arguments.architecture, view, known)
    for entry in entries.values():
        if "file" in entry["weights"]:
            entry["weights"]["file"] = _below_data(entry["weights"]["file"], study)
    for id in entries.keys() & known.keys():
        entry, old = entries[id], known[id]
        entries[id] = {**old, **entry}
        if "preprocessing" in entry or "preprocessing" in old:
            parts = (entry.get("preprocessing", {}), old.get("preprocessing", {}), view.given())
            entries[id]["preprocessing"] = {key: v for part in parts for key, v in part.items()}
    return {"models": entries}


def _sorted(words: Sequence[str], *, has_data: bool) -> tuple[list[str], str | None]:
    """Return the models and the data among words: the data comes last, if it is there."""
    if not words or (has_data and is_model(words[-1])):
        return list(words), None
    if len(words) == 1 and is_model(words[0]):
        return list(words), None
    return list(words[:-1]), words[-1]


def _experiments(arguments: argparse.Namespace, study: Mapping[str, Any]) -> _Sections:
    """Return the entries of experiments: those asked for, the usual ones in a new study."""
    asked = arguments.experiments
    if asked is None and study.get("perturbations"):
        return {}
    words = asked_experiments.USUAL if asked is None else asked_experiments.split(asked)
    sections = asked_experiments.entries_of(words)
    here = study.get("perturbations") or {}
    if "none" not in here:
        sections["perturbations"] = {"none": {}, **sections["perturbations"]}
    known = {**here, **(study.get("analyses") or {})}
    return {
        section: {key: entry for key, entry in entries.items() if key not in known}
        for section, entries in sections.items()
    }


def checked(study: CommentedMap, arguments: argparse.Namespace) -> Config:
    """Set the numbers of images, and return the study if it can be run.

    Raises
    ------
    ConfigError
        with a line for each mistake, and each file that is missing.
    """
    _set_images(study, arguments.images)
    config = load_config(study)
    if arguments.budget is not None:
        machine = machine_of_study(config, arguments.tflops)
        seconds = budget.seconds_of(arguments.budget)
        images = budget.images_within(
            config, machine, seconds, num_devices(config, arguments.cores)
        )
        for key, count in images.items():
            section = "analyses" if key in study.get("analyses", {}) else "perturbations"
            study[section][key]["images"] = count
        config = load_config(study)
    if lines := faulty_files(config):
        raise ConfigError("\n".join(lines))
    return config


def _set_images(study: CommentedMap, images: int | None) -> None:
    """Set the number of images of the experiments that have none, or of all."""
    sizes = [entry.get("images") for entry in study.get("datasets", {}).values()]
    size = min((size for size in sizes if size is not None), default=IMAGES)
    for section in ("perturbations", "analyses"):
        for key, entry in (study.get(section) or {}).items():
            if not asked_experiments.takes_images(section, key):
                continue
            if images is not None:
                entry["images"] = images
            elif "images" not in entry:
                entry["images"] = min(IMAGES, size)
