"""Progress and unusable images of a build."""

import logging
import time
from collections.abc import Iterable
from pathlib import Path

from perturb.files import replacing

logger = logging.getLogger(__name__)

_INTERVAL_S = 10.0
_NUM_NAMED = 20


class Progress:
    """Progress of a build, logged every ten seconds: images done, rate, time left."""

    def __init__(self, name: str, num_images: int, num_there: int):
        """Start counting.

        Parameters
        ----------
        num_there : number of images that an earlier build decoded.
        """
        self._name, self._num_images = name, num_images
        self._num_there = self._num_done = num_there
        self._began = self._reported = time.monotonic()
        if num_there:
            logger.info("%s: %d of %d images are decoded already", name, num_there, num_images)

    def advance(self, num_images: int) -> None:
        """Count images; log at intervals and at the end."""
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
    """Unusable files of a dataset, each with a reason."""

    def __init__(self, name: str, path: Path):
        """Start without files.

        Parameters
        ----------
        name : name of the dataset.
        path : path of the list of all unusable files.
        """
        self.name, self.path = name, path
        self._reasons: dict[str, str] = {}

    def add(self, found: Iterable[tuple[str, str]]) -> None:
        """Add pairs of image id and reason."""
        self._reasons |= dict(found)

    def raise_if_any(self) -> None:
        """Write the list and raise if there are unusable files; else remove an old list.

        Raises
        ------
        ValueError
            naming the first twenty files and the list.
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
            f"replace them, or remove those that are not part of the dataset:{shown}{rest}"
        )
