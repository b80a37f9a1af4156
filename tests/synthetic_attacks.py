"""Made-up outcomes of attacks, of cue-conflict stimuli and of perturbation patterns.

An image withstands an attack if its margin is larger than the attack's force. Margins of different
models on one image are correlated, and stronger attacks break what weaker ones broke.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tests.synthetic_shards import image_id, shard

EPSILONS = (2 / 255, 4 / 255, 8 / 255)
L2_EPSILONS = (0.25, 0.5, 1.0)
HEADLINE_EPSILON = 4 / 255
STAGES = ("apgd_ce", "apgd_dlr", "square")
# Force of an attack at the largest epsilon; ResNets' margins shrink more under the stronger ones.
FORCE = {"fgsm": 0.55, "pgd": 0.75, "apgd_ce": 0.8, "apgd_dlr": 0.82, "square": 0.84}
ROTATIONS = np.linspace(-30, 30, 31)
SHIFTS = np.array([-3, -2, 0, 2, 3])
NUM_SAMPLES = 20
NUM_CLASSES = 12

Row = Mapping[str, Any]


def epsilons_of(attack: str) -> tuple[float, ...]:
    """Return the epsilons of an attack."""
    return L2_EPSILONS if attack == "attack_ensemble_l2" else EPSILONS


class Attacked:
    """The images that are attacked, a part of the clean ones, and how models stand them."""

    def __init__(self, dataset: str, num_images: int, seed: int) -> None:
        self.dataset = dataset
        self.num_images = num_images
        self.random = np.random.default_rng([seed, 1])
        self.common = self.random.random(num_images)
        grid = np.array([(r, x, y) for r in ROTATIONS for x in SHIFTS for y in SHIFTS])
        drawn = [self.random.permutation(len(grid))[:NUM_SAMPLES] for _ in range(num_images)]
        self.transforms = np.stack([grid[places] for places in drawn], axis=1)  # (K, images, 3)

    def margins(self, row: Row, is_clean: np.ndarray) -> np.ndarray:
        """Return the margin of each image, (images,); 0 where the model is wrong anyway."""
        own = self.random.random(self.num_images)
        room = 0.75 + 0.05 * (row["pretraining_rank"] or 0) + 0.15 * (row["family"] == "resnet")
        return is_clean[: self.num_images] * room * (0.6 * self.common + 0.4 * own)

    def gradient_attack(
        self, row: Row, margins: np.ndarray, attack: str, epsilon: float
    ) -> pa.Table:
        """Return the shard of FGSM, PGD or the ensemble."""
        stages = STAGES if attack.startswith("attack_ensemble") else (attack,)
        scale = epsilon / epsilons_of(attack)[-1]
        forces = np.array([FORCE[stage] * scale for stage in stages])[:, None]
        correct = margins > forces
        norms = np.where(margins > 0, 0.01 * self.common, np.nan)
        # A few gradients vanish, as those of a model that ignores its input.
        norms = np.where((margins > 0) & (np.arange(self.num_images) % 7 == 3), 0.0, norms)
        added = {
            "distance": np.where(margins > 0, epsilon, 0.0) * np.ones_like(forces),
            "gradient_norm": norms * np.ones_like(forces),
        }
        return self._shard(row, attack, epsilon, stages, correct, added)

    def spatial_attack(self, row: Row, margins: np.ndarray) -> pa.Table:
        """Return the shard of the spatial attack: the worst transform, then random ones."""
        rotations, xs, ys = np.moveaxis(self.transforms, -1, 0)
        harm = 0.3 * np.abs(rotations) / 30 + 0.2 * np.maximum(np.abs(xs), np.abs(ys)) / 3
        harm = harm * (1 + 0.5 * ((row["patch_size"] or 0) == 8))
        correct = (margins > 0) & (margins > harm - 0.05)
        worst = harm.argmax(0)
        each = np.arange(self.num_images)
        all_transforms = np.concatenate([self.transforms[worst, each][None], self.transforms])
        grid = correct.all(0) & (margins > 0.35)
        added = {
            "sample": np.repeat(np.arange(NUM_SAMPLES + 1), self.num_images),
            "rotation_deg": all_transforms[..., 0],
            "translation_x_px": all_transforms[..., 1].astype(int),
            "translation_y_px": all_transforms[..., 2].astype(int),
        }
        conditions = ["grid"] + ["random"] * NUM_SAMPLES
        return self._shard(row, "spatial", 1, conditions, np.vstack([grid, correct]), added)

    def transfer(self, source: Row, row: Row, margins: np.ndarray) -> pa.Table:
        """Return the shard of a target on the images made against a source."""
        share = 0.45 if source["family"] == row["family"] else 0.25
        share = 1.0 if source["model"] == row["model"] else share
        force = FORCE["pgd"] * share * HEADLINE_EPSILON / EPSILONS[-1]
        correct = (margins > force)[None]
        return self._shard(row, "transfer", HEADLINE_EPSILON, [source["model"]], correct)

    def _shard(
        self,
        row: Row,
        perturbation: str,
        severity: float,
        conditions: Any,
        correct: np.ndarray,
        added: Mapping[str, np.ndarray] | None = None,
    ) -> pa.Table:
        return shard(
            row["model"],
            self.dataset,
            perturbation=perturbation,
            severity=severity,
            conditions=conditions,
            is_correct=correct,
            added=added,
        )


def stimuli(dataset: str, num_images: int, seed: int) -> pa.Table:
    """Return the manifest of a cue-conflict set; some textures are those of the shape's class."""
    random = np.random.default_rng([seed, 2])
    return pa.table(
        {
            "index": np.arange(num_images),
            "image_id": [image_id(dataset, number) for number in range(num_images)],
            "target": (np.arange(num_images) % NUM_CLASSES).astype(np.int16),
            "texture": random.integers(NUM_CLASSES, size=num_images).astype(np.int16),
        }
    )


def cue_conflict(row: Row, manifest: pa.Table, dataset: str, seed: int) -> pa.Table:
    """Return the shard of a model that decides by shape, by texture, or by neither."""
    shape, texture = manifest["target"].to_numpy(), manifest["texture"].to_numpy()
    # crc32 would do as well: any number that differs between models.
    random = np.random.default_rng([seed, 3, *row["model"].encode()])
    is_large = (row["patch_size"] or 0) == 8
    by_shape = 0.3 + 0.08 * (row["pretraining_rank"] or 0) + 0.12 * is_large
    drawn = random.random(len(shape))
    other = random.integers(NUM_CLASSES, size=len(shape))
    prediction = np.select([drawn < by_shape, drawn < 0.85], [shape, texture], other)
    return shard(
        row["model"],
        dataset,
        perturbation="none",
        severity=0,
        conditions=["none"],
        is_correct=(prediction == shape)[None],
        added={"target": shape, "prediction": prediction},
    )


def patterns(rows: list[Row], dataset: str, num_images: int, seed: int) -> Iterator[pa.Table]:
    """Yield the measures of each model's perturbations: one file a model, in order."""
    patches = sorted({row["patch_size"] for row in rows if row["patch_size"]})
    for place, row in enumerate(rows):
        random = np.random.default_rng([seed, 4, place])
        parts = [
            pa.table(
                {
                    "model": [row["model"]] * num_images,
                    "image_id": [image_id(dataset, number) for number in range(num_images)],
                    "patch_px": pa.array([patch] * num_images, pa.int32()),
                    "border_ratio": _ratios(random, num_images, row["patch_size"] == patch),
                    "foreground_ratio": pa.array(
                        [None if n % 5 == 4 else 1.5 + 0.1 * (n % 3) for n in range(num_images)],
                        pa.float32(),
                    ),
                }
            )
            for patch in patches
        ]
        if parts:
            yield pa.concat_tables(parts)


def _ratios(random: np.random.Generator, num_images: int, is_own: bool) -> pa.Array:
    mean = 1.35 if is_own else 1.0
    return pa.array(mean * np.exp(0.1 * random.standard_normal(num_images)), pa.float32())
