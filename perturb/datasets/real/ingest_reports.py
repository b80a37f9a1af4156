"""What a build says: how far it is, and which images cannot be used."""

import logging
import time
from collections.abc import Iterable
from pathlib import Path

from perturb.files import replacing

logger = logging.getLogger(__name__)

_INTERVAL_S = 10.0
_NUM_NAMED = 20


class Progress:
    """The progress of a build, in the log every ten seconds: done of all, rate, time left."""

    def __init__(self, name: str, num_images: int, num_there: int):
        """Begin to count.

        Parameters
        ----------
        num_there : how many of the images an earlier build has decoded already.
        """
        self._name, self._num_images = name, num_images
        self._num_there = self._num_done = num_there
        self._began = self._reported = time.monotonic()
        if num_there:
            logger.info("%s: %d of %d images are there already", name, num_there, num_images)

    def advance(self, num_images: int) -> None:
        """Count images; say so now and then, and at the end."""
        self._num_done += num_images
        now = time.monotonic()
        if now - self._reported < _INTERVAL_S and self._num_done < self._num_images:
            return
        self._reported = now
        rate = (self._num_done - self._num_there) / max(now - self._began, 1e-6)
        logger.info(
            "%s: %d of %d images, %.0f images/s, %.0f s left",
            self._name,
            self._num_done,
            self._num_images,
            rate,
            (self._num_images - self._num_done) / rate,
        )


class BadImages:
    """The files of a data set that cannot be used, and why."""

    def __init__(self, name: str, path: Path):
        """Begin with none.

        Parameters
        ----------
        name : of the data set.
        path : of the file that will list them all.
        """
        self.name, self.path = name, path
        self._reasons: dict[str, str] = {}

    def add(self, found: Iterable[tuple[str, str]]) -> None:
        """Add (image id, reason) of some."""
        self._reasons |= dict(found)

    def raise_if_any(self) -> None:
        """Write the file and refuse the data set if there are any; else remove an old file.

        Raises
        ------
        ValueError
            naming the first twenty and the file.
        """
        if not self._reasons:
            self.path.unlink(missing_ok=True)
            return
        lines = [f"{image_id} {reason}" for image_id, reason in sorted(self._reasons.items())]
        with replacing(self.path) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        shown = "".join(f"\n  {line}" for line in lines[:_NUM_NAMED])
        rest = f"\n  and {len(lines) - _NUM_NAMED} more" if len(lines) > _NUM_NAMED else ""
        raise ValueError(
            f"source.path {self.name}: {len(lines)} files cannot be used; {self.path} lists all; "
            f"replace them, or remove those that do not belong there:{shown}{rest}"
        )
