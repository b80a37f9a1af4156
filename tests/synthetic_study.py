"""A small study made up of shards, for the tests of tables, charts and page.

Models differ in ability and images in difficulty, so that decisions of different models on one
image are correlated, as real ones are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perturb.perturbations.names import CORRUPTIONS

NAMES = pa.dictionary(pa.int16(), pa.string())
SHARD = pa.schema(
    [
        ("model", NAMES),
        ("dataset", NAMES),
        ("perturbation", NAMES),
        ("severity", pa.float64()),
        ("condition", NAMES),
        ("sample", pa.int16()),
        ("image_id", pa.string()),
        ("target", pa.int16()),
        ("prediction", pa.int16()),
        ("is_correct", pa.bool_()),
        ("is_top5", pa.bool_()),
        ("target_probability", pa.float32()),
        ("loss", pa.float32()),
    ]
)
# family, size, patch size, parameters, ability
ARCHITECTURES = [
    ("resnet", "S", None, 62_000, 2.1),
    ("resnet", "B", None, 336_000, 2.5),
    ("vit", "S", 8, 148_000, 1.6),
    ("vit", "S", 4, 142_000, 1.5),
    ("vit", "B", 8, 470_000, 1.9),
]
PRETRAINING = ["Small", "Medium", "Large"]
DATASETS = [
    ("shapes", "Shapes", "clean", 0.0),
    ("renditions", "Renditions", "renditions", 2.6),
    ("hard", "Natural adversarial", "natural_adversarial", 3.0),
]


@dataclass(frozen=True)
class Study:
    """The files of a synthetic study, by the names that `make_table` asks for."""

    decisions: list[Path]
    models: Path
    datasets: Path
    inventory: Path
    reference: list[Path]  # the reference network's shards; `decisions` leaves them out

    @property
    def claim_rules(self) -> Path:
        """The claims of the paper."""
        return Path(__file__).parent.parent / "resources" / "claims.csv"

    def sources(self, *names: str) -> dict[str, Path | list[Path]]:
        """Return the sources of these names."""
        return {name: getattr(self, name) for name in names}

    def with_reference(self) -> "Study":
        """Return the study with the reference's shards among the decisions, as in a real run."""
        return replace(self, decisions=self.decisions + self.reference)

    def without(self, model: str) -> "Study":
        """Return the study with a model removed from the configuration."""
        models = pq.read_table(self.models)
        path = self.models.with_name(f"models-without-{model}.parquet")
        pq.write_table(models.filter(pc.not_equal(models["model"], model)), path)
        kept = [shard for shard in self.decisions if model not in shard.parts]
        return replace(self, models=path, decisions=kept)

    def shuffled(self, folder: Path) -> "Study":
        """Return the study with rows and files in another order, under other paths."""
        random = np.random.default_rng(5)
        paths = []
        for path in self.decisions:
            table = pq.read_table(path)
            paths.append(write_shard(folder, table.take(random.permutation(table.num_rows))))
        return replace(self, decisions=paths[::-1])


def shard(
    model: str,
    dataset: str,
    *,
    perturbation: str,
    severity: float,
    conditions: Sequence[str],
    is_correct: np.ndarray,
) -> pa.Table:
    """Return a shard with the given outcomes, (conditions, images)."""
    num_conditions, num_images = is_correct.shape
    correct = is_correct.reshape(-1)
    num_rows = len(correct)
    image_ids = pa.array([f"{dataset}/test/{number:06d}" for number in range(num_images)])
    columns = {
        "model": _repeated(model, num_rows),
        "dataset": _repeated(dataset, num_rows),
        "perturbation": _repeated(perturbation, num_rows),
        "severity": np.full(num_rows, float(severity)),
        "condition": pa.DictionaryArray.from_arrays(
            np.repeat(np.arange(num_conditions, dtype=np.int16), num_images), list(conditions)
        ),
        "sample": np.zeros(num_rows, np.int16),
        "image_id": pa.concat_arrays([image_ids] * num_conditions),
        "target": np.zeros(num_rows, np.int16),
        "prediction": (~correct).astype(np.int16),
        "is_correct": correct,
        "is_top5": np.ones(num_rows, bool),
        "target_probability": np.full(num_rows, 0.5, np.float32),
        "loss": np.full(num_rows, 0.7, np.float32),
    }
    return pa.table(columns).cast(SHARD)


def _repeated(value: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int16), [value])


def write_shard(folder: Path, table: pa.Table) -> Path:
    """Write a shard at the path of its cell."""
    cell = [str(table[name][0].as_py()) for name in SHARD.names[:4]]
    path = folder.joinpath("shards", *cell).with_suffix(".parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def _inventory(paths: list[Path]) -> pa.Table:
    rows = []
    for path in paths:
        perturbation, severity = path.parent.name, float(path.stem)
        num_rows = pq.read_metadata(path).num_rows
        rows.append(
            {
                "path": str(path),
                "model": path.parts[-4],
                "dataset": path.parts[-3],
                "perturbation": perturbation,
                "severity": severity,
                "num_images": num_rows if perturbation == "none" else num_rows // len(CORRUPTIONS),
                "num_rows": num_rows,
                "seconds": 0.5 + num_rows / 3000,
                "device": "test device",
                "commit": "0123456789ab",
                "torch": "2.13.0",
            }
        )
    return pa.Table.from_pylist(rows)


def make_study(
    folder: Path,
    *,
    num_images: int = 60,
    architectures: Sequence[tuple[str, str, int | None, int, float]] = tuple(ARCHITECTURES),
    pretraining: Sequence[str] = tuple(PRETRAINING),
    corruptions: Sequence[str] = CORRUPTIONS,
    severities: Sequence[int] = (1, 2, 3, 4, 5),
    seed: int = 0,
) -> Study:
    """Write the shards and facts of a study; larger pre-training sets make abler models."""
    random = np.random.default_rng(seed)
    difficulty = {dataset: random.logistic(size=num_images) for dataset, *_ in DATASETS}
    rows = _models(architectures, pretraining)
    decisions: list[Path] = []
    reference: list[Path] = []
    for row in rows:
        ability = row.pop("ability")
        paths = reference if row["is_reference"] else decisions
        for dataset, _, role, penalty in DATASETS:
            if row["is_reference"] and role != "clean":
                continue
            level = ability - penalty - difficulty[dataset]
            correct = random.random((1, num_images)) < _sigmoid(level)
            table = shard(
                row["model"],
                dataset,
                perturbation="none",
                severity=0,
                conditions=["none"],
                is_correct=correct,
            )
            paths.append(write_shard(folder, table))
        level = ability - difficulty["shapes"]
        for severity in severities:
            harm = np.array([_harm(name) for name in corruptions])[:, None] * severity
            correct = random.random((len(corruptions), num_images)) < _sigmoid(level - harm)
            table = shard(
                row["model"],
                "shapes",
                perturbation="corruptions",
                severity=severity,
                conditions=corruptions,
                is_correct=correct,
            )
            paths.append(write_shard(folder, table))
    pq.write_table(_models_table(rows), folder / "models.parquet")
    facts = [
        {"dataset": id, "label": label, "role": role, "num_images": num_images, "num_classes": 12}
        for id, label, role, _ in DATASETS
    ]
    pq.write_table(pa.Table.from_pylist(facts), folder / "datasets.parquet")
    pq.write_table(_inventory(decisions + reference), folder / "inventory.parquet")
    return Study(
        decisions=decisions,
        models=folder / "models.parquet",
        datasets=folder / "datasets.parquet",
        inventory=folder / "inventory.parquet",
        reference=reference,
    )


def _models(
    architectures: Sequence[tuple[str, str, int | None, int, float]], pretraining: Sequence[str]
) -> list[dict]:
    rows = []
    for family, size, patch_size, num_parameters, ability in architectures:
        suffix = f"/{patch_size}" if patch_size else ""
        name = {"vit": "ViT", "resnet": "ResNet"}[family]
        architecture = f"{family}-{size}{patch_size or ''}".lower()
        for rank, label in enumerate(pretraining):
            rows.append(
                {
                    "model": f"{architecture}-{label.lower()}",
                    "label": f"{name}-{size}{suffix}",
                    "architecture": architecture,
                    "family": family,
                    "size": size,
                    "patch_size": patch_size,
                    "pretraining": label.lower(),
                    "pretraining_label": label,
                    "pretraining_rank": rank,
                    "pretraining_images": 2000 * 5**rank,
                    "num_parameters": num_parameters,
                    "is_reference": False,
                    "ability": ability + 0.3 * rank,
                }
            )
    reference = dict(rows[0], model="reference", architecture="reference", is_reference=True)
    empty = dict.fromkeys([name for name in reference if name.startswith("pretraining")])
    return [*rows, {**reference, **empty, "ability": 1.7}]


def _models_table(rows: list[dict]) -> pa.Table:
    types = {
        "patch_size": pa.int32(),
        "pretraining_rank": pa.int32(),
        "pretraining_images": pa.int64(),
        "num_parameters": pa.int64(),
        "is_reference": pa.bool_(),
    }
    schema = pa.schema([(name, types.get(name, pa.string())) for name in rows[0]])
    return pa.Table.from_pylist(rows, schema=schema)


def _harm(corruption: str) -> float:
    """Return how much a step of severity costs: another figure for each corruption."""
    return 0.08 + 0.03 * (CORRUPTIONS.index(corruption) * 7 % 19) / 2


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
