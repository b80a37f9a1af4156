"""The corruptions of ImageNet-C by name: ``corrupt(images, corruption, severity, keys, seed)``.

Protocol: the 15 corruptions and 4 extra ones of Hendrycks and Dietterich (ICLR 2019) at five
severities, computed in memory; given the same draws, the pixels equal those of the published code
at 224 px, and are scaled in proportion at other sizes (see ``scaling.py``).

Differences: draws are a hash of (seed, corruption, severity, image key), so an image's result does
not depend on batch, order or worker; frost textures are procedural unless others are given; the
JPEG pass of the published *files* is an option, whose results have another name. Each module
defines the corruptions of one kind, with their constants and draws.

On a GPU some corruptions have another form (``Corruption.on_device``), without work or waiting of
the host. Given the same draws, the bytes of noise, frost, fog, colours, pixelate and JPEG are those
of a CPU: they come from whole numbers, or from single operations that IEEE 754 defines. Those of
blurs and elastic transform are sums in float64 in another order, which differ by about 1e-13 of a
level and almost never lie that close to a whole one (``filters.py``).
Draws from U[0, 1) are whole numbers and equal. Draws from N(0, 1), of Gaussian and speckle noise,
snow and spatter, contain logarithms, sines and cosines in float32, whose last bit depends on the
library of the GPU and of the CPU: about one value in a million may differ there, mostly by a level.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from perturb import random
from perturb.experiments.corruptions import (
    blur,
    digital,
    elastic,
    glass,
    jpeg,
    noise,
    spatter,
    weather,
)
from perturb.experiments.corruptions.corruption import Corruption, nothing
from perturb.experiments.corruptions.frost_textures import (
    Panes,
    as_panes,
    resident_textures,
)
from perturb.experiments.corruptions.frost_textures import frost_textures as our_frost_textures
from perturb.experiments.corruptions.names import (
    BENCHMARK_CORRUPTIONS,
    CORRUPTIONS,
    EXTRA_CORRUPTIONS,
    SMALLEST_SIDE,
)
from perturb.experiments.corruptions.scaling import Constants

__all__ = [
    "BENCHMARK_CORRUPTIONS",
    "CORRUPTIONS",
    "EXTRA_CORRUPTIONS",
    "corrupt",
    "draw",
    "jpeg_pass",
]

MAX_SEVERITY = 5

_KINDS = (noise, blur, glass, weather, digital, elastic, spatter)
_TABLE: dict[str, Corruption] = {
    name: entry for kind in _KINDS for name, entry in kind.CORRUPTIONS.items()
}


def draws_nothing(corruption: str) -> bool:
    """Return whether a corruption is the same for every key and seed."""
    return _TABLE[corruption].draw is nothing


def constants(corruption: str, severity: int, height: int, width: int) -> Constants:
    """Return a corruption's constants at a severity from 1 to 5 for images of this size."""
    return _TABLE[corruption].constants(severity, height, width)


@torch.no_grad()
def corrupt(
    images: Tensor,
    corruption: str,
    severity: int,
    image_keys: Tensor,
    seed: int,
    *,
    frost_textures: Sequence[Tensor] | None = None,
    jpeg_quality: int | None = None,
    on_device: bool | None = None,
) -> Tensor:
    """Return the images under a corruption, optionally followed by JPEG.

    Parameters
    ----------
    images : uint8 (B, 3, H, W), one or more, sides of 16 px or more; not changed.
    corruption : one of ``CORRUPTIONS``.
    severity : 0 to 5; 0 returns the images unchanged.
    image_keys : int64 (B,), ``perturb.random.image_key`` of each image's id.
    seed : the study's seed.
    frost_textures : in place of the procedural ones: five or more, uint8 (3, height, width), larger
        than the images.
    jpeg_quality : 1 to 95, of the JPEG pass that follows, 85 for the published files of ImageNet-C;
        None for no JPEG pass. Results with it are another benchmark, with a separate name.
    on_device : whether to take the form for a GPU; None where the images are on one.

    Returns
    -------
    uint8 (B, 3, H, W) on the device of the images; image b depends on its own pixels, its key, the
    corruption, the severity and the seed alone.

    Raises
    ------
    ValueError : if an argument is invalid.

    References
    ----------
    Hendrycks, Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
    Perturbations", ICLR 2019.
    """
    _check_names(corruption, severity)
    _check_images(images, image_keys)
    if jpeg_quality is not None:
        digital.check_quality(jpeg_quality)
    if on_device is None:
        on_device = _is_on_device(images)
    if severity == 0:
        changed = images.clone()
    else:
        extra: tuple[object, ...] = ()
        if corruption == "frost":
            extra = (_textures(frost_textures, images, on_device=on_device),)
        keys = image_keys.to(images.device)
        changed = _corrupted(
            images, corruption, severity, keys, seed, extra=extra, on_device=on_device
        )
    return changed if jpeg_quality is None else jpeg_pass(changed, jpeg_quality, on_device)


def _corrupted(
    images: Tensor,
    corruption: str,
    severity: int,
    image_keys: Tensor,
    seed: int,
    *,
    extra: tuple[object, ...],
    on_device: bool,
) -> Tensor:
    """Return the images under a corruption: on a GPU at once, on a CPU in pieces."""
    entry, size = _TABLE[corruption], (images.shape[-2], images.shape[-1])
    change, values = entry.form(on_device=on_device), entry.constants(severity, *size)
    num_pieces = 1 if on_device else -(-images.numel() // entry.num_values)
    pieces = [
        change(piece, values, *draw(corruption, severity, keys, seed, size), *extra)
        for piece, keys in zip(images.chunk(num_pieces), image_keys.chunk(num_pieces), strict=True)
    ]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def jpeg_pass(images: Tensor, quality: int, on_device: bool | None = None) -> Tensor:
    """Return uint8 (B, 3, H, W) encoded as JPEG, chroma 4:2:0, and decoded again.

    The published ImageNet-C files are JPEG of quality 85; results without this pass are another
    benchmark.

    Parameters
    ----------
    images : uint8 (B, 3, H, W), sides of 16 px or more.
    quality : 1 to 95, Pillow's scale.
    on_device : whether to take the form for a GPU; None where the images are on one.
    """
    digital.check_quality(quality)
    if on_device is None:
        on_device = _is_on_device(images)
    encode_and_decode = jpeg.jpeg_pass if on_device else digital.jpeg_pass
    return encode_and_decode(images, quality)


def _is_on_device(images: Tensor) -> bool:
    return images.device.type != "cpu"


def draw(
    corruption: str, severity: int, image_keys: Tensor, seed: int, size: tuple[int, int]
) -> tuple[Tensor, ...]:
    """Return the draws of each image: arguments of the corruption's function after the constants.

    Parameters
    ----------
    corruption : one of ``CORRUPTIONS``.
    severity : 1 to 5.
    image_keys : int64 (B,), on the device of the draws.
    seed : the study's seed.
    size : height and width of the images.
    """
    if draws_nothing(corruption):
        return ()
    keys = random.stream_keys(seed, f"{corruption}/{severity}", image_keys)
    values = constants(corruption, severity, *size)
    return _TABLE[corruption].draw(keys, values, *size)


def _check_names(corruption: str, severity: int) -> None:
    if corruption not in _TABLE:
        raise ValueError(f"corruption is {corruption!r}; allowed: {', '.join(CORRUPTIONS)}")
    if isinstance(severity, bool) or severity not in range(MAX_SEVERITY + 1):
        raise ValueError(f"severity is {severity!r}; allowed: 0 to {MAX_SEVERITY}, whole")


def _check_images(images: Tensor, image_keys: Tensor) -> None:
    if images.dtype != torch.uint8:
        raise ValueError(f"images are {images.dtype}; allowed: torch.uint8")
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < SMALLEST_SIDE:
        raise ValueError(
            f"images have shape {tuple(images.shape)}; allowed: (B, 3, H, W), "
            f"H and W at least {SMALLEST_SIDE}"
        )
    if len(images) == 0:
        raise ValueError("images are an empty batch; allowed: one image or more")
    if image_keys.shape != images.shape[:1] or image_keys.dtype != torch.int64:
        raise ValueError(
            f"image_keys are {image_keys.dtype} {tuple(image_keys.shape)}; "
            f"allowed: torch.int64 ({len(images)},), one key per image"
        )


def _textures(
    given: Sequence[Tensor] | None, images: Tensor, *, on_device: bool
) -> Sequence[Tensor] | Panes:
    """Return the textures of frost in the form for a GPU or for a CPU."""
    H, W = images.shape[-2:]
    if given is None:
        side = max(H, W)
        return resident_textures(side, images.device) if on_device else our_frost_textures(side)
    _check_textures(given, H, W)
    return as_panes(given, images.device) if on_device else given


def _check_textures(textures: Sequence[Tensor], H: int, W: int) -> None:
    if len(textures) < weather.NUM_DRAWN_TEXTURES:
        raise ValueError(
            f"frost_textures holds {len(textures)}; allowed: {weather.NUM_DRAWN_TEXTURES} or more"
        )
    for texture in textures:
        is_larger = texture.shape[-2] > H and texture.shape[-1] > W
        if texture.dtype != torch.uint8 or texture.ndim != 3 or not is_larger:
            raise ValueError(
                f"a frost texture is {texture.dtype} {tuple(texture.shape)}; "
                f"allowed: torch.uint8 (3, height, width), larger than {H} x {W}"
            )
