"""The parts of a corruption: a function of images, its constants and its draws."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from perturb.experiments.corruptions import draws
from perturb.experiments.corruptions.scaling import PUBLISHED_SIDE, Constants

# Keys of the images, constants, height, width -> draws of each image.
Draw = Callable[[Tensor, Constants, int, int], tuple[Tensor, ...]]


def nothing(*_: object) -> tuple[Tensor, ...]:
    """Return no draws."""
    return ()


def normals(keys: Tensor, _: Constants, H: int, W: int) -> tuple[Tensor, ...]:
    """Return draws from N(0, 1) for each value."""
    return (draws.normals(keys, 3, H, W),)


def normal_plane(keys: Tensor, _: Constants, H: int, W: int) -> tuple[Tensor, ...]:
    """Return draws from N(0, 1) for each pixel."""
    return (draws.normals(keys, H, W),)


def uniforms(keys: Tensor, _: Constants, H: int, W: int) -> tuple[Tensor, ...]:
    """Return draws from U[0, 1) for each value."""
    return (draws.uniforms(keys, 3, H, W),)


@dataclass(frozen=True)
class Corruption:
    """``apply(images, constants, *draw(keys, constants, H, W))``, on a CPU in pieces.

    published : the constants of severities 1 to 5 at 224 px.
    scaled : returns the constants at another size, given its side over 224.
    num_values : on a CPU, the size of pieces that fit into its cache, chosen by measurement.
    on_device : the form for a GPU where it is another: the same bytes without a wait for the host,
        by as many operations for any batch.
    """

    apply: Callable[..., Tensor]
    published: tuple[Constants, ...]
    draw: Draw = nothing
    scaled: Callable[[Constants, float], Constants] | None = None
    num_values: int = 1 << 18
    on_device: Callable[..., Tensor] | None = None

    def form(self, *, on_device: bool) -> Callable[..., Tensor]:
        """Return the function for a GPU or for a CPU."""
        return self.on_device if on_device and self.on_device is not None else self.apply

    def constants(self, severity: int, height: int, width: int) -> Constants:
        """Return the constants at a severity from 1 to 5 for images of this size."""
        published = self.published[severity - 1]
        scale = min(height, width) / PUBLISHED_SIDE
        if scale == 1.0 or self.scaled is None:
            return published
        return self.scaled(published, scale)
