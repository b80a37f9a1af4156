"""The digits of scikit-learn: their pixels, splits and decoded datasets."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from perturb.datasets.real.bundled import build_bundled, read_bundled
from perturb.datasets.real.bundled_sets import BUNDLED_CLASSES, BUNDLED_IMAGES, BUNDLED_SIDE
from perturb.datasets.store import ImageStore, open_store
from perturb.random import image_key

SPLITS = BUNDLED_IMAGES["digits"]
# Of the ids of each split, joined by line breaks: changes with PROTOCOL of bundled_sets alone.
GOLDEN = "a0d2ce7e"


def _built(folder: Path, split: str, seed: int = 2021) -> ImageStore:
    files = folder / f"{split}-{seed}.npy", folder / f"{split}-{seed}.parquet"
    build_bundled(*files, {"set": "digits", "split": split}, seed=seed)
    return open_store(*files)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ImageStore]:
    folder = tmp_path_factory.mktemp("digits")
    return {split: _built(folder, split) for split in SPLITS}


def test_cells_become_squares_of_one_gray() -> None:
    pixels, targets = read_bundled("digits")
    digits = load_digits()
    side = BUNDLED_SIDE["digits"]
    assert pixels.shape == (1797, 3, side, side)
    assert pixels.dtype == torch.uint8
    expected = np.kron(digits.images, np.ones((4, 4))) * 255 / 16
    for channel in range(3):
        assert np.abs(pixels[:, channel].numpy() - expected).max() <= 0.5
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert np.array_equal(targets, digits.target)


def test_splits_share_no_image_and_leave_none_out(stores: dict[str, ImageStore]) -> None:
    ids = [id for store in stores.values() for id in store.image_ids.to_pylist()]
    assert sorted(ids) == [f"digits/{number:04d}" for number in range(1797)]
    assert {split: len(store) for split, store in stores.items()} == SPLITS


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_is_balanced_and_in_order(stores: dict[str, ImageStore], split: str) -> None:
    store = stores[split]
    counts = Counter(store.targets.tolist())
    assert len(counts) == BUNDLED_CLASSES["digits"]
    # The classes have 174 to 183 images: what is left for training is as unequal.
    assert max(counts.values()) - min(counts.values()) <= (9 if split == "train" else 0)
    assert store.image_ids.to_pylist() == sorted(store.image_ids.to_pylist())


def test_rows_are_the_images_of_their_ids(stores: dict[str, ImageStore]) -> None:
    pixels, targets = read_bundled("digits")
    for store in stores.values():
        batch = store.read(0, len(store))
        ids = store.image_ids.to_pylist()
        rows = [int(id.rpartition("/")[2]) for id in ids]
        assert torch.equal(batch.pixels, pixels[rows])
        assert np.array_equal(batch.targets.numpy(), targets[rows])
        assert batch.keys.tolist() == [image_key(id) for id in ids]


def test_splits_are_drawn_by_the_seed_alone(stores: dict[str, ImageStore], tmp_path: Path) -> None:
    again, other = _built(tmp_path, "test"), _built(tmp_path, "test", seed=1)
    assert again.image_ids == stores["test"].image_ids
    assert other.image_ids != again.image_ids
    ids = "\n".join(id for store in stores.values() for id in store.image_ids.to_pylist())
    assert hashlib.sha256(ids.encode()).hexdigest()[:8] == GOLDEN


@pytest.mark.parametrize(
    ("bundled", "message"),
    [
        ({"set": "letters", "split": "test"}, "set of bundled is 'letters'; allowed: digits"),
        ({"set": "digits", "split": "all"}, "split of bundled is 'all'; allowed: test, val"),
    ],
)
def test_unknown_names_are_refused(tmp_path: Path, bundled: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_bundled(tmp_path / "a.npy", tmp_path / "a.parquet", bundled, seed=0)
