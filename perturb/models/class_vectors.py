"""Files of class text vectors: the head of a zero-shot classifier, without torch.

A safetensors file holds exactly two tensors: ``class_vectors`` (K, D), the text vector of each
class in the order of the study's classes, and ``logit_scale``, the factor of their cosines with an
image's vector. The workflow reads them before any job; ``docs/zero-shot.md`` says how to make one.

Legend: K classes, D width of the space that texts and images share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # numpy is imported only by studies with such a file
    import numpy as np

VECTORS, SCALE = "class_vectors", "logit_scale"
_KINDS = ("F16", "F32", "F64")
# CLIP starts at 1 / 0.07 and ends at 100; its parameter is the logarithm, at most 4.6.
_LEAST_SCALE = 5.0
_FEWEST_CLASSES = 2
_HEAD = ("head.weight", "head.fc.weight")


@dataclass(frozen=True)
class ClassVectors:
    """Unit text vectors (K, D), float32, and the factor of their cosines with an image's vector."""

    vectors: np.ndarray
    logit_scale: float

    @property
    def num_classes(self) -> int:
        """The number of classes, K."""
        return int(self.vectors.shape[0])

    @property
    def width(self) -> int:
        """The width of the vectors, D."""
        return int(self.vectors.shape[1])


def read_class_vectors(path: Path) -> ClassVectors:
    """Return the class vectors of a file, scaled to unit length.

    Raises
    ------
    ValueError
        If the file is no safetensors file of the two tensors, their shapes or numbers are of
        another kind, a value is not finite, a vector is zero, or the scale is a logarithm.
    """
    import numpy as np

    tensors = _read(path)
    vectors, scale = tensors[VECTORS].astype(np.float64), tensors[SCALE].astype(np.float64)
    for problem in (*_of_vectors(vectors), *_of_scale(scale)):
        raise ValueError(f"{path}: {problem}")
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return ClassVectors(units.astype(np.float32), float(scale.reshape(())))


def width_of_tower(path: Path) -> int | None:
    """Return the width of an image tower's head in a safetensors file, from the file's header.

    None for a file of another kind, which only a job reads, or without one head.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            names = [n for n in file.keys() if f".{n}".endswith(tuple(f".{h}" for h in _HEAD))]  # noqa: SIM118
            shapes = {tuple(file.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError):
        return None
    return int(shapes.pop()[0]) if len(shapes) == 1 else None


def _read(path: Path) -> dict[str, Any]:
    """Return the two tensors of a file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            names = set(file.keys())
            if names != {VECTORS, SCALE}:
                found = ", ".join(sorted(names)) or "nothing"
                raise ValueError(f"{path}: holds {found}; allowed: exactly {VECTORS} and {SCALE}")
            kinds = {name: file.get_slice(name).get_dtype() for name in sorted(names)}
            for name, kind in kinds.items():
                if kind not in _KINDS:
                    raise ValueError(f"{path}: {name} is {kind}; allowed: {', '.join(_KINDS)}")
            return {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path}: not a safetensors file ({error}); class vectors are one, with {VECTORS} and "
            f"{SCALE}"
        ) from error


def _of_vectors(vectors: np.ndarray) -> Iterator[str]:
    """Yield what is wrong with vectors, of which each later check needs the earlier ones."""
    import numpy as np

    if vectors.ndim != 2 or vectors.shape[0] < _FEWEST_CLASSES or vectors.shape[1] < 1:
        yield f"{VECTORS} has shape {vectors.shape}; allowed: (K, D), a row for each class"
        return
    is_bad = np.logical_not(np.isfinite(vectors).all(axis=1))
    if is_bad.any():
        yield f"{VECTORS}: {_listed(is_bad)} not finite"
        return
    is_zero = np.logical_not(vectors.any(axis=1))
    if is_zero.any():
        yield f"{VECTORS}: {_listed(is_zero)} zero, which has no direction"


def _listed(is_bad: Any) -> str:
    """Return which rows are bad, the first by its number."""
    count = int(is_bad.sum())
    first = int(is_bad.argmax())
    return f"row {first} is" if count == 1 else f"{count} rows are, the first of them {first},"


def _of_scale(scale: np.ndarray) -> Iterator[str]:
    """Yield what is wrong with the factor of the cosines."""
    import numpy as np

    if scale.size != 1:
        yield f"{SCALE} has shape {scale.shape}; allowed: one number"
    elif not np.isfinite(scale).all():
        yield f"{SCALE} is {float(scale.reshape(()))}; allowed: a finite number"
    elif scale.reshape(()) < _LEAST_SCALE:
        value = float(scale.reshape(()))
        yield (
            f"{SCALE} is {value:g}; allowed: the factor of the cosines, {_LEAST_SCALE:g} or more. "
            "CLIP keeps its logarithm: save model.logit_scale.exp()"
        )
