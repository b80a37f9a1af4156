"""`perturb cost`: sizes of networks, rates, disk, jobs, sums, and the command itself."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from perturb.__main__ import COMMANDS, main
from perturb.config import load_config
from perturb.cost.dag import jobs_of
from perturb.cost.disk import disk_of
from perturb.cost.networks import Network, network_of
from perturb.cost.rates import COLUMNS, Machine, Rate, machine_of, read_rates
from perturb.cost.study import num_images_of, work_of
from perturb.datasets.real.bundled import build_bundled
from perturb.models.architectures import build_network
from perturb.models.network_size import resnet_size, vit_size
from perturb.models.timm_table import timm_models
from perturb.plan.cells import cells
from tests.workspace import ROOT, Workspace, fresh_clone

VITS = [
    {"patch_size": 8, "embed_dim": 64, "depth": 4, "num_heads": 2, "mlp_ratio": 2},
    {"patch_size": 4, "embed_dim": 48, "depth": 3, "num_heads": 3, "mlp_ratio": 4},
]
RESNETS = [
    {"layers": [2, 2, 2], "channels": [32, 64, 128], "num_groups": 4, "stem_channels": 32},
    {"layers": [1, 3], "channels": [64, 64], "num_groups": 8, "stem_channels": 16},
]
CONFIGURATIONS = (
    "config.yaml",
    *(f"config/{name}.yaml" for name in ("smoke", "digits", "scaling", "imagenet")),
)
SLOW = Machine("slow", flops_per_s=1e6)


def _read(name: str) -> dict[str, Any]:
    raw: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return raw


# ---------------------------------------------------------------------------------- networks


@pytest.mark.parametrize("side", [32, 40])
@pytest.mark.parametrize(
    ("family", "arguments"),
    [("vit", entry) for entry in VITS] + [("resnet", entry) for entry in RESNETS],
)
def test_sizes_are_those_of_the_network(family: str, arguments: dict[str, Any], side: int) -> None:
    network = build_network(family, arguments, 7, side).eval()
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        network(torch.zeros(1, 3, side, side))
    size = vit_size if family == "vit" else resnet_size
    num_parameters, flops = size(arguments, side, 7)
    assert num_parameters == sum(weight.numel() for weight in network.parameters())
    assert flops == counter.get_total_flops()


@pytest.mark.parametrize(
    ("tag", "mlp_ratio"),
    [("vit_base_patch16_384.augreg_in1k", 4), ("vit_large_patch32_384.orig_in21k_ft_in1k", 4)],
)
def test_timms_vits_are_counted_as_ours(tag: str, mlp_ratio: int) -> None:
    known = timm_models()[tag]
    arguments = {
        "patch_size": known.patch_size,
        "embed_dim": known.embed_dim,
        "depth": known.depth,
        "mlp_ratio": mlp_ratio,
    }
    num_parameters, flops = vit_size(arguments, known.side, known.num_classes)
    assert num_parameters == known.num_parameters
    assert known.gmacs is not None
    assert flops / 2e9 == pytest.approx(known.gmacs, rel=0.01)


def test_a_network_grows_with_its_side(tiny_study: dict[str, Any]) -> None:
    models = tiny_study["models"]
    tiny_study["architectures"]["vit"] = {"family": "vit", "size": "B", "patch_size": 16}
    tiny_study["architectures"]["resnet"] = {"family": "resnet", "size": "50x1"}
    models["a"]["weights"] = {"timm": "vit_base_patch16_224.augreg_in1k"}
    models["b"]["weights"] = {"timm": "resnetv2_50x1_bit.goog_in21k_ft_in1k"}
    del models["reference"]
    tiny_study["perturbations"] = {"none": {"datasets": ["test"]}}
    tiny_study["datasets"] = {
        "test": {
            "role": "clean",
            "classes": 1000,
            "source": {"path": "val", "layout": "class_folders"},
        }
    }
    tiny_study["pretraining"] = {"small": {"images": 1000}}
    del tiny_study["training"]
    own = load_config(tiny_study)
    models["a"]["preprocessing"] = {"side": 384}
    models["b"]["preprocessing"] = {"side": 224}
    other = load_config(tiny_study)
    known = timm_models()
    gmacs = known["vit_base_patch16_384.augreg_in1k"].gmacs
    assert gmacs is not None
    vit = network_of(other, other.models["a"])
    assert vit.side_px == 384
    assert vit.forward_flops == pytest.approx(2e9 * gmacs, rel=0.001)
    sizes = [network_of(config, config.models["b"]).forward_flops for config in (own, other)]
    assert all(sizes)
    assert sizes[0] == pytest.approx(4 * (sizes[1] or 0))  # its own side is 448 px


# ------------------------------------------------------------------------------------- rates

NETWORK = Network("vit", 32, 1, 2e9)
RATES = [
    Rate("gpu", "float32", "forward", "vit", "small", 32, 1e6, 1000.0),
    Rate("gpu", "float32", "forward", "vit", "large", 32, 1e9, 10.0),
    Rate("gpu", "float32", "forward", "resnet", "other", 32, 2e9, 1e6),
    Rate("gpu", "float32", "corruption", "", "", 32, 0.0, 100.0),
    Rate("cpu", "float32", "forward", "vit", "large", 32, 1e9, 1.0),
]


def test_time_is_that_of_the_nearest_network_of_the_family() -> None:
    machine = machine_of(RATES, "gpu")
    assert machine.seconds("forward", NETWORK, 5) == pytest.approx(1.0)  # 10 GFLOP at 10 GFLOP/s
    assert machine.seconds("gradient", NETWORK, 5) is None
    assert machine.seconds("forward", Network("vit", 32, 1, None), 5) is None
    assert machine.corruption_seconds(64, 100) == pytest.approx(4.0)


def test_a_given_speed_counts_backward_passes() -> None:
    machine = Machine("given", flops_per_s=1e9)
    seconds = [machine.seconds(task, NETWORK, 1) for task in ("forward", "gradient", "training")]
    assert seconds == [2.0, 4.0, 6.0]
    assert machine.corruption_seconds(32, 100) == 0


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ValueError, match="device is 'tpu'; measured: gpu, cpu; or give --tflops"):
        machine_of(RATES, "tpu")


def test_the_table_has_every_task_of_both_families() -> None:
    machine = machine_of(read_rates(), "cpu-core")
    for family in ("vit", "resnet"):
        for task in ("forward", "gradient", "training"):
            assert machine.seconds(task, Network(family, 32, 1, 1e7), 1)
    assert machine.corruption_seconds(32, 1)
    assert machine.corruption_seconds(224, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "not found; python -m benchmarks.rates"), ("a,b\n1,2\n", "columns are .*; allowed")],
)
def test_a_broken_table_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "rates.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_rates(path)
    path.write_text(",".join(COLUMNS) + "\n")
    assert read_rates(path) == ()


# -------------------------------------------------------------------------------------- sums


def test_sums_of_the_smallest_study(tiny_study: dict[str, Any]) -> None:
    config = load_config(tiny_study)
    work = work_of(config, SLOW)
    sizes = {id: network_of(config, model).forward_flops for id, model in config.models.items()}
    assert all(sizes.values())
    a, b, reference = (sizes[id] or 0 for id in ("a", "b", "reference"))
    none, corruptions, training = (work.lines[name] for name in ("none", "corruptions", "training"))
    assert (none.num_cells, none.num_rows, none.forward, none.backward) == (3, 72, 72, 0)
    assert none.flops == 24 * (a + b + reference)
    # Two severities, two conditions, three models.
    assert (corruptions.num_cells, corruptions.num_rows) == (6, 288)
    assert corruptions.forward == 288
    assert training.forward == training.backward == 256 + 256 + 128
    assert training.flops == 3 * (256 * a + 256 * b + 128 * reference)
    assert work.total.seconds == pytest.approx(work.total.flops / 1e6)
    assert work.total.num_cells == len(cells(config))


def test_what_is_not_known_is_told(tiny_study: dict[str, Any]) -> None:
    tiny_study["datasets"]["wrong"] = {"filter": {"dataset": "second", "wrong_by": "reference"}}
    tiny_study["perturbations"]["none"]["datasets"].append("wrong")
    tiny_study["datasets"]["folder"] = {
        "source": {"path": "folder", "layout": "class_folders"},
        "preprocessing": {"side": 32},
    }
    tiny_study["perturbations"]["none"]["datasets"].append("folder")
    config = load_config(tiny_study)
    assert num_images_of(config, "wrong") == 10  # at most all of its pool
    work = work_of(config, SLOW)
    assert work.datasets_without_size == {"folder"}
    assert work.lines["none"].num_rows == 3 * 24 + 2 * 10


def test_the_default_study_takes_what_it_was_measured_to_take(
    default_config: dict[str, Any],
) -> None:
    """docs/benchmarks.md: training 502 s, evaluation and transfer 579 s, start-up taken off."""
    lines = work_of(load_config(default_config), machine_of(read_rates(), "cpu-core")).lines
    training = lines.pop("training").seconds
    rest = sum(line.seconds for line in lines.values())
    assert 502 / 2 < training < 502 * 2
    assert 579 / 2 < rest < 579 * 2


# -------------------------------------------------------------------------------------- disk


def test_stores_are_as_large_as_they_become(tmp_path: Path) -> None:
    config = load_config(_read("config/digits.yaml"))
    total = 0
    for split in ("train", "validation", "test"):
        files = tmp_path / f"{split}.npy", tmp_path / f"{split}.parquet"
        build_bundled(*files, {"set": "digits", "split": split}, seed=0)
        total += sum(file.stat().st_size for file in files)
    disk = disk_of(config, work_of(config, SLOW).total)
    assert {count for _, count in disk.stores.values()} == {1}
    assert sum(size for size, _ in disk.stores.values()) == pytest.approx(total, rel=0.02)
    assert disk.num_shards == len(cells(config))


# -------------------------------------------------------------------------------------- jobs


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return fresh_clone(tmp_path_factory.mktemp("clone"))


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_jobs_are_those_of_a_dry_run(clone: Workspace, name: str) -> None:
    clone.configure(_read(name))
    assert jobs_of(load_config(_read(name))) == clone.planned()


# ----------------------------------------------------------------------------------- command


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_command_tells_every_perturbation(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config(_read(name))
    assert main(["cost", "--configfile", str(ROOT / name), "--tflops", "50"]) == 0
    told = capsys.readouterr().out
    for perturbation in config.perturbations.values():
        assert f"\n{perturbation.key} " in told
    for words in (f"{len(cells(config)):,} cells", " make_tables", "Disk: ", "50 TFLOP/s"):
        assert words in told
    assert "are not known" not in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tflops", "0"], "--tflops is 0.0; allowed: more than 0"),
        (["--device", "abacus"], "device is 'abacus'; measured: cpu-core"),
        (["--configfile", "nowhere.yaml"], "nowhere.yaml: .*no such configuration file"),
        (["--configfile", str(ROOT / "config/imagenet.yaml")], "give --device or --tflops"),
    ],
)
def test_mistakes_are_told_in_one_line(
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["cost", *options]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert re.search(message, captured.err)


def test_a_wrong_configuration_is_told(
    tmp_path: Path, tiny_study: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_study["models"]["a"]["architecture"] = "vitt"
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(tiny_study))
    assert main(["cost", "--configfile", str(path)]) == 1
    assert "models.a.architecture" in capsys.readouterr().err


def test_it_needs_no_heavy_library() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'timm', 'pyarrow', 'duckdb')))\n"
        "from perturb.__main__ import main; sys.exit(main(['cost']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert COMMANDS[command][1] in capsys.readouterr().out
