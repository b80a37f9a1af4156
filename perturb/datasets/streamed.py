"""The images of a training: decoded ones, or generated ones that nothing stores.

A streamed dataset has the images of the decoded dataset of the same entry, bit by bit, since an
image depends on its index alone. They are rendered whenever a step draws them: two million would
take 6 GB on disk.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as RowsByNumber

from perturb.datasets.build import arguments_of
from perturb.datasets.store import open_store
from perturb.datasets.synthetic.family import NUM_TARGET_CLASSES, SIDE
from perturb.datasets.synthetic.generated import generate
from perturb.models.training_images import Draw, LabelledImages, TrainingImages
from perturb.records import Dataset

_Batch = tuple[Tensor, Tensor, Tensor]

# Steps whose images are rendered at once: single small batches take half as long again.
_TOGETHER = 8
# Such renderings that each process begins before they are asked for.
_AHEAD = 2


def training_images(
    datasets: Mapping[str, Dataset], files: Mapping[str, str], seed: int, *, num_workers: int = 0
) -> dict[str, TrainingImages]:
    """Return the images of each purpose of a training.

    Parameters
    ----------
    datasets : by purpose.
    files : the decoded dataset of each purpose that has one, `{purpose}_images` and
        `{purpose}_manifest`.
    seed, num_workers : as of `StreamedImages`.
    """

    def images(purpose: str, dataset: Dataset) -> TrainingImages:
        if dataset.is_streamed:
            size = dataset.num_images or 0
            return StreamedImages(dataset.generate or {}, size, seed, num_workers)
        store = open_store(*(Path(files[f"{purpose}_{file}"]) for file in ("images", "manifest")))
        return LabelledImages(store.pixels, store.targets)

    return {purpose: images(purpose, dataset) for purpose, dataset in datasets.items()}


@dataclass(frozen=True)
class StreamedImages:
    """The first `num_images` images of a generated set, rendered when they are drawn.

    Parameters
    ----------
    options : `generate` of the configuration.
    seed : seed of the study.
    num_workers : processes that render ahead while the network learns; 0 to render in its own.
    """

    options: Mapping[str, Any]
    num_images: int
    seed: int
    num_workers: int = 0

    @property
    def num_classes(self) -> int:
        """One more than the highest target."""
        return min(self.num_images, int(self.options.get("classes", NUM_TARGET_CLASSES)))

    @property
    def side(self) -> int:
        """Side of the images [px]."""
        return SIDE

    def batches(self, draws: Iterable[Draw]) -> Iterator[_Batch]:
        """Yield images uint8 (B, 3, H, W), targets int64 (B,) and moves of each draw, in order."""
        draws = iter(draws)
        loader = DataLoader(
            _Rendered(self.options, self.seed),
            batch_size=None,
            sampler=iter(lambda: list(islice(draws, _TOGETHER)), []),
            num_workers=self.num_workers,
            prefetch_factor=_AHEAD if self.num_workers else None,
            # Otherwise it would advance the global one.
            generator=torch.Generator(),
        )
        for batches in loader:
            yield from batches


@dataclass(frozen=True)
class _Rendered(RowsByNumber[list[_Batch]]):
    options: Mapping[str, Any]
    seed: int

    def __getitem__(self, draws: Sequence[Draw]) -> list[_Batch]:
        set_name, split, arguments = arguments_of(self.options)
        indices = torch.cat([draw.indices for draw in draws])
        sizes = [len(draw.indices) for draw in draws]
        found = generate(set_name, split, self.seed, indices, **arguments)
        parts = torch.split(found.images, sizes), torch.split(found.targets, sizes)
        return list(zip(*parts, (draw.moves for draw in draws), strict=True))
