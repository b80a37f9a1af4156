"""The embedded image family: labelled 32 x 32 images, a function of (seed, set, split, index).

Classes are silhouettes. Each class has its own texture on most of its images: the shape always
determines the class, the texture mostly does, and a model may use either. The sets correspond to
those of the paper: ``target`` to ILSVRC-2012, ``upstream`` to pre-training data, ``renditions`` to
ImageNet-R, ``conflict`` to the cue-conflict stimuli of Geirhos et al. [1]_ and ``hard`` to the
pool from which a reference model selects natural adversarial images.

Upstream classes share the first twelve silhouettes with the target set, as larger label sets
contain smaller ones, but never with the texture of the target class.

References
----------
.. [1] Geirhos et al., "ImageNet-trained CNNs are biased towards texture; increasing shape bias
   improves accuracy and robustness", ICLR 2019.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from perturb.datasets.synthetic.draws import Draws
from perturb.datasets.synthetic.family import (
    GENERATED_SETS,
    MAX_UPSTREAM_CLASSES,
    MIN_UPSTREAM_CLASSES,
    NUM_TARGET_CLASSES,
    RENDITIONS,
    SHAPES,
    SIDE,
    SPLITS,
    TEXTURES,
    UPSTREAM_TEXTURES,
)
from perturb.datasets.synthetic.rendering import photograph, pixel_grid
from perturb.datasets.synthetic.renditions import NO_TEXTURE, TEXTURED, draw_rendition
from perturb.datasets.synthetic.scenes import Scene, draw_scene

__all__ = ["RENDITIONS", "SHAPES", "SIDE", "TEXTURES", "Batch", "draw", "generate"]

_CHUNK = 64


@dataclass(frozen=True)
class Batch:
    """Images uint8 (B, 3, 32, 32), targets int64 (B,), and attributes of each image by name."""

    images: Tensor
    targets: Tensor
    attributes: dict[str, Tensor]


def generate(
    set_name: str,
    split: str,
    seed: int,
    indices: Tensor,
    *,
    num_classes: int = NUM_TARGET_CLASSES,
    texture_correlation: float = 0.95,
) -> Batch:
    """Return the images of a set and split at the given indices.

    An image depends on the arguments and its own index, not on the other indices.

    Parameters
    ----------
    set_name : one of ``GENERATED_SETS``. Targets are balanced by index, and so are the kinds of
        ``renditions`` and the pairs of ``conflict``.
    split : one of ``SPLITS``; each has its own random streams, so splits are disjoint.
    seed : seed of the study.
    indices : integers (B,), each at least 0.
    num_classes : 12, or 12 to 48 for ``upstream``, always the first classes.
    texture_correlation : fraction of images with the texture of their class, in [0, 1]; the others
        have the texture of a random other class. ``conflict`` ignores it.

    Returns
    -------
    Batch, with the attributes ``texture`` (int64, a position in ``TEXTURES``) and ``hardness``
    (float32 in [0, 1]), and for ``renditions`` also ``rendition`` (int64, in ``RENDITIONS``).

    Raises
    ------
    ValueError : an argument is invalid.
    """
    scene, targets, texture = draw(
        set_name,
        split,
        seed,
        indices,
        num_classes=num_classes,
        texture_correlation=texture_correlation,
    )
    attributes = {"texture": texture, "hardness": scene.hardness}
    if set_name != "renditions":
        return Batch(_render(scene, partial(photograph, grid=pixel_grid())), targets, attributes)
    rendition = (indices.to(torch.int64) // num_classes) % len(RENDITIONS)
    attributes["rendition"] = rendition
    is_textured = torch.tensor([name in TEXTURED for name in RENDITIONS])[rendition]
    attributes["texture"] = torch.where(is_textured, texture, NO_TEXTURE)
    return Batch(_render_kinds(scene, rendition), targets, attributes)


def draw(
    set_name: str,
    split: str,
    seed: int,
    indices: Tensor,
    *,
    num_classes: int = NUM_TARGET_CLASSES,
    texture_correlation: float = 0.95,
) -> tuple[Scene, Tensor, Tensor]:
    """Return the scenes that ``generate`` renders, their targets and their textures.

    Parameters and errors are those of ``generate``; targets and textures are int64 (B,).
    """
    _check(set_name, split, indices, num_classes, texture_correlation)
    indices = indices.to(torch.int64)
    draws = Draws(seed, f"generated/{set_name}/{split}", indices)
    targets = indices % num_classes
    pool = torch.tensor((UPSTREAM_TEXTURES if set_name == "upstream" else range(12))[:num_classes])
    texture = pool[_texture_slot(draws, set_name, targets, num_classes, texture_correlation)]
    hardness = draws.uniform("hardness") ** 8  # mostly low: its median is 0.004
    if set_name == "hard":
        hardness = draws.uniform("hardness", 0.35, 1.0)
    scene = draw_scene(draws, targets, texture, _palette(texture), hardness=hardness, pool=pool)
    return scene, targets, texture


def _texture_slot(
    draws: Draws, set_name: str, targets: Tensor, num_classes: int, texture_correlation: float
) -> Tensor:
    """Return the class whose texture each image has, int64 (B,)."""
    others = draws.integers("other-texture", num_classes - 1) + 1
    if set_name == "conflict":
        others = (draws.keys // num_classes) % (num_classes - 1) + 1
        return (targets + others) % num_classes
    is_own = draws.coin("own-texture", texture_correlation)
    return torch.where(is_own, targets, (targets + others) % num_classes)


def _palette(texture: Tensor) -> Tensor:
    """Return the base hue of each texture, float64 (B,), in turns: colour depends on texture.

    Hues of the target textures are evenly spaced, the others by the golden ratio. Colour therefore
    agrees with the texture in a cue conflict, as after the style transfer of [1]_; a scene uses the
    complementary hue in half of the images.
    """
    others = texture.double() * 0.6180339887498949
    return torch.where(texture < NUM_TARGET_CLASSES, texture.double() / NUM_TARGET_CLASSES, others)


def _render(scene: Scene, artist: Callable[[Scene], Tensor]) -> Tensor:
    """Return the scenes as uint8 (B, 3, H, W), rendered in chunks of the cache's size."""
    images = torch.empty((len(scene.keys), 3, SIDE, SIDE), dtype=torch.uint8)
    for start in range(0, len(images), _CHUNK):
        part = slice(start, start + _CHUNK)
        picture = artist(scene.rows(part))
        images[part] = picture.mul_(255).add_(0.5).clamp_(0, 255).to(torch.uint8)
    return images


def _render_kinds(scene: Scene, rendition: Tensor) -> Tensor:
    images = torch.empty((len(scene.keys), 3, SIDE, SIDE), dtype=torch.uint8)
    for kind, name in enumerate(RENDITIONS):
        rows = (rendition == kind).nonzero().flatten()
        images[rows] = _render(scene.rows(rows), partial(draw_rendition, rendition=name))
    return images


def _check(
    set_name: str, split: str, indices: Tensor, num_classes: int, texture_correlation: float
) -> None:
    if set_name not in GENERATED_SETS:
        raise ValueError(f"set is {set_name!r}; allowed: {', '.join(GENERATED_SETS)}")
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; allowed: {', '.join(SPLITS)}")
    if indices.ndim != 1 or indices.is_floating_point() or indices.dtype == torch.bool:
        raise ValueError(
            f"indices are {indices.dtype} {tuple(indices.shape)}; allowed: integers (B,)"
        )
    if len(indices) and int(indices.min()) < 0:
        raise ValueError(f"index is {int(indices.min())}; allowed: 0 or more")
    most = MAX_UPSTREAM_CLASSES if set_name == "upstream" else NUM_TARGET_CLASSES
    if not MIN_UPSTREAM_CLASSES <= num_classes <= most:
        raise ValueError(
            f"num_classes of {set_name} is {num_classes}; allowed: {MIN_UPSTREAM_CLASSES} to {most}"
        )
    if not 0 <= texture_correlation <= 1:
        raise ValueError(f"texture_correlation is {texture_correlation}; allowed: 0 to 1")
