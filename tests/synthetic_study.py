"""A small study made up of shards, for the tests of tables, charts and page.

Models differ in ability and images in difficulty, so that predictions of different models on one
image are correlated, as real ones are.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perturb.experiments.corruptions.names import CORRUPTIONS
from tests.synthetic_attacks import (
    Attacked,
    cue_conflict,
    epsilons_of,
    patterns,
    stimuli,
)
from tests.synthetic_facts import datasets_table, inventory_table, model_rows, models_table
from tests.synthetic_model_perturbations import (
    CORRELATIONS,
    MODEL_PERTURBATIONS,
    Changed,
    representations,
)
from tests.synthetic_published import PUBLISHED, class_subset, write_published
from tests.synthetic_shards import shard, write_shard

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
CUE_CONFLICT = "cue-conflict"
# What a study may have beside clean images and corruptions.
ATTACKS = ("fgsm", "pgd", "attack_ensemble", "attack_ensemble_l2", "spatial", "transfer")
EXTRAS = (*ATTACKS, "cue_conflict", "patterns", *MODEL_PERTURBATIONS, CORRELATIONS, *PUBLISHED)


@dataclass(frozen=True)
class Study:
    """The files of a synthetic study, by the names that `make_table` asks for."""

    predictions: list[Path]
    models: Path
    datasets: Path
    inventory: Path
    reference: list[Path]  # the reference network's shards; `predictions` leaves them out
    stimuli: list[Path]
    patterns: list[Path]
    representations: list[Path]
    paper_figures: Path
    published_top1: Path
    available: frozenset[str]  # what decides which tables and charts the study has

    @property
    def decisions(self) -> list[Path]:
        """No person has decided on these images."""
        return []

    @property
    def claim_rules(self) -> Path:
        """The claims of the paper."""
        return Path(__file__).parent.parent / "resources" / "claims.csv"

    def sources(self, *names: str) -> dict[str, Path | list[Path]]:
        """Return the sources of these names."""
        return {name: getattr(self, name) for name in names}

    def with_reference(self) -> "Study":
        """Return the study with the reference's shards among the predictions, as in a real run."""
        return replace(self, predictions=self.predictions + self.reference)

    def without(self, model: str) -> "Study":
        """Return the study with a model removed from the configuration."""
        models = pq.read_table(self.models)
        path = self.models.with_name(f"models-without-{model}.parquet")
        pq.write_table(models.filter(pc.not_equal(models["model"], model)), path)
        kept = [
            shard
            for shard in self.predictions
            if model not in shard.parts and shard.stem != model  # its transfer attacks
        ]
        analyses = {
            name: [file for file in getattr(self, name) if file.stem != model]
            for name in ("patterns", "representations")
        }
        return replace(self, models=path, predictions=kept, **analyses)

    def joined(self, name: str = "predictions") -> "Study":
        """Return the study with all predictions in one file: opening many takes longer.

        For tests that ask what tables say, not how shards are read.

        Parameters
        ----------
        name : of the file, beside the facts of the models.
        """
        path = self.models.with_name(f"{name}.parquet")
        tables = [pq.read_table(shard, partitioning=None) for shard in self.predictions]
        pq.write_table(pa.concat_tables(tables).unify_dictionaries(), path)
        return replace(self, predictions=[path])

    def shuffled(self, folder: Path) -> "Study":
        """Return the study with rows and files in another order, under other paths."""
        random = np.random.default_rng(5)
        paths = []
        for path in self.predictions:
            table = pq.read_table(path)
            paths.append(write_shard(folder, table.take(random.permutation(table.num_rows))))
        return replace(
            self,
            predictions=paths[::-1],
            patterns=self.patterns[::-1],
            representations=self.representations[::-1],
        )


def make_study(
    folder: Path,
    *,
    num_images: int = 60,
    architectures: Sequence[tuple[str, str, int | None, int, float]] = tuple(ARCHITECTURES),
    pretraining: Sequence[str] = tuple(PRETRAINING),
    corruptions: Sequence[str] = CORRUPTIONS,
    severities: Sequence[int] = (1, 2, 3, 4, 5),
    num_corrupted: int | None = None,
    datasets: Sequence[tuple[str, str, str, float]] = tuple(DATASETS),
    extras: Collection[str] = EXTRAS,
    seed: int = 0,
) -> Study:
    """Write the shards and facts of a study; larger pre-training sets make abler models.

    Half of the clean images are attacked, and decided on by changed models; all are corrupted
    unless told otherwise. `extras` are some of `EXTRAS`.
    """
    random = np.random.default_rng(seed)
    difficulty = {dataset: random.logistic(size=num_images) for dataset, *_ in datasets}
    rows = model_rows(architectures, pretraining)
    predictions: list[Path] = []
    reference: list[Path] = []
    for row in rows:
        ability = row.pop("ability")
        paths = reference if row["is_reference"] else predictions
        for dataset, _, role, penalty in datasets:
            if row["is_reference"] and role != "clean":
                continue
            level = ability - penalty - difficulty[dataset]
            correct = random.random((1, num_images)) < _sigmoid(level)
            if role == "clean":
                row["is_clean"] = correct[0]
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
                is_correct=correct[:, :num_corrupted],
            )
            paths.append(write_shard(folder, table))
    tested = [row for row in rows if not row["is_reference"]]
    num_attacked = max(1, num_images // 2)
    attacked = _attack_shards(Attacked("shapes", num_attacked, seed), tested, extras)
    predictions += [write_shard(folder, table) for table in attacked]
    changed = Changed("shapes", num_attacked, seed)
    predictions += [
        write_shard(folder, table)
        for row in tested
        for perturbation in MODEL_PERTURBATIONS
        if perturbation in extras
        for table in changed.shards(row, perturbation)
    ]
    manifest = stimuli(CUE_CONFLICT, num_images, seed)
    if "cue_conflict" in extras:
        conflict = (cue_conflict(row, manifest, CUE_CONFLICT, seed) for row in tested)
        predictions += [write_shard(folder, table) for table in conflict]
    if "class_subset" in extras:
        subsets = (table for row in tested for table in class_subset(row, num_images, seed))
        predictions += [write_shard(folder, table) for table in subsets]
    for row in rows:
        row.pop("is_clean")
    pq.write_table(models_table(rows), folder / "models.parquet")
    sets = [dataset[:3] for dataset in datasets]
    if "cue_conflict" in extras:
        sets.append((CUE_CONFLICT, "Cue conflict", "cue_conflict"))
    pq.write_table(datasets_table(sets, num_images), folder / "datasets.parquet")
    pq.write_table(inventory_table(predictions + reference), folder / "inventory.parquet")
    return Study(
        predictions=predictions,
        models=folder / "models.parquet",
        datasets=folder / "datasets.parquet",
        inventory=folder / "inventory.parquet",
        reference=reference,
        stimuli=_written([manifest], folder, "stimuli") if "cue_conflict" in extras else [],
        patterns=_written(patterns(tested, "shapes", num_attacked, seed), folder, "patterns")
        if "patterns" in extras
        else [],
        representations=_written(
            representations(tested, "shapes", num_attacked, seed), folder, "representations"
        )
        if CORRELATIONS in extras
        else [],
        **write_published(folder, rows),
        available=frozenset(
            (
                *("none", "reference"),
                *(("corruptions",) if severities else ()),
                *(("attacks",) if "pgd" in extras else ()),
                *extras,
            )
        ),
    )


def _attack_shards(
    attacked: Attacked, rows: Sequence[Mapping[str, Any]], extras: Collection[str]
) -> Iterator[pa.Table]:
    margins = [attacked.margins(row, row["is_clean"]) for row in rows]
    for row, own in zip(rows, margins, strict=True):
        for attack in ("fgsm", "pgd", "attack_ensemble", "attack_ensemble_l2"):
            if attack in extras:
                for epsilon in epsilons_of(attack):
                    yield attacked.gradient_attack(row, own, attack, epsilon)
        if "spatial" in extras:
            yield attacked.spatial_attack(row, own)
        if "transfer" in extras:
            for source in rows:
                yield attacked.transfer(source, row, own)


def _written(tables: Iterable[pa.Table], folder: Path, name: str) -> list[Path]:
    """Write each table to a file of its own, under its first row's model if it has one."""
    paths = []
    for table in tables:
        stem = table["model"][0].as_py() if "model" in table.column_names else "manifest"
        paths.append(folder / name / f"{stem}.parquet")
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, paths[-1])
    return paths


def _harm(corruption: str) -> float:
    """Return how much a step of severity costs: another figure for each corruption."""
    return 0.08 + 0.03 * (CORRUPTIONS.index(corruption) * 7 % 19) / 2


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
