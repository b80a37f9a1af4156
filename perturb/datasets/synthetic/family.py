"""Sets, splits, shapes, textures and renditions of the generated family; imports no torch.

The configuration is checked against these names. Their order is part of the protocol: ids of
classes, textures and renditions are positions in these tuples.
"""

GENERATED_SETS = ("target", "upstream", "renditions", "conflict", "hard")
SPLITS = ("train", "validation", "test", "reference")

#: Side of the square images [px].
SIDE = 32

#: Number of classes of every set but ``upstream``: the first shapes with the first textures.
NUM_TARGET_CLASSES = 12
MIN_UPSTREAM_CLASSES = 12
MAX_UPSTREAM_CLASSES = 48

#: Silhouettes; the first twelve are the target classes, the others occur upstream only.
SHAPES = (
    *("disc", "triangle", "square", "star", "plus", "ring"),
    *("crescent", "heart", "arrow", "bow_tie", "bolt", "flower"),
    *("hexagon", "half_disc", "wedge", "drop", "leaf", "gear"),
    *("asterisk", "tee", "ell", "aitch", "zed", "chevron"),
    *("house", "key", "mushroom", "fish", "cloud", "fir"),
    *("bottle", "mug", "hammer", "boat", "butterfly", "clover"),
    *("crown", "spade", "trapezoid", "frame", "arch", "spiral"),
    *("astroid", "burst", "shield", "speech_bubble", "dumbbell", "stairs"),
)

#: Textures; target class k has texture k with the probability of the set's texture correlation.
TEXTURES = (
    *("stripes", "checker", "dots", "rings", "net", "chevrons"),
    *("bricks", "blotches", "speckle", "waves", "plain", "rays"),
    *("pinstripes", "ribbons", "plaid", "honeycomb", "scales", "crosses"),
    *("argyle", "basket", "herringbone", "spots", "hoops", "spirals"),
    *("pinwheel", "halves", "glow", "shade", "marble", "wood"),
    *("camouflage", "cells", "mosaic", "cracks", "static", "bullseye"),
    *("truchet", "maze", "fur", "dashes", "confetti", "barcode"),
    *("triangles", "gingham", "lattice", "ladder", "bubbles", "sunburst"),
)

#: Texture of each upstream class. It differs from the texture of the same silhouette in the target
#: set: an upstream class is another combination of shape and texture even with a shared silhouette.
UPSTREAM_TEXTURES = (*range(12, 24), *range(12), *range(24, 48))

RENDITIONS = (
    *("sketch", "cartoon", "emboss", "negative", "pixel_art"),
    *("hatching", "stencil", "neon", "poster", "plush"),
)

#: Raised when images change for the same arguments; a golden test enforces it.
PROTOCOL = 1
#: Raised when decoded real images change for the same files and view.
DECODING_PROTOCOL = 1
