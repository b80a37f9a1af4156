"""The disk space of a study, by folder of its results."""

from collections.abc import Mapping
from dataclasses import dataclass

from perturb.config import Config
from perturb.cost.networks import EMBEDDED_SIDE, network_of
from perturb.cost.study import Line, num_images_of
from perturb.plan.cells import cells
from perturb.plan.stores import part_of, stores_of_dataset, view_of

# Side of published datasets that are used without resizing: ImageNet-C, cue conflicts [px].
PUBLISHED_SIDE = 224
# Bytes, measured on a finished study (config/digits.yaml): a manifest's row, a shard's row and its
# frame, a page with its charts and tables.
_MANIFEST_ROW = 24
_SHARD_ROW = 10
_SHARD_FRAME = 8_500
_PRODUCTS = 30_000_000
_FLOAT = 4


@dataclass(frozen=True)
class Disk:
    """Bytes, and the number of shards.

    stores : bytes of each dataset, and the number of its decoded datasets, one per preprocessing.
    """

    stores: Mapping[str, tuple[int, int]]
    checkpoints: int
    shards: int
    num_shards: int
    products: int = _PRODUCTS

    @property
    def total(self) -> int:
        """All bytes."""
        return (
            sum(size for size, _ in self.stores.values())
            + self.checkpoints
            + self.shards
            + self.products
        )


def disk_of(config: Config, total: Line) -> Disk:
    """Return the disk space of a study; datasets and models of unknown size are left out.

    Parameters
    ----------
    total : of all cells of the study.
    """
    networks = [network_of(config, model) for model in config.models.values()]
    num_shards = len(cells(config))
    return Disk(
        stores={dataset: _stores(config, dataset) for dataset in config.datasets},
        checkpoints=sum(_FLOAT * (network.num_parameters or 0) for network in networks),
        shards=_SHARD_FRAME * num_shards + _SHARD_ROW * total.num_rows,
        num_shards=num_shards,
    )


def _stores(config: Config, dataset: str) -> tuple[int, int]:
    stores = stores_of_dataset(config, dataset)
    return sum(_store_bytes(config, store) for store in stores), len(stores)


def _store_bytes(config: Config, store: str) -> int:
    num_images = num_images_of(config, store.partition("/")[0]) or 0
    return num_images * (pixel_bytes(config, store) + _MANIFEST_ROW)


def pixel_bytes(config: Config, store: str) -> int:
    """Return the bytes of an image of a decoded dataset."""
    dataset = config.datasets[store.partition("/")[0]]
    side = EMBEDDED_SIDE
    if dataset.source is not None:
        view = None if part_of(config, store) else view_of(config, store)
        side = view.side if view is not None and view.side else PUBLISHED_SIDE
    return 3 * side**2
