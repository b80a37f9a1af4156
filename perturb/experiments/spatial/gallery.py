"""Rotated and translated images for the gallery: the worst case, and the ends of the grid."""

from collections.abc import Collection, Iterator, Sequence

import pyarrow.compute as pc
import torch
from torch import Tensor

from perturb.experiments.gallery import Picture, Scene
from perturb.experiments.setting import checked_options
from perturb.experiments.spatial.transforms import Transform, spatial_grid, transform

_COLUMNS = ("rotation_deg", "translation_x_px", "translation_y_px")


def pictures(scene: Scene) -> Iterator[Picture]:
    """Yield the worst transform of each image, as the shard has it, and the ends of the grid.

    The largest rotation to each side, and the largest translation, are points from which the
    ``random`` condition draws: they have that name.
    """
    if "grid" in scene.setting.conditions:
        yield _worst(scene)
    if "random" in scene.setting.conditions:
        for label, point in _ends(scene).items():
            yield Picture("random", _moved(scene, *point), label)


def _worst(scene: Scene) -> Picture:
    if scene.rows is None:
        raise ValueError("spatial: pictures of the worst case need the rows of the shard")
    found = scene.rows.filter(pc.equal(scene.rows["condition"], "grid"))
    if len(found) != len(scene.images.keys):
        raise ValueError(
            f"spatial: the shard has the worst transform of {len(found)} images; "
            f"expected: {len(scene.images.keys)}"
        )
    angles, *shifts = (found[name].to_pylist() for name in _COLUMNS)
    # The shard has float32: the nearest angle of the grid is the exact one.
    grid = {point.rotation_deg for point in _grid(scene)}
    exact = [_nearest(grid, angle) for angle in angles]
    rotations = torch.tensor(exact, dtype=torch.float64)
    return Picture("grid", _moved(scene, rotations, *shifts))


def _nearest(values: Collection[float], given: float) -> float:
    return min(values, key=lambda value: abs(value - given))


def _grid(scene: Scene) -> Sequence[Transform]:
    options = checked_options("spatial", scene.setting)
    options.pop("samples")
    return spatial_grid(min(scene.images.pixels.shape[2:]), scene.setting.severity, **options)


def _ends(scene: Scene) -> dict[str, Transform]:
    """Return the ends of the grid by their labels, without the identity."""
    grid = _grid(scene)
    deg = max(point.rotation_deg for point in grid)
    shift_px = max(point.x_px for point in grid)
    found = {}
    if deg:
        found[f"Rotated {deg:g}° left"] = Transform(deg, 0, 0)
        found[f"Rotated {deg:g}° right"] = Transform(-deg, 0, 0)
    if shift_px:
        found[f"Moved {shift_px} px right and down"] = Transform(0.0, shift_px, shift_px)
    return found


def _moved(
    scene: Scene,
    rotation_deg: float | Tensor,
    x_px: int | Sequence[int],
    y_px: int | Sequence[int],
) -> Tensor:
    shifts = (torch.as_tensor(shift) for shift in (x_px, y_px))
    return transform(scene.images.pixels, rotation_deg, *shifts)
