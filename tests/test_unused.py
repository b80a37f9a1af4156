"""Results that the configuration no longer names: listed, kept, and used again."""

import copy
from pathlib import Path
from typing import Any

import pytest

from perturb.config import Config, load_config
from perturb.plan.cells import cells
from perturb.plan.paths import Paths
from perturb.plan.unused import list_unused, unused_files
from perturb.runs.census import census
from perturb.runs.status import described


@pytest.fixture
def raw(
    tiny_study: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Return a study whose results are there, as far as their names say."""
    monkeypatch.chdir(tmp_path)
    raw = tiny_study | {"results": "my results"}
    raw["perturbations"]["none"]["datasets"] = ["test", "second"]
    raw["perturbations"]["lesions"] = {"datasets": ["test"], "images": 4, "removed": [1]}
    raw["analyses"] = {"layer_correlations": {"dataset": "test", "images": 4}}
    config = load_config(raw)
    paths = Paths(config.results)
    made = [paths.shard(cell) for cell in cells(config)]
    made += [paths.measurement(model, "layer_correlations") for model in config.benchmark_models]
    made += [paths.inventory(name) for name in ("benchmarks", "corruptions", "lesions")]
    made += [paths.table("lesions", "csv"), paths.chart("lesions"), paths.contact_sheet("second")]
    made += paths.examples
    made += [path for model in config.models for path in (paths.card(model), paths.weights(model))]
    made += [path for id in raw["datasets"] for path in (paths.images(id), paths.manifest(id))]
    made += [paths.log("evaluate", "a", "all"), paths.receipt("a", "all")]
    for path in made:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(b"1234")
    return raw


def _unused(raw: dict[str, Any]) -> list[str]:
    return [file.removeprefix("my results/") for file in unused_files(load_config(raw))]


def test_a_whole_study_has_no_list(raw: dict[str, Any]) -> None:
    assert _unused(raw) == []
    assert list_unused(load_config(raw)) is None
    assert not Path("my results/unused.txt").exists()


def _removed(raw: dict[str, Any], *keys: str) -> dict[str, Any]:
    fewer = copy.deepcopy(raw)
    section = fewer
    for key in keys[:-1]:
        section = section[key]
    del section[keys[-1]]
    return fewer


def test_a_removed_model_is_listed_with_all_that_is_its_own(raw: dict[str, Any]) -> None:
    assert _unused(_removed(raw, "models", "b")) == [
        "checkpoints/b/card.json",
        "checkpoints/b/weights.safetensors",
        "measurements/b/layer_correlations.parquet",
        "shards/b/second/none/0.parquet",
        "shards/b/test/corruptions/1.parquet",
        "shards/b/test/corruptions/2.parquet",
        "shards/b/test/none/0.parquet",
    ]


def test_removed_severities_datasets_and_experiments_are_listed(raw: dict[str, Any]) -> None:
    fewer = copy.deepcopy(raw)
    fewer["perturbations"]["corruptions"]["severities"] = [1]
    models = ("a", "b", "reference")
    assert _unused(fewer) == [f"shards/{model}/test/corruptions/2.parquet" for model in models]
    fewer = _removed(raw, "datasets", "second")
    fewer["perturbations"]["none"]["datasets"] = ["test"]
    assert _unused(fewer) == [
        "contact_sheets/second.png",
        "decoded/second/images.npy",
        "decoded/second/manifest.parquet",
        *(f"shards/{model}/second/none/0.parquet" for model in models[:2]),
    ]
    assert _unused(_removed(raw, "perturbations", "lesions")) == [
        "charts/lesions.html",
        "inventory/lesions.parquet",
        "shards/a/test/lesions/1.parquet",
        "tables/lesions.csv",
    ]


def test_the_list_comes_and_goes_with_the_entry_and_no_shard_is_touched(
    raw: dict[str, Any],
) -> None:
    fewer = load_config(_removed(raw, "perturbations", "lesions"))
    shards = sorted(map(str, Path("my results/shards").rglob("*.parquet")))
    assert list_unused(fewer) == (
        "Not of this study: 3 files belong to no entry of the configuration (0.0 MB), listed in "
        "my results/unused.txt"
    )
    listed = Path("my results/unused.txt").read_text().splitlines()
    assert listed == [
        "my results/charts/lesions.html",
        "my results/shards/a/test/lesions/1.parquet",
        "my results/tables/lesions.csv",
    ]
    # A glob over the inventories finds those of the study.
    inventories = {path.stem for path in Path("my results/inventory").iterdir()}
    assert inventories == {"benchmarks", "corruptions"}
    assert sorted(map(str, Path("my results/shards").rglob("*.parquet"))) == shards
    assert list_unused(load_config(raw)) is None
    assert not Path("my results/unused.txt").exists()


def test_the_status_names_them(raw: dict[str, Any]) -> None:
    def told(config: Config) -> str:
        return "\n".join(described(config, census(config), None))

    for shard in Path("my results/shards").rglob("*.parquet"):
        shard.unlink()
    assert "Not of this study" not in told(load_config(raw))
    assert "Not of this study: 3 files belong to no entry" in told(
        load_config(_removed(raw, "models", "b"))
    )
