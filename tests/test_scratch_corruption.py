"""A corruption is added in three files of one folder, and stands in table and chart."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.faults import fault_study
from tests.workspace import Workspace, environment, fresh_clone

FOLDER = Path("perturb/experiments/corruptions")
FUNCTION = '''

def posterize(images: Tensor, constants: Constants) -> Tensor:
    """Return the images with fewer levels for each colour."""
    (num_levels,) = constants
    step = 255 / (num_levels - 1)
    return to_bytes((images.float() / step).round_() * step)


CORRUPTIONS["posterize"] = Corruption(posterize, published=((8,), (6,), (4,), (3,), (2,)))
'''


def _files(workspace: Workspace) -> dict[str, bytes]:
    folder = workspace.folder
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def _add(workspace: Workspace) -> None:
    folder = workspace.folder / FOLDER
    with (folder / "digital.py").open("a") as file:
        file.write(FUNCTION)
    names = folder / "names.py"
    names.write_text(names.read_text().replace('"saturate")', '"saturate", "posterize")'))
    golden = json.loads((folder / "golden.json").read_text())
    golden["statistics"]["posterize"] = _statistics(workspace)
    (folder / "golden.json").write_text(json.dumps(golden))


def _statistics(workspace: Workspace) -> list[float]:
    """Return the numbers that the golden test of corruptions compares."""
    program = (
        "from perturb.experiments.corruptions.test_corruptions import statistics\n"
        "print(*statistics('posterize'))\n"
    )
    told = workspace.python(["-c", program], environment())
    return [float(value) for value in told.splitlines()[0].split()]


@pytest.mark.slow
def test_a_corruption_is_added_in_three_files(tmp_path: Path) -> None:
    workspace = fresh_clone(tmp_path / "scratch copy")
    before = _files(workspace)
    _add(workspace)
    after = _files(workspace)
    changed = {name for name in after if after[name] != before.get(name)}
    assert len(changed) == 3
    assert {str(Path(name).parent) for name in changed} == {str(FOLDER)}

    tests = f"{FOLDER}/test_corruptions.py"
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", tests, "-k", "posterize"]
    workspace.python(command, environment())

    study = fault_study()
    study["perturbations"]["corruptions"]["corruptions"] = ["brightness", "posterize"]
    workspace.configure(study)
    workspace.told("--", "results/charts/corruption_heatmap.svg")
    table = pq.read_table(workspace.folder / "results/tables/corruption_means.parquet")
    rows = [row for row in table.to_pylist() if row["corruption"] == "posterize"]
    assert {row["model"] for row in rows} == {"a"}
    assert {row["corruption_group"] for row in rows} == {"Extra"}
    chart = (workspace.folder / "results/charts/corruption_heatmap.svg").read_text()
    assert "posterize" in chart.lower()
