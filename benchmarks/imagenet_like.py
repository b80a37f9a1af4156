"""Folders and archives laid out as ImageNet and the sets around it are published; made-up images.

What is in the pictures means nothing; their layout, names, formats and sizes are those that users
have. For the tests of real datasets, and to run networks of full size through the whole workflow.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from tests.image_files import encoded, picture, write_folder, write_tar, write_zip

CLASSES = Path("resources/imagenet_classes.json")
SIXTEEN = Path("resources/sixteen_classes.json")
CATEGORIES = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}


def synsets(root: Path, count: int) -> list[str]:
    """Return some of ImageNet's WordNet ids, spread over its classes."""
    names = sorted(json.loads((root / CLASSES).read_text()))
    return names[:: len(names) // count][:count]


def class_folders(names: Sequence[str], per_class: int, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of JPEG files of several sizes, a folder a class."""
    sizes = ((500, 375), (375, 500), (640, 427), (300, 300))
    for place, name in enumerate(names):
        for number in range(per_class):
            seed = place * per_class + number
            image = picture(seed, *sizes[seed % len(sizes)])
            yield f"{name}/{prefix}_{seed:08d}.JPEG", encoded(image, quality=90)


def corrupted(
    names: Sequence[str], per_class: int, corruptions: Sequence[str], severities: Sequence[int]
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of an ImageNet-C, 224 px; what is corrupted is the JPEG quality alone."""
    for category, members in CATEGORIES.items():
        for corruption in (name for name in members if name in corruptions):
            for severity in severities:
                for name, data in class_folders(names, per_class, "ILSVRC2012_val"):
                    image = Image.open(io.BytesIO(data)).resize((224, 224))
                    worse = encoded(image, quality=60 - 10 * severity)
                    yield f"{category}/{corruption}/{severity}/{name}", worse


def cue_conflicts(per_pair: int) -> Iterator[tuple[str, bytes]]:
    """Yield stimuli named as Geirhos et al. named theirs, among them some without a conflict."""
    shapes = ("airplane", "bear", "bicycle", "bird")
    for place, shape in enumerate(shapes):
        for other, texture in enumerate(shapes):
            for number in range(1, per_pair + 1):
                image = picture(100 * place + 10 * other + number, 224, 224)
                yield f"{shape}/{shape}{number}-{texture}{number}.png", encoded(image, "PNG")


def write_data(data: Path, root: Path, *, classes: int, per_class: int) -> None:
    """Write a validation set, an -R, an -A, an ImageNet-C and cue conflicts below a folder.

    Parameters
    ----------
    data : the configuration's `data`.
    root : of the repository, which lists the classes.
    """
    names = synsets(root, classes)
    write_folder(data / "imagenet/val", dict(class_folders(names, per_class, "ILSVRC2012_val")))
    for name in ("r", "a"):
        index = json.loads((root / f"resources/imagenet_{name}_classes.json").read_text())
        of_set = sorted(index)[:: len(index) // classes][:classes]
        files = dict(class_folders(of_set, per_class, name))
        if name == "r":
            write_tar(data / "imagenet-r.tar.gz", files, "w:gz")
        else:
            write_zip(data / "imagenet-a.zip", files)
        classes_of_set = {folder: index[folder] for folder in of_set}
        (data / f"imagenet-{name}.json").write_text(json.dumps(classes_of_set))
    stored = corrupted(names, per_class, ("fog", "contrast"), (1, 2, 3, 4, 5))
    write_tar(data / "imagenet-c.tar", dict(stored))
    write_folder(data / "cue-conflict", dict(cue_conflicts(1)))


def data_sets() -> Mapping[str, Any]:
    """Return the `datasets` section for what `write_data` writes below `data`."""
    index = str(CLASSES)
    folders = {"layout": "class_folders"}
    return {
        "imagenet": {
            "label": "ImageNet",
            "role": "clean",
            "published": "imagenet",
            "source": {**folders, "path": "imagenet/val", "class_index": index},
        },
        "imagenet-c": {
            "label": "ImageNet-C",
            "role": "corrupted",
            "preprocessing": "as_is",
            "source": {"layout": "corruptions", "path": "imagenet-c.tar", "class_index": index},
        },
        "imagenet-r": {
            "label": "ImageNet-R",
            "role": "renditions",
            "source": {
                **folders,
                "path": "imagenet-r.tar.gz",
                "class_index": "imagenet-r.json",
            },
        },
        "imagenet-a": {
            "label": "ImageNet-A",
            "role": "natural_adversarial",
            "source": {
                **folders,
                "path": "imagenet-a.zip",
                "class_index": "imagenet-a.json",
            },
        },
        "cue-conflict": {
            "label": "Cue conflict",
            "role": "cue_conflict",
            "preprocessing": "as_is",
            "class_map": str(SIXTEEN),
            "source": {
                "layout": "cue_conflict",
                "path": "cue-conflict",
                "class_index": str(SIXTEEN),
            },
        },
        "imagenet-64": {
            "label": "ImageNet 64 px",
            "preprocessing": {"side": 64},
            "source": {**folders, "path": "imagenet/val", "class_index": index},
        },
    }
