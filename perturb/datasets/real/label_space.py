"""Numbers of classes: of the labels of a dataset, of the outputs of a model."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from perturb.datasets.real.bundled_sets import BUNDLED_CLASSES
from perturb.datasets.synthetic.family import NUM_TARGET_CLASSES
from perturb.messages import ConfigError
from perturb.models.timm_table import model_of
from perturb.records import Config, Dataset, Model


def num_label_classes(dataset: Dataset) -> int | None:
    """Return the number of classes of a model of a dataset's labels; None if unknown.

    A class index lists the classes of the models, of which the images may show a few.
    """
    if dataset.bundled is not None:
        return BUNDLED_CLASSES[dataset.bundled["set"]]
    if dataset.generate is not None:
        return int(dataset.generate.get("classes", NUM_TARGET_CLASSES))
    index = (dataset.source or {}).get("class_index", "numbers")
    if index == "numbers" or dataset.class_map is not None:
        return dataset.num_classes
    return max(class_index(f"datasets.{dataset.id}.source.class_index", index).values()) + 1


def class_index(key: str, path: str) -> Mapping[str, int]:
    """Return the classes of each folder in a JSON file.

    Raises
    ------
    ConfigError
        naming the key, if it is no object of names and numbers.
    """
    try:
        content = _json_of(Path(path).absolute())
    except FileNotFoundError:
        raise ConfigError(
            f"{key}: {path} does not exist; relative paths are below `data`"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{key}: {path} cannot be read as JSON ({error})") from None
    if not isinstance(content, dict) or not all(type(value) is int for value in content.values()):
        raise ConfigError(f"{key}: {path} is no JSON object of names and the numbers of classes")
    if not content or min(content.values()) < 0:
        found = "a negative number" if content else "no class"
        raise ConfigError(f"{key}: {path} holds {found}; allowed: names with numbers from 0 on")
    return content


@cache
def _json_of(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8-sig"))


def num_logits(config: Config, model: Model) -> int | None:
    """Return how many classes a model decides among; None where nothing says so beforehand."""
    if model.timm_tag is not None:
        return model_of(model.timm_tag).num_classes
    if model.training is not None:
        return num_label_classes(config.datasets[model.training.dataset])
    return num_label_classes(config.clean_dataset)
