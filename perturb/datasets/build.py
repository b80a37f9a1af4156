"""Decoding of generated datasets, and of datasets filtered by the errors of models."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from perturb.datasets.store import ImageStore, write_store
from perturb.datasets.synthetic.generated import generate
from perturb.datasets.synthetic.masks import object_masks
from perturb.models.classifier import Classifier
from perturb.random import image_key

logger = logging.getLogger(__name__)

CHUNK = 500
Chunk = tuple[Tensor, Mapping[str, pa.Array]]


def build_generated(
    images: Path,
    manifest: Path,
    generate_options: Mapping[str, Any],
    num_images: int,
    seed: int,
    *,
    made_from: Mapping[str, Any] | None = None,
) -> None:
    """Write a generated dataset.

    Parameters
    ----------
    generate_options : `set` and `split`, and for upstream sets `classes` and
        `texture_correlation`, as in the configuration.
    num_images : number of images; their indices start at 0.
    """
    chunks = _generated(generate_options, num_images, seed)
    write_store(images, manifest, num_images=num_images, chunks=chunks, made_from=made_from)


def generated_masks(
    store: ImageStore, generate_options: Mapping[str, Any] | None, seed: int
) -> Tensor | None:
    """Return the masks of the objects in a generated dataset, uint8 (N, 1, H, W).

    None if the images are not generated.
    """
    if generate_options is None:
        return None
    set_name, split, arguments = arguments_of(generate_options)
    indices = [int(image_id.rpartition("/")[2]) for image_id in store.image_ids.to_pylist()]
    return object_masks(set_name, split, seed, torch.tensor(indices), **arguments)


def arguments_of(options: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Return the set, the split and the other arguments of `generate`, from the configuration."""
    arguments = dict(options)
    set_name, split = arguments.pop("set"), arguments.pop("split")
    if "classes" in arguments:
        arguments["num_classes"] = arguments.pop("classes")
    return set_name, split, arguments


def _generated(options: Mapping[str, Any], num_images: int, seed: int) -> Iterator[Chunk]:
    set_name, split, arguments = arguments_of(options)
    for start in range(0, num_images, CHUNK):
        indices = torch.arange(start, min(start + CHUNK, num_images))
        batch = generate(set_name, split, seed, indices, **arguments)
        ids = [f"{set_name}/{split}/{index:06d}" for index in indices.tolist()]
        columns = {
            "image_id": pa.array(ids),
            "image_key": pa.array([image_key(id) for id in ids], pa.int64()),
            "target": pa.array(batch.targets.numpy().astype(np.int16)),
            **{name: pa.array(values.numpy()) for name, values in batch.attributes.items()},
        }
        yield batch.images, columns
        logger.info("%s/%s: %d of %d images", set_name, split, indices[-1] + 1, num_images)


def build_filtered(
    images: Path,
    manifest: Path,
    pool: ImageStore,
    classifiers: Sequence[Classifier],
    batch_size: int,
    *,
    made_from: Mapping[str, Any] | None = None,
) -> None:
    """Write the dataset of the images of a pool that every one of some classifiers misclassifies.

    Raises
    ------
    ValueError
        if there is no such image.
    """
    wrong = torch.cat(
        [_all_err(classifiers, batch.pixels, batch.targets) for batch in pool.batches(batch_size)]
    )
    kept = wrong.nonzero().flatten().numpy()
    logger.info("kept %d of %d images", len(kept), len(pool))
    if len(kept) == 0:
        by = "the model" if len(classifiers) == 1 else f"all {len(classifiers)} models"
        raise ValueError(f"{images}: none of {len(pool)} images is misclassified by {by}")
    columns = pool.manifest.take(pa.array(kept))
    chunk = (torch.from_numpy(pool.pixels[kept]), {n: columns[n] for n in columns.column_names})
    write_store(images, manifest, num_images=len(kept), chunks=[chunk], made_from=made_from)


@torch.inference_mode()
def _all_err(classifiers: Sequence[Classifier], pixels: Tensor, targets: Tensor) -> Tensor:
    """Return, for each image, whether no classifier predicts its target: bool (B,)."""
    predictions = [
        classifier(pixels.to(classifier.mean.device)).argmax(dim=1).cpu()
        for classifier in classifiers
    ]
    return (torch.stack(predictions) != targets).all(dim=0)
