"""Matches the rows of a table with images.

A table may name images with or without suffix, and with any number of the folders around them.
Names are compared by the number of trailing parts that pairs every image with one row.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from perturb.datasets.labels import composed
from perturb.datasets.real.files.archives import is_image_name
from perturb.datasets.real.sources.source import refuse, some

_Key = Callable[[str], str]


def known_images(names: Sequence[str]) -> Callable[[str], bool]:
    """Return a predicate of cells, true if a cell may name one of the images."""
    shortest = {_key(1, keeps_suffix=False)(name) for name in names}
    exact = {_key(1, keeps_suffix=True)(name) for name in names}
    return lambda cell: (
        _key(1, keeps_suffix=True)(cell) in exact or _key(1, keeps_suffix=False)(cell) in shortest
    )


def short_name(cell: str) -> str:
    """Return the last part of the name of an image, without its suffix."""
    return _key(1, keeps_suffix=False)(cell)


def rows_of_images(
    names: Sequence[str], cells: Sequence[str], lines: Sequence[int], where: str
) -> list[int]:
    """Return the position of the row of each image.

    Parameters
    ----------
    names : names of the images, relative to the dataset's folder.
    cells : names of the images in the rows.
    lines : line numbers of the rows.
    where : the table, for messages.

    Raises
    ------
    ValueError
        naming rows and images without a partner, or with a repeated name.
    """
    best: tuple[int, _Key] | None = None
    for key in _keys(names, cells):
        by_name, by_cell = _grouped(names, key), _grouped(cells, key)
        is_single = len(by_name) == len(names) and len(by_cell) == len(cells)
        if is_single and by_name.keys() == by_cell.keys():
            return [by_cell[key(name)][0] for name in names]
        num_pairs = len(by_name.keys() & by_cell.keys())
        if best is None or num_pairs > best[0]:
            best = num_pairs, key
    if best is None:
        raise ValueError(f"{where}: there are no images")
    refuse(where, _mismatches(names, cells, lines, best[1]))
    raise AssertionError("names that do not match have a reason")


def _mismatches(
    names: Sequence[str], cells: Sequence[str], lines: Sequence[int], key: _Key
) -> Iterator[str]:
    by_name, by_cell = _grouped(names, key), _grouped(cells, key)
    for shared, rows in by_cell.items():
        if len(rows) > 1:
            at = some([lines[row] for row in rows], 3)
            yield f"lines {at}: {shared} occurs twice, rows {some([cells[r] for r in rows], 3)}"
    for shared, rows in by_name.items():
        if len(rows) > 1:
            images = some([names[row] for row in rows], 3)
            yield f"the images {images} have the same name, {shared}, in the table"
    without = [name for name in names if key(name) not in by_cell]
    if without:
        yield f"{len(without)} images have no label, first {some(without)}"
    lacking = sorted(cells[rows[0]] for shared, rows in by_cell.items() if shared not in by_name)
    if lacking:
        yield f"{len(lacking)} of its images are missing, first {some(lacking)}"


def _grouped(names: Sequence[str], key: _Key) -> Mapping[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for position, name in enumerate(names):
        groups[key(name)].append(position)
    return groups


def _keys(names: Sequence[str], cells: Sequence[str]) -> Iterator[_Key]:
    """Yield keys by which names are compared, the strictest first."""
    most = min(_most_parts(names), _most_parts(cells))
    for keeps_suffix in (True, False):
        for num_parts in range(most, 0, -1):
            yield _key(num_parts, keeps_suffix=keeps_suffix)


def _most_parts(names: Sequence[str]) -> int:
    return max((name.count("/") + name.count("\\") + 1 for name in names), default=0)


def _key(num_parts: int, *, keeps_suffix: bool) -> _Key:
    def key(name: str) -> str:
        plain = composed(name).strip().replace("\\", "/")
        parts = [part for part in plain.split("/") if part not in ("", ".")]
        if not keeps_suffix and parts and is_image_name(parts[-1]):
            parts[-1] = parts[-1].rpartition(".")[0]
        return "/".join(parts[-num_parts:])

    return key
