"""Networks of full size with random weights, and made-up images of theirs in a decoded dataset.

Speed depends on neither. The images have the predictions of a network as their targets, so that
attacks and searches have something to mislead.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import torch
from torch import Tensor

from perturb.datasets.store import ImageStore, open_store, write_store
from perturb.evaluation.loop import Subject
from perturb.models.checkpoints import ModelCard
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.compiled import CompiledClassifier
from perturb.models.timm_modules import load_timm_zoo
from perturb.random import image_key

NETWORKS = {"ViT-B/16": "vit_base_patch16_224", "BiT-R50x1": "resnetv2_50x1_bit"}
SIDE_PX = 224


def make_store(folder: Path, num_images: int) -> ImageStore:
    """Return a decoded dataset of soft random pictures, which compress about as photographs do."""
    paths = folder / "images.npy", folder / "manifest.parquet"
    write_store(*paths, num_images=num_images, chunks=_chunks(num_images))
    return open_store(*paths)


def _chunks(num_images: int, size: int = 64) -> Iterator[tuple[Tensor, dict[str, pa.Array]]]:
    generator = torch.Generator().manual_seed(0)
    for start in range(0, num_images, size):
        count = min(size, num_images - start)
        ids = [f"made/{number}" for number in range(start, start + count)]
        coarse = torch.rand(count, 3, 28, 28, generator=generator) * 255
        pixels = torch.nn.functional.interpolate(coarse, SIDE_PX, mode="bicubic")
        columns = {
            "image_id": pa.array(ids),
            "image_key": pa.array([image_key(id) for id in ids], pa.int64()),
            "target": pa.array([number % 1000 for number in range(count)], pa.int16()),
        }
        yield pixels.clamp(0, 255).to(torch.uint8), columns


def with_targets(store: ImageStore, targets: Sequence[int]) -> ImageStore:
    """Return a decoded dataset with other targets."""
    place = store.manifest.column_names.index("target")
    values = pa.array(targets, pa.int16())
    return ImageStore(store.pixels, store.manifest.set_column(place, "target", values))


def make_subject(label: str, device: torch.device, *, is_compiled: bool) -> Subject:
    """Return a network of random weights, as it is evaluated."""
    torch.manual_seed(0)
    network = load_timm_zoo().create_model(NETWORKS[label], num_classes=1000)
    for parameter in network.get_classifier().parameters():  # some heads start as zeros
        torch.nn.init.normal_(parameter, std=0.02)
    preprocessing = Preprocessing(SIDE_PX)
    classifier = Classifier(network, preprocessing).eval().to(device)
    card = ModelCard(label, label, "", "", None, {}, 1000, preprocessing)
    return Subject(CompiledClassifier(classifier) if is_compiled else classifier, card, device)
