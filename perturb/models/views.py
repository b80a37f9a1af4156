"""What is done to an image of any size before a network: which square of it the network sees.

Two habits of the field differ by half a point of accuracy and more. Most networks of the public
zoos are evaluated on the central crop of the image, its short side resized first; Google's ViTs
on the whole image, squashed into a square. A view says which, and a data set is decoded once for
each view that some model needs. Nothing here imports torch: the workflow names stores by views.
"""

from dataclasses import dataclass

MODES = ("crop", "squash", "as_is")
INTERPOLATIONS = ("bilinear", "bicubic")


@dataclass(frozen=True)
class View:
    """A square view of an image.

    side : of the square [px]; 0 where images are taken as they are.
    mode : `crop`: the short side is resized to side / crop, rounded down, and the central square
        is kept. `squash`: both sides are resized to side / crop, rounded down, and the central
        square is kept; with a crop of 1 all of the image is seen. `as_is`: nothing is resized; all
        images of a set must be squares of one size.
    crop : share of the resized side, the short one with mode `crop`, that is kept; 1 where nothing
        is cropped.
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
        """Its name in paths."""
        if self.mode == "as_is":
            return "as-is"
        is_whole = self.mode == "squash" and self.crop == 1
        share = "" if is_whole else f"{self.crop:g}"
        return f"{self.side}-{self.mode}{share}-{self.interpolation}"


AS_IS = View(side=0, mode="as_is", crop=1.0)
