"""Textures from the names of cue-conflict stimuli: `<shape>/<shape>N-<texture>M.<suffix>`.

Names are parsed with the names of the classes, which may hold underscores, capitals, blanks,
hyphens, accents, and trailing digits.
"""

import re
from collections.abc import Collection, Sequence

from perturb.datasets.labels import composed, label_of_text
from perturb.datasets.real.sources.source import refuse, some

_ALLOWED = "allowed names of stimuli: <shape>/<shape>N-<texture>M.png, N and M numbers"
_FIRST = re.compile(r"\d+-(.+)", re.DOTALL)


def stimuli_textures(names: Sequence[str], classes: Collection[str]) -> dict[str, str]:
    """Return the texture of each stimulus.

    Parameters
    ----------
    names : names of the files, `<shape>/<file>`.
    classes : names of all classes, each a shape or a texture or both.

    Raises
    ------
    ValueError
        naming the files whose name has another form, or is ambiguous.
    """
    found = {name: _textures(name, classes) for name in names}
    refuse(
        "stimuli",
        (
            f"{name}: {_ALLOWED}, and the classes are {some(sorted(classes), 20)}"
            if not textures
            else f"{name}: its texture can be {' or '.join(textures)}; rename the files, so that "
            "no class is named as another one and a number"
            for name, textures in found.items()
            if len(textures) != 1
        ),
    )
    return {name: textures[0] for name, textures in found.items()}


def _textures(name: str, classes: Collection[str]) -> list[str]:
    """Return the possible textures of a name."""
    folder, _, file = name.rpartition("/")
    shape, stem = label_of_text(folder).text, composed(file).rpartition(".")[0]
    match = _FIRST.fullmatch(stem.removeprefix(shape)) if stem.startswith(shape) else None
    if match is None:
        return []
    rest = match[1]
    ends = [position for position in range(1, len(rest)) if rest[position:].isdecimal()]
    return [rest[:end] for end in ends if rest[:end] in classes]
