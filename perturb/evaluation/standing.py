"""What passes between the stages of an evaluation: the images that are left, and what is kept.

Legend: B images of a batch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from perturb.datasets.store import Images
from perturb.evaluation.outcome import Outcome

Kept = Mapping[str, Tensor]


@dataclass(frozen=True)
class Standing:
    """B images that a stage works on.

    rows : int64 (B,), their places among the images of the cell.
    kept : what earlier stages keep of them, each (B, ...).
    """

    images: Images
    rows: Tensor
    kept: Kept = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, index: Tensor | slice, kept: Kept) -> "Standing":
        """Return some of the images, with the same rows of what is kept of all."""
        images = Images(
            self.images.pixels[index], self.images.keys[index], self.images.targets[index]
        )
        some = {name: values[index] for name, values in kept.items()}
        return Standing(images, self.rows[index], some)

    @staticmethod
    def joined(parts: "Sequence[Standing]") -> "Standing":
        """Return the images of all parts."""
        if len(parts) == 1:
            return parts[0]
        pixels, keys, targets = (
            torch.cat([getattr(part.images, name) for part in parts])
            for name in ("pixels", "keys", "targets")
        )
        names = parts[0].kept
        assert all(part.kept.keys() == names.keys() for part in parts)
        kept = {name: torch.cat([part.kept[name] for part in parts]) for name in names}
        return Standing(Images(pixels, keys, targets), torch.cat([p.rows for p in parts]), kept)


@dataclass(frozen=True)
class Done:
    """Result of a stage on B images.

    outcomes : each replaces what earlier stages said of these images under its condition.
    kept : for the stages after this one, each (B, ...).
    leaves : bool (B,), the images that do not go on to the next stage; None if all go on.
    left : what is kept of those that leave, if not the same.
    is_finite : bool (), whether all values inside of the stage are; None if it checks none.
    """

    outcomes: Sequence[Outcome] = ()
    kept: Kept = field(default_factory=dict)
    leaves: Tensor | None = None
    left: Kept | None = None
    is_finite: Tensor | None = None


@dataclass(frozen=True)
class Stage:
    """A part of the work on an image.

    run : called with B images, and the number of images that may be in memory at once, B or more.
        It has no effect but its result, as it is repeated with fewer images if memory runs out.
    exit : number of the later stage to which images go that leave; None if they are finished.
    """

    run: Callable[[Standing, int], Done]
    exit: int | None = None
