"""The numbers of images with which a study takes a given time.

Every experiment gets the fewest images that say something, and the same share of the rest of the
time. What one does not need, because it is done with all images, the others share.
"""

import re
from collections.abc import Mapping

from perturb.config import Config
from perturb.cost.rates import Machine
from perturb.cost.study import work_of
from perturb.formatting import duration
from perturb.messages import ConfigError

#: On 50 images the 95 % interval of an accuracy of 50 % is [36.6, 63.4]; on fewer it says little.
FEWEST = 50
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def seconds_of(text: str) -> float:
    """Return a duration such as ``90s``, ``45m``, ``1.5h`` or ``2d``, in seconds.

    Raises
    ------
    ConfigError
        if it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?)\s*(s|m|min|h|d)", text.strip())
    if found is None or float(found[1]) == 0:
        raise ConfigError(f"--budget: {text!r}; expected a time such as 45m, 1.5h or 2d")
    return float(found[1]) * _UNITS[found[2]]


def images_within(
    config: Config, machine: Machine, seconds: float, num_devices: int = 1
) -> dict[str, int]:
    """Return the number of images of each experiment, by its key in the configuration.

    Parameters
    ----------
    config : the study, whose entries of a subset are on all images of the clean set.
    seconds : in which the study is to be done, start-up and charts not included.
    num_devices : that evaluate cells at the same time.

    Raises
    ------
    ConfigError
        if the cost is unknown, or more than the time with `FEWEST` images.
    """
    size = config.clean_dataset.num_images
    work = work_of(config, machine)
    unknown = sorted(work.models_without_size)
    if unknown or size is None:
        what = f"models.{unknown[0]}" if unknown else f"datasets.{config.clean_dataset.id}.images"
        raise ConfigError(f"--budget: the cost of {what} is not known; --images sets the number")
    chosen = subsets(config)
    costs = {key: line.seconds / size for key, line in work.lines.items() if key in chosen}
    whole = sum(line.seconds for key, line in work.lines.items() if key not in chosen)
    least = min(FEWEST, size)
    left = seconds * num_devices - whole - least * sum(costs.values())
    if left < 0:
        raise ConfigError(
            f"--budget: {duration(seconds)}, but {least} images of each experiment take at least "
            f"{duration(seconds - left / num_devices)}"
        )
    return {key: least + more for key, more in shared(costs, left, size - least).items()}


def subsets(config: Config) -> set[str]:
    """Return the keys of the entries that are evaluated on a subset."""
    found = {item.key for item in config.perturbations.values() if item.num_images is not None}
    if config.patterns is not None:
        found.add("perturbation_patterns")
    if config.correlations is not None:
        found.add("layer_correlations")
    return found


def shared(costs: Mapping[str, float], seconds: float, size: int) -> dict[str, int]:
    """Return numbers of images of equal cost, none above the size of the dataset.

    Parameters
    ----------
    costs : of one image [s].
    """
    images: dict[str, int] = {}
    # The cheapest first: what they leave is there for the others.
    for place, (key, cost) in enumerate(sorted(costs.items(), key=lambda item: item[1])):
        share = max(seconds, 0.0) / (len(costs) - place)
        images[key] = size if cost * size <= share else int(share / cost)
        seconds -= images[key] * cost
    return images
