"""`perturb merge`: folders of one grid laid together are one study; what differs is refused."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perturb.__main__ import main
from perturb.config import load_config
from perturb.evaluation.shards import read_shard, write_shard
from perturb.files import sha256_of
from perturb.plan.check_shards import check_shards
from perturb.plan.jobs import experiments
from perturb.plan.origins import foreign_artefacts
from perturb.plan.paths import Paths
from perturb.sharing import laying
from perturb.sharing.folders import Folder, Item
from perturb.sharing.refusals import refusals
from tests import kept_study, two_labs
from tests.two_labs import two_model_study

CELL = "shards/reference/test/none/0.parquet"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the whole study's results, and those of two labs."""
    folder = tmp_path_factory.mktemp("labs")
    two_labs.run_apart(folder)
    return folder


@pytest.fixture
def labs(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy the labs' folders, without their times, into the working directory."""
    for lab in ("lab1", "lab2"):
        shutil.copytree(base / lab, tmp_path / lab, copy_function=shutil.copyfile)
    monkeypatch.chdir(tmp_path)
    two_labs.forget_files()


def _merge(*words: str) -> int:
    return main(["merge", *(words or ("lab1", "lab2")), "--into", "all"])


def _shards(results: str | Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all shards by their place."""
    folder = Path(results) / "shards"
    return {
        str(path.relative_to(folder)): read_shard(path)[0].to_pylist()
        for path in sorted(folder.rglob("*.parquet"))
    }


def _contents(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.usefixtures("labs")
def test_the_merged_folder_is_the_whole_study(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _contents("lab1") | _contents("lab2")
    assert _merge() == 0
    told = capsys.readouterr().out
    assert "16 shards in all, of which 16 are new\n" in told
    assert "2 measurements in all, of which 2 are new\n" in told
    assert _contents("lab1") | _contents("lab2") == before
    config = load_config(two_model_study(results="all"))
    assert foreign_artefacts(config) == {}
    assert kept_study.planned(config) == set()
    assert two_labs.run(two_model_study(results="all")) == set()
    assert _shards("all") == _shards(base / "whole")
    paths = Paths("all")
    weights = {model: sha256_of(Path(paths.weights(model))) for model in config.models}
    found = [check_shards(config, name, weights)["path"] for name in experiments(config)]
    assert sum(map(len, found)) == 16


@pytest.mark.usefixtures("labs")
def test_the_order_of_the_labs_makes_no_difference(base: Path) -> None:
    assert _merge("lab2", "lab1") == 0
    assert kept_study.planned(load_config(two_model_study(results="all"))) == set()
    assert _shards("all") == _shards(base / "whole")


@pytest.mark.usefixtures("labs")
def test_merging_again_copies_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert _merge("lab1") == 0
    assert _merge() == 0
    capsys.readouterr()
    before = _contents("all")
    assert _merge() == 0
    assert "16 shards in all, of which 0 are new\n" in capsys.readouterr().out
    assert _contents("all") == before


@pytest.mark.usefixtures("labs")
def test_a_lab_may_be_laid_into_the_others_folder() -> None:
    assert main(["merge", "lab2", "--into", "lab1"]) == 0
    assert kept_study.planned(load_config(two_model_study(results="lab1"))) == set()


@pytest.mark.usefixtures("labs")
def test_an_interrupted_merge_continues(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it ends: each file is whole or not there."""
    copies = 0

    def interrupted(source: Path, target: Path) -> None:
        nonlocal copies
        copies += 1
        shutil.copyfile(source, target)
        if copies % 7 == 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(laying, "_copy", interrupted)
        for _ in range(4):
            with pytest.raises(KeyboardInterrupt):
                _merge()
            two_labs.forget_files()
    assert _merge() == 0
    assert not [*Path("all").rglob(".*.tmp")]
    assert kept_study.planned(load_config(two_model_study(results="all"))) == set()
    assert _shards("all") == _shards(base / "whole")


@pytest.mark.usefixtures("labs")
def test_folders_without_pixels_and_weights_are_enough_for_what_is_evaluated(base: Path) -> None:
    for path in [*Path("lab2").rglob("images.npy"), *Path("lab2").rglob("*.safetensors")]:
        path.unlink()
    assert _merge() == 0
    assert Path("all/checkpoints/reference/weights.safetensors").exists()
    assert not Path("all/checkpoints/b/weights.safetensors").exists()
    assert _shards("all") == _shards(base / "whole")


@pytest.mark.usefixtures("labs")
def test_what_a_cell_lacks_is_evaluated(base: Path) -> None:
    Path("lab2/shards/b/test/fgsm/4_255.parquet").unlink()
    assert _merge() == 0
    assert two_labs.run(two_model_study(results="all")) == {"b / test / fgsm / 4_255"}
    assert _shards("all") == _shards(base / "whole")


def _rewrite(file: str, change: Callable[[pa.Table, dict[str, Any]], pa.Table]) -> None:
    table, metadata = read_shard(Path(file))
    table = change(table, metadata)
    write_shard(Path(file), table, metadata)


def _seen(key: str, value: Any) -> Callable[[], None]:
    """Return a function that changes the metadata of a lab's cell that the other lacks."""

    def change(table: pa.Table, metadata: dict[str, Any]) -> pa.Table:
        metadata[key] = value
        return table

    return lambda: _rewrite("lab2/shards/b/test/fgsm/4_255.parquet", change)


def _options() -> None:
    def change(table: pa.Table, metadata: dict[str, Any]) -> pa.Table:
        metadata["options"]["seeds"] = 3
        return table

    _rewrite("lab2/shards/b/test/weight_noise/0.5.parquet", change)


def _versions() -> None:
    def change(table: pa.Table, metadata: dict[str, Any]) -> pa.Table:
        metadata["versions"]["torch"] = "1.0"
        return table

    _rewrite(f"lab2/{CELL}", change)


def _other_identity() -> None:
    def change(table: pa.Table, metadata: dict[str, Any]) -> pa.Table:
        metadata["identity"] = "0" * 32
        metadata["identities"]["none"] = "0" * 32
        return table

    _rewrite(f"lab2/{CELL}", change)


def _other_conditions() -> None:
    def change(table: pa.Table, metadata: dict[str, Any]) -> pa.Table:
        metadata["identity"] = "0" * 32
        del metadata["identities"]["fog"]
        return table

    _rewrite("lab2/shards/reference/test/corruptions/1.parquet", change)


def _other_rows() -> None:
    def change(table: pa.Table, _: dict[str, Any]) -> pa.Table:
        place = table.schema.get_field_index("loss")
        return table.set_column(place, "loss", pa.array([0.5] * table.num_rows, pa.float32()))

    _rewrite(f"lab2/{CELL}", change)


def _truncated() -> None:
    path = Path(f"lab2/{CELL}")
    path.write_bytes(path.read_bytes()[:-50])


def _misplaced() -> None:
    shutil.copyfile("lab2/shards/b/test/none/0.parquet", f"lab2/{CELL}")


def _other_card() -> None:
    path = Path("lab2/checkpoints/reference/card.json")
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"weights_sha256": "0" * 64}))


def _of_images(key: bytes) -> Callable[[], None]:
    def change() -> None:
        path = Path("lab2/decoded/test/manifest.parquet")
        table = pq.read_table(path)
        metadata = dict(table.schema.metadata)
        if key == b"pixels_digest":
            metadata[key] = b"0" * 32
        else:
            targets = pa.array([1] * table.num_rows, table.schema.field("target").type)
            place = table.schema.get_field_index("target")
            table = table.set_column(place, "target", targets)
        pq.write_table(table.replace_schema_metadata(metadata), path)

    return change


def _no_card() -> None:
    Path("lab2/checkpoints/b/card.json").unlink()


def _no_dataset() -> None:
    shutil.rmtree("lab2/decoded/second")


REFUSED: dict[str, tuple[Callable[[], None], str]] = {
    "identity": (_other_identity, f"lab2/{CELL}: another identity"),
    "conditions": (_other_conditions, "corruptions/1.parquet: other conditions than lab1/"),
    "content": (_other_rows, f"lab2/{CELL}: other rows of the same identity"),
    "truncated": (_truncated, f"lab2/{CELL}: not a whole Parquet file"),
    "misplaced": (_misplaced, f"lab2/{CELL}: holds the cell b / test / none / 0.0"),
    "protocol": (_seen("protocol", 9), "protocol of fgsm of test is 9, but 1 in lab1/shards/a"),
    "seed": (_seen("seed", 9), "seed of fgsm of test is 9, but "),
    "images": (_seen("num_images", 9), "num_images of fgsm of test is 9, but 12 in"),
    "option": (_options, "option seeds of weight_noise of test is 3, but 2 in"),
    "precision": (_seen("dtype", "bfloat16"), "dtype of fgsm of test is 'bfloat16', but"),
    "version": (_versions, "torch: "),
    "weights": (_other_card, "lab2/checkpoints/reference/card.json: another weights_sha256"),
    "pixels": (_of_images(b"pixels_digest"), "lab2/decoded/test/manifest.parquet: other pixels"),
    "targets": (_of_images(b""), "lab2/decoded/test/manifest.parquet: other images or targets"),
    "no card": (_no_card, "lab2 has no readable checkpoints/b/card.json"),
    "no dataset": (_no_dataset, "lab2 has no readable decoded/second"),
}


def _of_precision(dtype: str, family: str) -> Folder:
    """Return a folder with one cell of a network of a family."""
    folder = Folder(Path(family))
    card, shard = "checkpoints/a/card.json", "shards/a/test/fgsm/4_255.parquet"
    folder.items[card] = Item("checkpoints", card, {"family": family, "weights_sha256": "0"})
    metadata = {"model": "a", "dtype": dtype, "weights_sha256": "0"}
    folder.items[shard] = Item("shards", shard, {"identity": "0"}, metadata=metadata)
    return folder


@pytest.mark.parametrize(
    ("dtype", "family", "is_refused"),
    [
        ("pure_bfloat16", "vit", False),
        ("bfloat16", "vit", True),
        ("float32", "vit", True),
        ("bfloat16", "resnet", False),
        ("pure_bfloat16", "resnet", False),
        ("float32", "resnet", True),
    ],
)
def test_networks_of_one_family_have_one_precision(
    dtype: str, family: str, is_refused: bool
) -> None:
    folders = [_of_precision("pure_bfloat16", "vit"), _of_precision(dtype, family)]
    refused = [line for line in refusals(folders) if "dtype of fgsm" in line]
    assert len(refused) == is_refused
    if is_refused:
        assert f"is {dtype!r}, but " in refused[0]


@pytest.mark.parametrize(("differ", "said"), REFUSED.values(), ids=REFUSED)
@pytest.mark.usefixtures("labs")
def test_what_differs_is_refused_by_name(
    differ: Callable[[], None], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    differ()
    assert _merge() == 1
    assert said in capsys.readouterr().err
    assert not Path("all").exists()


@pytest.mark.usefixtures("labs")
def test_what_is_there_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    assert _merge("lab1") == 0
    before = _contents("all")
    _other_rows()
    assert _merge("lab2") == 1
    assert f"lab2/{CELL}: other rows of the same identity" in capsys.readouterr().err
    assert _contents("all") == before


@pytest.mark.usefixtures("labs")
def test_other_versions_are_accepted_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    _versions()
    assert _merge("lab1", "lab2", "--mixed-versions") == 0
    assert "Mixed versions of torch: " in capsys.readouterr().out


def test_what_is_no_results_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    assert _merge("empty", "none") == 1
    assert "none: there is no such folder" in capsys.readouterr().err
    assert _merge("empty") == 1
    assert "empty: holds no shard; allowed: results folders" in capsys.readouterr().err
    assert os.listdir() == ["empty"]  # noqa: PTH208
