"""Preprocessing of images of any size into the square input of a network.

Two conventions of the field differ by half a point of accuracy and more. Most networks of public
zoos are evaluated on the central crop of the image after resizing its short side; Google's ViTs on
the whole image, squashed into a square. A dataset is decoded once for each preprocessing of the
models. This module does not import torch: the workflow names decoded datasets by preprocessing.
"""

from dataclasses import dataclass

MODES = ("crop", "squash", "as_is")
INTERPOLATIONS = ("bilinear", "bicubic")


@dataclass(frozen=True)
class Resizing:
    """Preprocessing of an image into a square.

    side : side of the square [px]; 0 with mode `as_is`.
    mode : `crop`: the short side is resized to side / crop, rounded down, and the central square
        is kept. `squash`: both sides are resized to side / crop, rounded down, and the central
        square is kept; a crop of 1 keeps the whole image. `as_is`: images are not resized; all
        images of a dataset must be squares of one size.
    crop : fraction of the resized side, the short one with mode `crop`, that is kept; 1 for no
        crop.
    interpolation : filter of the resize, with antialiasing.
    """

    side: int
    mode: str = "crop"
    crop: float = 0.875
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode is {self.mode!r}; allowed: {', '.join(MODES)}")
        if self.interpolation not in INTERPOLATIONS:
            allowed = ", ".join(INTERPOLATIONS)
            raise ValueError(f"interpolation is {self.interpolation!r}; allowed: {allowed}")
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop is {self.crop}; allowed: above 0, at most 1")
        if (self.side == 0) != (self.mode == "as_is") or self.side < 0:
            raise ValueError(f"side is {self.side} with mode {self.mode!r}; 0 only with as_is")

    @property
    def id(self) -> str:
        """The name of the preprocessing in paths."""
        if self.mode == "as_is":
            return "as-is"
        is_whole = self.mode == "squash" and self.crop == 1
        share = "" if is_whole else f"{self.crop:g}"
        return f"{self.side}-{self.mode}{share}-{self.interpolation}"


AS_IS = Resizing(side=0, mode="as_is", crop=1.0)
