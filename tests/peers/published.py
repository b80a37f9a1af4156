"""ImageNet-C's own code on today's stack: repaired where it no longer runs, and fed with our draws.

``imagenet-c`` is what its authors released; nothing of it is copied here. It is ten years of
libraries old: ``load`` puts back the five names that they took away, and changes no arithmetic.
Its frost photographs are not in the package; the ones of ``imagecorruptions`` are the same files.
"""

import importlib
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image

FROST_FILES = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg", "frost6.jpg")


def frost_folder() -> Path:
    """Return where the published frost photographs lie."""
    package = importlib.import_module("imagecorruptions")
    return Path(str(package.__file__)).parent


def load() -> Any:
    """Return the module ``imagenet_c.corruptions``, able to run."""
    resources = types.ModuleType("pkg_resources")
    resources.resource_filename = lambda _, name: str(frost_folder() / name)  # type: ignore[attr-defined]
    sys.modules.setdefault("pkg_resources", resources)
    module: Any = importlib.import_module("imagenet_c.corruptions")
    module.np = _namespace(np, float_=np.float64, fromstring=np.frombuffer)
    module.gaussian = _gaussian
    return module


def _namespace(module: types.ModuleType, **names: object) -> Any:
    """Return the module with further names, leaving the original alone."""
    changed = types.ModuleType(module.__name__)
    changed.__dict__.update(vars(module) | names)
    return changed


def _gaussian(
    image: np.ndarray, sigma: float, multichannel: bool = False, **options: Any
) -> np.ndarray:
    filters = importlib.import_module("skimage.filters")
    axis = -1 if multichannel else None
    return np.asarray(filters.gaussian(image, sigma, channel_axis=axis, **options))


def run(corruption: str, pixels: np.ndarray, severity: int) -> np.ndarray:
    """Return uint8 (H, W, 3) as the published code makes it of uint8 (H, W, 3)."""
    changed = getattr(load(), corruption)(Image.fromarray(pixels), severity)
    return np.asarray(changed).astype(np.uint8)


# ------------------------------------------------------------------------------ feeding it draws


@contextmanager
def fed(corruption: str, draws: Sequence[np.ndarray]) -> Iterator[None]:
    """Let the published code draw what our function of this corruption was given.

    Parameters
    ----------
    corruption : one of the 19.
    draws : of one image, in the order of our function's arguments after the constants.
    """
    feed = FED.get(corruption)
    if feed is None:  # it draws nothing
        yield
        return
    with mock.patch.multiple(np.random, **feed(*draws)):
        yield


Feed = dict[str, Any]  # what stands in for numpy.random, by name


def _channels_last(plane: np.ndarray) -> np.ndarray:
    return plane.transpose(1, 2, 0) if plane.ndim == 3 else plane


def _normal(normals: np.ndarray) -> Feed:
    def normal(loc: float = 0.0, scale: float = 1.0, size: tuple[int, ...] = ()) -> np.ndarray:
        drawn = _channels_last(normals).astype(np.float64)
        assert drawn.shape == size
        return loc + scale * drawn

    return {"normal": normal}


def _poisson(uniforms: np.ndarray) -> Feed:
    """By inversion, as ours, but with SciPy's distribution."""
    stats = importlib.import_module("scipy.stats")

    def poisson(rates: np.ndarray) -> np.ndarray:
        counts = stats.poisson.ppf(_channels_last(uniforms).astype(np.float64), rates)
        return np.asarray(np.where(rates == 0, 0, np.maximum(counts, 0)))

    return {"poisson": poisson}


def _impulse(uniforms: np.ndarray, is_salt: np.ndarray) -> Feed:
    """scikit-image asks a generator for one plane that decides whether, and one for salt."""
    # Salt where the second plane is at most a half.
    planes = iter([_channels_last(uniforms).astype(np.float64), 1.0 - _channels_last(is_salt)])
    generator = types.SimpleNamespace(random=lambda _: next(planes))
    return {"default_rng": lambda *_: generator}


def _glass(offsets: np.ndarray) -> Feed:
    """A pair (dx, dy) a pixel, from the lower right to the upper left, edges left out."""
    num_iterations, _, H, W = offsets.shape

    def pairs(reach: int) -> Iterator[np.ndarray]:
        for iteration in range(num_iterations):
            for h in range(H - reach, reach, -1):
                yield from offsets[iteration, ::-1, h, W - reach : reach : -1].T.astype(int)

    stream: Iterator[np.ndarray] | None = None

    def randint(low: int, high: int, size: tuple[int]) -> np.ndarray:
        nonlocal stream
        assert (low, size) == (-high, (2,))
        stream = pairs(high) if stream is None else stream
        return next(stream)

    return {"randint": randint}


def _uniform(*parts: np.ndarray) -> Feed:
    """Draws in [0, 1) stretched to what is asked for, one after another."""
    stream = np.concatenate([part.astype(np.float64).ravel() for part in parts])
    used = 0

    def uniform(low: float, high: float, size: tuple[int, ...] = ()) -> np.ndarray:
        nonlocal used
        count = int(np.prod(size))
        drawn = stream[used : used + count].reshape(size)
        used += count
        return low + (high - low) * drawn

    return {"uniform": uniform}


def _angle(angle_deg: np.ndarray) -> Feed:
    def uniform(low: float, high: float) -> float:
        assert low <= angle_deg < high
        return float(angle_deg)

    return {"uniform": uniform}


def _frost(file: np.ndarray, corner: np.ndarray) -> Feed:
    """First which file of five, then the crop's row and column."""
    shares = iter([None, *corner.tolist()])

    def randint(low: int, high: int | None = None) -> int:
        share = next(shares)
        if share is None:
            assert (low, high) == (5, None)
            return int(file)
        assert low == 0
        assert high is not None
        return int(share * high)

    return {"randint": randint}


FED: dict[str, Callable[..., Feed]] = {
    "gaussian_noise": _normal,
    "shot_noise": _poisson,
    "impulse_noise": _impulse,
    "glass_blur": _glass,
    "motion_blur": _angle,
    "snow": lambda normals, angle: _normal(normals) | _angle(angle),
    "frost": _frost,
    "fog": _uniform,
    "elastic_transform": _uniform,
    "speckle_noise": _normal,
    "spatter": _normal,
}
