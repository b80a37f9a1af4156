"""Names of the classes of a dataset, for readers."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa

from perturb.datasets.manifests import classes_of
from perturb.datasets.synthetic.family import SHAPES
from perturb.models.class_maps import read_class_map

_WORDNET = re.compile(r"n\d{8}")
# timm's list of the names of WordNet's synsets.
_LEMMAS = "data/_info/imagenet_synset_to_lemma.txt"


def class_names(manifests: Sequence[pa.Table], class_map: str | None, highest: int) -> list[str]:
    """Return the name of each class from 0 to the highest; its number if it has no name.

    Generated images have the names of their shapes, classes by the number of a synset of WordNet
    the first name of the synset, coarser classes those of the class map.

    Parameters
    ----------
    manifests : of the dataset, and of others that number the same classes alike: a dataset need not
        have images of all classes that models predict.
    """
    named: dict[int, str] = {}
    for manifest in manifests:
        named = {**_names(manifest, class_map), **named}
    return [named.get(number, str(number)) for number in range(highest + 1)]


def _names(manifest: pa.Table, class_map: str | None) -> Mapping[int, str]:
    if class_map is not None:
        return dict(enumerate(read_class_map(Path(class_map)).names))
    if "texture" in manifest.column_names and not (manifest.schema.metadata or {}).get(b"perturb"):
        return {number: name.replace("_", " ") for number, name in enumerate(SHAPES)}
    classes = classes_of(manifest)
    found: dict[int, str] = {}
    for name, number in (classes.names if classes else {}).items():
        found.setdefault(number, _spoken(name))
    return found


def _spoken(name: str) -> str:
    """Return a class's name; of a synset's number its first name, if it is known."""
    return _lemmas().get(name, name) if _WORDNET.fullmatch(name) else name


@cache
def _lemmas() -> Mapping[str, str]:
    spec = find_spec("timm")
    folders = (spec.submodule_search_locations or []) if spec else []
    files = [file for folder in folders if (file := Path(folder, _LEMMAS)).is_file()]
    lines = files[0].read_text(encoding="utf-8").splitlines() if files else []
    return {
        id: names.partition(",")[0] for id, _, names in (line.partition("\t") for line in lines)
    }
