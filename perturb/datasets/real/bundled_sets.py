"""Bundled datasets: images per split, classes and sides; imports no torch."""

#: Splits in the order in which images are drawn.
BUNDLED_IMAGES = {"digits": {"test": 600, "validation": 180, "train": 1017}}
BUNDLED_CLASSES = {"digits": 10}
#: Side of the square images [px].
BUNDLED_SIDE = {"digits": 32}

#: Raised when images or splits change for the same arguments.
PROTOCOL = 1
