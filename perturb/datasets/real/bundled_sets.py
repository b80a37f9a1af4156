"""Which bundled sets there are, and how many images each split has; imports no torch."""

#: The splits in the order in which images are dealt to them.
BUNDLED_IMAGES = {"digits": {"test": 600, "validation": 180, "train": 1017}}
BUNDLED_CLASSES = {"digits": 10}
#: Side of the square images [px].
BUNDLED_SIDE = {"digits": 32}

#: Bumped when the pictures or the splits change for the same arguments.
PROTOCOL = 1
