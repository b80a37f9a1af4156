"""Unusable images of a build."""

from collections.abc import Iterable
from pathlib import Path

from perturb.files import replacing

_NUM_NAMED = 20


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
