"""Why results folders cannot be laid together: what they hold of one name and is not the same."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from perturb.experiments import registry
from perturb.sharing.folders import Folder, Item, cell_of

# Of one perturbation of a dataset they are the same in all cells of a study.
_SETTINGS = ("protocol", "seed", "num_images")
_VERSIONS = ("perturb", "torch", "timm")
_WORDS = {
    "conditions": "other conditions",
    "identity": "another identity: it was made of other images, weights or settings",
    "rows": "other rows of the same identity, as of another device",
    "pixels": "other pixels",
    "images or targets": "other images or targets",
}


def refusals(folders: Sequence[Folder]) -> Iterator[str]:
    """Yield each reason why folders cannot be laid together, one line each."""
    for folder in folders:
        yield from folder.faults
        yield from _foreign(folder)
    yield from _other_settings(folders)
    for one, other in _pairs(folders):
        yield from _other_items(one, other)
        yield from _other_images(one, other)


def _pairs(folders: Sequence[Folder]) -> Iterator[tuple[Folder, Folder]]:
    for place, other in enumerate(folders):
        yield from ((one, other) for one in folders[:place])


def _foreign(folder: Folder) -> Iterator[str]:
    """Yield the shards and measurements whose checkpoint or dataset is not that of their folder."""
    for item in folder.items.values():
        if item.kind not in ("shards", "measurements"):
            continue
        path, model = folder.path / item.file, item.metadata["model"]
        card = folder.items.get(f"checkpoints/{model}/card.json")
        if card is None:
            yield f"{path}: {folder.path} has no readable checkpoints/{model}/card.json"
        elif card.same["weights_sha256"] != item.metadata["weights_sha256"]:
            yield f"{path}: was made of other weights than those of checkpoints/{model}/card.json"
        dataset = item.metadata.get("dataset")
        if dataset is not None and dataset not in folder.images:
            yield f"{path}: {folder.path} has no readable decoded/{dataset}"


def _other_items(one: Folder, other: Folder) -> Iterator[str]:
    for file in sorted(one.items.keys() & other.items.keys()):
        first, second = one.items[file], other.items[file]
        differing = [key for key in first.same if first.same[key] != second.same.get(key)]
        if not differing:
            continue
        if "identity" in differing:  # of other inputs the rows are others, too
            differing = ["conditions" if _have_other_conditions(first, second) else "identity"]
        said = ", ".join(_WORDS.get(key, f"another {key}") for key in differing)
        yield f"{other.path / file}: {said} than {one.path / file}{_conditions(first, second)}"


def _have_other_conditions(first: Item, second: Item) -> bool:
    """Return whether two shards of a cell differ by the conditions that they hold alone."""
    own, others = (item.metadata.get("identities", {}) for item in (first, second))
    shared = own.keys() & others.keys()
    return own.keys() != others.keys() and all(own[name] == others[name] for name in shared)


def _conditions(first: Item, second: Item) -> str:
    """Return in which conditions two shards of a cell differ."""
    own, others = (item.metadata.get("identities", {}) for item in (first, second))
    names = [name for name in {**own, **others} if own.get(name) != others.get(name)]
    return f" (condition {', '.join(names)})" if names else ""


def _other_images(one: Folder, other: Folder) -> Iterator[str]:
    for dataset in sorted(one.images.keys() & other.images.keys()):
        (first, first_store), (second, store) = one.images[dataset], other.images[dataset]
        # Decoded datasets of one name are compared as such.
        if first != second and store not in _stores(one):
            yield (
                f"{other.path}/decoded/{store}: other images or targets than "
                f"{one.path}/decoded/{first_store}"
            )


def _stores(folder: Folder) -> set[str]:
    return {
        file.removeprefix("decoded/").removesuffix("/manifest.parquet") for file in folder.items
    }


def _other_settings(folders: Sequence[Folder]) -> Iterator[str]:
    """Yield the settings of a perturbation that are not the same in all folders, once each."""
    known: dict[tuple[str, ...], tuple[Any, str]] = {}
    told: set[tuple[str, ...]] = set()
    for folder in folders:
        for file, item in folder.items.items():
            for key, value in _settings(folder, item):
                path = str(folder.path / file)
                first, example = known.setdefault(key, (value, path))
                if first != value and key not in told:
                    told.add(key)
                    what, setting = " of ".join(filter(None, key[:2])), key[2]
                    yield f"{path}: {setting} of {what} is {value!r}, but {first!r} in {example}"


def _settings(folder: Folder, item: Item) -> Iterator[tuple[tuple[str, ...], Any]]:
    if item.kind == "measurements":
        for name in ("protocol", "seed"):
            yield (item.metadata["measurement"], "", name), item.metadata.get(name)
    if item.kind != "shards":
        return
    cell = cell_of(item.file)
    for name in _SETTINGS:
        yield (cell.perturbation, cell.dataset, name), item.metadata.get(name)
    dtype = str(item.metadata.get("dtype"))
    yield (cell.perturbation, cell.dataset, "dtype"), dtype.removeprefix("pure_")
    if dtype != "float32":  # the two forms of bfloat16 are those of the network's family
        family = _family(folder, cell.model)
        yield (cell.perturbation, cell.dataset, "dtype", family), dtype
    declared = registry.perturbations().get(cell.perturbation)
    if declared is None or declared.options_of is not None:  # they depend on the network
        return
    options: Mapping[str, Any] = item.metadata.get("options", {})
    for name in options.keys() - set(declared.by_condition):
        yield (cell.perturbation, cell.dataset, f"option {name}"), options[name]


def _family(folder: Folder, model: str) -> str:
    card = folder.items.get(f"checkpoints/{model}/card.json")
    return "" if card is None else str(card.same["family"])


def mixed_versions(folders: Sequence[Folder]) -> list[str]:
    """Return a line for each package of which results were made with several versions."""
    found: dict[str, dict[str, str]] = {}
    for folder in folders:
        for item in folder.items.values():
            for name, version in item.metadata.get("versions", {}).items():
                if name in _VERSIONS:
                    found.setdefault(name, {}).setdefault(version, str(folder.path / item.file))
    return [
        f"{name}: " + ", ".join(f"{version} ({file})" for version, file in versions.items())
        for name, versions in found.items()
        if len(versions) > 1
    ]
