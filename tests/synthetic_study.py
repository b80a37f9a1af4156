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
from perturb.tables.catalogue import TABLES
from perturb.tables.run import make_table

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


def table_of(study: Study, name: str, *, threads: int = 1) -> pa.Table:
    """Return a table of a study; the reference's errors are made on the way."""
    sources = {source: _source(study, source) for source in TABLES[name].sources}
    if name == "reference_errors":
        sources["decisions"] = study.reference
    values = {"num_resamples": 200, "seed": 0}
    parameters = {key: values[key] for key in TABLES[name].parameters}
    return make_table(name, sources, parameters, threads=threads)


def tables_of(study: Study, folder: Path) -> dict[str, Path]:
    """Write every table of a study as Parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        pq.write_table(table_of(study, name), folder / f"{name}.parquet")
    return {name: folder / f"{name}.parquet" for name in TABLES}


def _source(study: Study, source: str) -> Path | list[Path]:
    if source != "reference_errors":
        return getattr(study, source)
    path = study.models.with_name("reference_errors.parquet")
    if not path.exists():
        pq.write_table(table_of(study, source), path)
    return path


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
    image_ids = [f"{dataset}/test/{number:06d}" for number in range(num_images)]
    values = {
        "model": [model] * num_rows,
        "dataset": [dataset] * num_rows,
        "perturbation": [perturbation] * num_rows,
        "severity": [severity] * num_rows,
        "condition": np.repeat(conditions, num_images).tolist(),
        "sample": [0] * num_rows,
        "image_id": image_ids * num_conditions,
        "target": [0] * num_rows,
        "prediction": (~correct).astype(int).tolist(),
        "is_correct": correct.tolist(),
        "is_top5": [True] * num_rows,
        "target_probability": [0.5] * num_rows,
        "loss": [0.7] * num_rows,
    }
    return pa.Table.from_pydict(values, schema=SHARD)


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
