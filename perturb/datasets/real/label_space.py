"""Numbers of classes: of the labels of a dataset, of the outputs of a model."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from perturb.datasets.labels import read_class_index
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
        naming the key, if `read_class_index` refuses it.
    """
    try:
        return _index_of(Path(path).absolute())
    except FileNotFoundError:
        raise ConfigError(
            f"{key}: {path} does not exist; relative paths are below `data`"
        ) from None
    except (OSError, ValueError) as error:
        reason = str(error).replace(f"source.class_index {Path(path).absolute()}", path)
        raise ConfigError(f"{key}: {reason}") from None


@cache
def _index_of(path: Path) -> Mapping[str, int]:
    return read_class_index(path)


def num_logits(config: Config, model: Model) -> int | None:
    """Return how many classes a model decides among; None where nothing says so beforehand."""
    if model.timm_tag is not None:
        return model_of(model.timm_tag).num_classes
    if model.training is not None:
        return num_label_classes(config.datasets[model.training.dataset])
    return num_label_classes(config.clean_dataset)
