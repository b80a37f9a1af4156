"""Which sets, splits, shapes, textures and renditions the generated family has; imports no torch.

Configuration checks its entries against these names, so they must load without a renderer. The
order is part of the protocol: a class id, a texture id and a rendition id are positions in here.
"""

GENERATED_SETS = ("target", "upstream", "renditions", "conflict", "hard")
SPLITS = ("train", "validation", "test", "reference")

#: Side of the square images [px].
SIDE = 32

#: The classes of every set but ``upstream``: the first shapes and the first textures.
NUM_TARGET_CLASSES = 12
MIN_UPSTREAM_CLASSES = 12
MAX_UPSTREAM_CLASSES = 48

#: Silhouettes; the first twelve are the target classes, the others are met upstream only.
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

#: Textures; target class k wears texture k at the set's texture correlation.
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

#: The texture that upstream class k wears. Never the one that its silhouette wears in the target
#: set: an upstream class is another shape x texture class even where its silhouette is shared.
UPSTREAM_TEXTURES = (*range(12, 24), *range(12), *range(24, 48))

RENDITIONS = (
    *("sketch", "cartoon", "emboss", "negative", "pixel_art"),
    *("hatching", "stencil", "neon", "poster", "plush"),
)

#: Bumped when the pictures change for the same arguments; a golden test sees to it.
PROTOCOL = 1
#: Bumped when decoded real images change for the same files and view.
DECODING_PROTOCOL = 1
