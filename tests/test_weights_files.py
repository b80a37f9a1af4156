"""Files of weights: complete loading, and errors that name what does not fit."""

import argparse
import copy
import pickle
import re
import sys
import tarfile
import warnings
import zipfile
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from perturb.models.architectures import build_network
from perturb.models.classifier import Preprocessing
from perturb.models.timm_modules import find_maker
from perturb.models.torch_files import read_torch
from perturb.models.weights_files import load_weights_file
from tests.google_weights import Arrays, bit_arrays, vit_arrays

VIT = {"patch_size": 16, "embed_dim": 24, "depth": 2, "num_heads": 3, "mlp_ratio": 2}
RESNET = {"layers": [2, 1], "channels": [16, 32], "num_groups": 4, "stem_channels": 8}
ARGUMENTS: dict[str, dict[str, Any]] = {"vit": VIT, "resnet": RESNET}
NUM_CLASSES, SIDE = 7, 32


def network_of(family: str = "vit", seed: int = 0, side: int = SIDE, **changes: Any) -> nn.Module:
    """Return a small network whose every parameter is random."""
    torch.manual_seed(seed)
    num_classes = changes.pop("num_classes", NUM_CLASSES)
    network = build_network(family, ARGUMENTS[family] | changes, num_classes, side).eval()
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return network


def logits(network: nn.Module, side: int = SIDE) -> Tensor:
    """Return the network's logits of some pixels."""
    generator = torch.Generator().manual_seed(1)
    with torch.inference_mode():
        found: Tensor = network(torch.randn(3, 3, side, side, generator=generator))
    return found


def _prefixed(*prefixes: str) -> Callable[[dict[str, Tensor]], Any]:
    return lambda state: {"".join(prefixes) + name: tensor for name, tensor in state.items()}


def _beside(entry: str) -> Callable[[dict[str, Tensor]], Any]:
    others = {"epoch": 3, "args": argparse.Namespace(lr=0.1), "optimizer": {"lr": 0.1}}
    return lambda state: {**others, entry: state}


_ARGS = argparse.Namespace(lr=0.1, model="vit", betas=(np.float64(0.9), 0.999))


def _averaged(state: dict[str, Tensor]) -> Any:
    return {"state_dict": {name: tensor * 0 for name, tensor in state.items()}, "model_ema": state}


def _worse(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor * 0 for name, tensor in state.items()}


class Settings:
    """An object of a training script's own class."""


class Filled(dict[str, Any]):
    """Settings that are a dict of a class of their own, as of yacs."""


class Losses(list[float]):
    """Numbers in a list of a class of their own."""


# Objects that training scripts save beside the weights.
LEFT: dict[str, Any] = {
    "best": np.float64(0.5),
    "confusion": np.eye(2),
    "random": np.random.get_state(),
    "scalar type": np.dtype("float32"),
    "path": Path("runs/1"),
    "date": datetime(2026, 1, 1, tzinfo=UTC),
    "settings": SimpleNamespace(lr=0.1),
    "own class": Settings(),
    "own dict": Filled(lr=0.1, data=Filled(size=32)),
    "own list": Losses([0.1]),
    "losses": deque([0.1]),
    "counts": defaultdict(list, {"a": [1]}),
    "schedule": slice(3),
    "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]},
    "ema": None,
    "ema_decay": torch.tensor(0.99),
}

FORMATS: dict[str, tuple[str, Callable[[dict[str, Tensor]], Any]]] = {
    "plain": ("a.pt", dict),
    "safetensors": ("a.safetensors", dict),
    "safetensors in parallel": ("a.safetensors", _prefixed("module.")),
    "state_dict": ("a.pth", _beside("state_dict")),
    "model": ("a.bin", _beside("model")),
    "legacy suffix": ("a.pth.tar", lambda state: {"state_dict": _prefixed("module.")(state)}),
    "compiled in parallel": ("a.pt", _prefixed("module.", "_orig_mod.")),
    "parallel in compiled": ("a.pt", _prefixed("_orig_mod.", "module.")),
    "averaged": ("a.pt", _averaged),
    "no other weights": ("a.pt", lambda state: {"state_dict": state, **LEFT}),
    "before torch 1.6": ("old.pt", lambda state: {"state_dict": state, **LEFT}),
    "suffix in capitals": ("a.PTH", dict),
    "Lightning's": ("a.ckpt", lambda state: {"state_dict": _prefixed("model.")(state), **LEFT}),
    "an unknown prefix": ("a.pt", _prefixed("trunk.")),
    "wrappers in each other": ("a.pt", _prefixed("model.", "_orig_mod.", "module.", "backbone.")),
    "blocks compiled one by one": ("a.pt", lambda state: _renamed(state, "s.1.", "s.1._orig_mod.")),
    "parts in parallel": ("a.pt", lambda state: _renamed(state, "s.1.", "s.1.module.")),
    "averaged in camel case": ("a.pt", lambda s: {"model": _worse(s), "emaModel": s}),
    "an average": ("a.pt", lambda s: {"state_dict": _worse(s), "avg_model": s}),
    "an optimiser's averages": ("a.pt", lambda s: {"model": s, "exp_avg": _worse(s)}),
    "nested twice": ("a.pt", lambda state: {"checkpoint": {"model_state": state}, "step": 3}),
    "known entry beside another": ("a.pt", lambda s: {"model": s, "momentum": _worse(s)}),
    "averaged in one dict": (
        "a.pt",
        lambda s: {"state_dict": _prefixed("net.")(_worse(s)) | _prefixed("net_ema.module.")(s)},
    ),
    "AveragedModel": ("a.pt", lambda s: _prefixed("module.")(s) | {"n_averaged": torch.tensor(3)}),
    "AveragedModel beside": (
        "a.pt",
        lambda s: {
            "model": _worse(s),
            "second": _prefixed("module.")(s) | {"n_averaged": torch.tensor(3)},
        },
    ),
    "safetensors in a .pth": ("a.pth", dict),
    "torch in a .safetensors": ("b.safetensors", lambda state: {"state_dict": state}),
    "half precision": ("a.pt", lambda state: {n: t.bfloat16() for n, t in state.items()}),
    "half precision of old": ("a.pt", lambda state: {n: t.half() for n, t in state.items()}),
    **{
        f"entry {entry}": ("a.pt", _beside(entry))
        for entry in ("model_state_dict", "ema_state_dict", "state_dict_ema", "model_ema")
    },
    "an average beside the last": (
        "a.pt",
        lambda s: {"model_state_dict": _worse(s), "ema_state_dict": s, "epoch": 3},
    ),
    "timm's average beside the last": (
        "a.pth.tar",
        lambda s: {"state_dict": _worse(s), "state_dict_ema": s, "arch": "vit", "args": _ARGS},
    ),
    "Lightning's with a network": (
        "a.ckpt",
        lambda s: {
            "state_dict": _prefixed("net.")(s),
            "pytorch-lightning_version": "2.5.0",
            "hyper_parameters": {"lr": np.float32(0.1), "args": _ARGS},
            "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.9)}},
        },
    ),
    "a compiled average": (
        "a.pt",
        lambda s: {
            "epoch": np.int64(3),
            "ema": _prefixed("module.", "_orig_mod.")(s) | {"n_averaged": torch.tensor(3)},
        },
    ),
}


def _renamed(state: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {name.replace(old, new): tensor for name, tensor in state.items()}


@pytest.mark.parametrize("family", ARGUMENTS)
@pytest.mark.parametrize("name", FORMATS)
def test_weights_are_found_in_every_kind_of_file(name: str, family: str, tmp_path: Path) -> None:
    file, wrap = FORMATS[name]
    original = network_of(family)
    if name.startswith("half precision"):
        original.load_state_dict(wrap(dict(original.state_dict())))
    content = wrap(dict(original.state_dict()))
    if file == "a.safetensors" or name == "safetensors in a .pth":
        save_file(content, tmp_path / file)
    else:
        torch.save(content, tmp_path / file, _use_new_zipfile_serialization=file != "old.pt")
    loaded = network_of(family, seed=2)
    assert not torch.equal(logits(loaded), logits(original))
    load_weights_file(loaded, tmp_path / file)
    assert torch.equal(logits(loaded), logits(original))
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32}


@pytest.mark.parametrize(
    ("wrap", "entry", "facts"),
    [
        (dict, None, {}),
        (_beside("model"), None, {"entry": "model"}),
        (_prefixed("module."), None, {"entry": "module"}),
        (
            _averaged,
            None,
            {
                "entry": "model_ema",
                "notes": [
                    "averaged weights are taken, not state_dict; `weights: entry` chooses others"
                ],
            },
        ),
        (
            lambda state: {"model": state, "momentum": _worse(state)},
            None,
            {
                "entry": "model",
                "notes": [
                    "the weights in model are taken, not momentum; `weights: entry` chooses others"
                ],
            },
        ),
        (lambda state: {"ema": _worse(state), "model": state}, "model", {"entry": "model"}),
        (lambda state: {"teacher": state, "student": _worse(state)}, "teacher", {}),
        (
            lambda state: {"model": _prefixed("a.")(state) | _prefixed("b.")(_worse(state))},
            "model.a",
            {"entry": "model.a"},
        ),
        (
            lambda state: {"model": state, "ema": {"shadow_params": [torch.ones(2)]}},
            "model",
            {"entry": "model"},
        ),
        (
            lambda s: _prefixed("module.")(s) | {"n_averaged": torch.tensor(3)},
            None,
            {
                "entry": "module",
                "notes": [
                    "n_averaged is left out: it counts what was averaged",
                    "averaged weights are taken",
                ],
            },
        ),
    ],
)
def test_which_weights_are_taken_is_said_and_can_be_chosen(
    wrap: Callable[[dict[str, Tensor]], Any],
    entry: str | None,
    facts: dict[str, Any],
    tmp_path: Path,
) -> None:
    original, loaded = network_of(), network_of(seed=2)
    torch.save(wrap(dict(original.state_dict())), tmp_path / "w.pt")
    found = load_weights_file(loaded, tmp_path / "w.pt", entry)
    assert found == (facts or ({"entry": entry} if entry else {}))
    assert torch.equal(logits(loaded), logits(original))


def test_counts_of_batches_may_be_missing(tmp_path: Path) -> None:
    """Files from before torch 0.4.1 have none, and evaluation uses none."""
    network, original = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    original(torch.randn(2, 3, 4, 4))
    torch.save(_without(original.state_dict(), "num_batches_tracked"), tmp_path / "w.pt")
    facts = load_weights_file(network, tmp_path / "w.pt")
    assert facts == {
        "notes": ["1 num_batches_tracked are missing and stay 0; evaluation uses none"]
    }
    assert torch.equal(network.running_mean, original.running_mean)  # type: ignore[arg-type]


STATISTICS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def _normalised(state: dict[str, Tensor], names: Mapping[str, str], **others: Any) -> Any:
    """Return a state dict with tensors of a normaliser, by their names."""
    values = {**STATISTICS, **others}
    return state | {name: torch.tensor(values[of]).reshape(3, 1, 1) for name, of in names.items()}


@pytest.mark.parametrize(
    ("prefix", "mean", "std"),
    [
        ("", "normalize.mean", "normalize.std"),
        ("module.model.", "module.normalizer.new_mean", "module.normalizer.new_std"),
    ],
)
def test_a_normaliser_that_repeats_the_preprocessing_is_left_out_by_name(
    prefix: str, mean: str, std: str, tmp_path: Path
) -> None:
    original, loaded = network_of(), network_of(seed=2)
    state = _prefixed(prefix)(dict(original.state_dict()))
    torch.save(_normalised(state, {mean: "mean", std: "std"}), tmp_path / "w.pt")
    declared = Preprocessing(SIDE, **STATISTICS)
    facts = load_weights_file(loaded, tmp_path / "w.pt", preprocessing=declared)
    assert facts["notes"] == [
        f"{mean} is left out: it is the mean of the preprocessing",
        f"{std} is left out: it is the std of the preprocessing",
    ]
    assert torch.equal(logits(loaded), logits(original))


@pytest.mark.parametrize(
    ("mean", "others", "message"),
    [
        (
            (0.5, 0.5, 0.5),
            {},
            r"w\.pt: a\.mean is \[0\.5, 0\.5, 0\.5\]; the model's preprocessing has the mean "
            r"\[0\.485, 0\.456, 0\.406\]; allowed: the same values",
        ),
        ((torch.nan, 0.456, 0.406), {}, r"a\.mean is \[nan, 0\.456, 0\.406\]; the model's"),
        # Tensors of other names, or of another number of values, are no normaliser's.
        (
            STATISTICS["mean"],
            {"a.running_mean": torch.ones(3)},
            "unexpected tensors a.running_mean",
        ),
        (STATISTICS["mean"], {"b.mean": torch.ones(4)}, r"unexpected tensors b\.mean \(1 in all"),
    ],
)
def test_what_is_no_repetition_of_the_preprocessing_is_refused(
    mean: tuple[float, ...], others: dict[str, Tensor], message: str, tmp_path: Path
) -> None:
    state = _normalised(network_of().state_dict(), {"a.mean": "mean", "a.std": "std"}, mean=mean)
    torch.save(state | others, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=message):
        load_weights_file(
            network_of(), tmp_path / "w.pt", preprocessing=Preprocessing(SIDE, **STATISTICS)
        )


def _arrays(family: str, network: nn.Module) -> Arrays:
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    return vit_arrays(state, VIT["num_heads"]) if family == "vit" else bit_arrays(state)


@pytest.mark.parametrize("family", ARGUMENTS)
def test_googles_files_give_the_logits_of_the_same_weights_set_in_torch(
    family: str, tmp_path: Path
) -> None:
    original, loaded = network_of(family), network_of(family, seed=2)
    np.savez(tmp_path / "google.npz", **_arrays(family, original))  # type: ignore[arg-type]
    load_weights_file(loaded, tmp_path / "google.npz")
    assert torch.equal(logits(loaded), logits(original))


def test_positions_in_googles_files_are_resized_to_the_networks_grid(tmp_path: Path) -> None:
    original, loaded = network_of(), network_of(side=64)
    np.savez(tmp_path / "google.npz", **_arrays("vit", original))  # type: ignore[arg-type]
    load_weights_file(loaded, tmp_path / "google.npz")
    found, given = (n.pos_embed.detach()[0] for n in (loaded, original))  # type: ignore[operator]
    assert torch.equal(found[0], given[0])  # the class token has no place
    corners = found[1:].reshape(4, 4, -1)[[0, 0, 3, 3], [0, 3, 0, 3]]
    torch.testing.assert_close(corners, given[1:])
    assert logits(loaded, 64).isfinite().all()


def test_positions_of_another_size_are_resampled_as_timm_does(tmp_path: Path) -> None:
    original, loaded = network_of(side=80), network_of(seed=2)
    state = {name: tensor.bfloat16() for name, tensor in original.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "w.pt")
    facts = load_weights_file(loaded, tmp_path / "w.pt")
    assert facts["notes"] == [
        "pos_embed is resampled as in timm from 5 x 5 patches, an input of 80 px, to 2 x 2"
    ]
    assert_as_in_timm({name: tensor.float() for name, tensor in state.items()}, loaded)


POSITIONS = "pos_embed is resampled as in timm from 5 x 5 patches, an input of {} px, to 3 x 3"


@pytest.mark.parametrize(
    ("architecture", "patch_size", "note"),
    [
        (
            "beit_base_patch16_224",
            16,
            r"2 relative_position_bias_table are resampled as in timm, "
            r"blocks\.0\.attn\.relative_position_bias_table from \d+ to \d+ distances a side",
        ),
        ("eva02_tiny_patch14_224", 14, POSITIONS.format(70)),
        ("deit_tiny_distilled_patch16_224", 16, POSITIONS.format(80)),
    ],
)
def test_positions_of_other_transformers_are_resampled_too(
    architecture: str, patch_size: int, note: str, tmp_path: Path
) -> None:
    maker = find_maker(architecture)
    assert maker is not None
    torch.manual_seed(0)
    sizes = {"num_classes": 7, "embed_dim": 24, "depth": 2, "num_heads": 3}
    original, loaded = (maker(img_size=n * patch_size, **sizes).eval() for n in (5, 3))
    for parameter in original.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    torch.save(original.state_dict(), tmp_path / "w.pt")
    [found] = load_weights_file(loaded, tmp_path / "w.pt")["notes"]
    assert re.fullmatch(note, found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_as_in_timm(original.state_dict(), loaded)


def assert_as_in_timm(state: dict[str, Tensor], loaded: nn.Module) -> None:
    """Compare the tensors of a network with those that timm makes of a file's."""
    as_in_timm = sys.modules[type(loaded).__module__].checkpoint_filter_fn(state, loaded)
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, as_in_timm[name]), name


def test_the_bias_of_no_distance_stays(tmp_path: Path) -> None:
    """A fact on timm's interpolation, whatever torch makes of how it is written."""
    maker = find_maker("beit_base_patch16_224")
    assert maker is not None
    original, loaded = (maker(img_size=n, embed_dim=24, depth=1, num_heads=3) for n in (80, 48))
    name = "blocks.0.attn.relative_position_bias_table"
    table = original.state_dict()[name].normal_()
    torch.save(original.state_dict(), tmp_path / "w.pt")
    load_weights_file(loaded, tmp_path / "w.pt")
    found = loaded.state_dict()[name]
    # Distances -4 to 4 and -2 to 2 in both directions, and three biases of the class token.
    assert (table.shape[0], found.shape[0]) == (84, 28)
    torch.testing.assert_close(found[12], table[40])
    assert torch.equal(found[-3:], table[-3:])


def _lines_of(error: BaseException) -> list[str]:
    return [line.strip() for line in str(error).splitlines()[1:]]


@pytest.mark.parametrize("is_archive", [True, False])
@pytest.mark.parametrize("key", [None, "model"])
def test_the_two_lines_for_a_whole_model_write_its_state_dict(
    key: str | None, is_archive: bool, tmp_path: Path
) -> None:
    original, loaded = network_of(), network_of(seed=2)
    content = original if key is None else {key: original, "epoch": 3}
    path = tmp_path / "whole.pth.tar"
    torch.save(content, path, _use_new_zipfile_serialization=is_archive)
    with pytest.raises(ValueError, match=r"no code in it is run.*two lines write one") as caught:
        load_weights_file(loaded, path)
    lines = _lines_of(caught.value)
    assert len(lines) == 2
    if key is None or is_archive:  # older files do not say where the model is
        exec("\n".join(lines), {"torch": torch})
        load_weights_file(loaded, tmp_path / "whole.state_dict.pt")
        assert torch.equal(logits(loaded), logits(original))


def _npz(change: Callable[[Arrays], Any], family: str = "vit") -> Callable[[Path], Path]:
    """Return a function that writes a changed file of Google's."""

    def write(folder: Path) -> Path:
        arrays = _arrays(family, network_of(family))
        change(arrays)
        np.savez(folder / "w.npz", **arrays)  # type: ignore[arg-type]
        return folder / "w.npz"

    return write


def _torch(change: Callable[[dict[str, Any]], Any], **saving: Any) -> Callable[[Path], Path]:
    """Return a function that writes a changed state dict, or the result of ``change``."""

    def write(folder: Path) -> Path:
        state: dict[str, Any] = dict(copy.deepcopy(network_of().state_dict()))
        instead = change(state)
        torch.save(state if instead is None else instead, folder / "w.pt", **saving)
        return folder / "w.pt"

    return write


def _bytes(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def _array(folder: Path) -> Path:
    with (folder / "w.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    return folder / "w.npz"


def _scripted(folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)), folder / "w.pt")
    return folder / "w.pt"


def _zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "w.pt", "w") as archive:
        archive.writestr("a/w.pt", b"weights")
    return folder / "w.pt"


def _tar(folder: Path) -> Path:
    (folder / "inner").write_bytes(b"weights")
    with tarfile.open(folder / "w.pth.tar", "w") as archive:
        archive.add(folder / "inner")
    return folder / "w.pth.tar"


def _half(folder: Path) -> Path:
    path = _torch(dict)(folder)
    path.write_bytes(path.read_bytes()[:5000])
    return path


def _instead(change: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Any]], None]:
    return lambda state: state.update({"norm.bias": change(state["norm.bias"])})


def _quantised(tensor: Tensor) -> Tensor:
    return torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8)


_BETA = "resnet/block2/unit02/a/group_norm/beta"
_MLP = "Transformer/encoderblock_1/MlpBlock_3/Dense_0/kernel"


REFUSED: dict[str, list[tuple[Callable[[Path], Path], str]]] = {
    "vit": [
        (
            _bytes("w.onnx", b""),
            r"kind '.onnx'; allowed: .safetensors, .pt, .pth, .bin, .tar, .npz",
        ),
        (_bytes("w.safetensors", b"weights"), "not a safetensors file"),
        (_bytes("w.npz", b"weights"), "not a .npz file of arrays"),
        (_array, "not a .npz file of arrays"),
        (_torch(lambda state: _without(state, "head.bias")), r"missing tensors head\.bias \(1"),
        (_torch(lambda state: state.update(tail=torch.zeros(1))), "unexpected tensors tail"),
        (
            _torch(lambda state: {**state, "epoch": 3}),
            "not a state dict, it holds 'epoch'; allowed",
        ),
        (_torch(lambda _: [torch.zeros(1)]), "not a state dict, it holds a list; allowed"),
        (_torch(lambda _: {}), "not a state dict, it holds a dict"),
        (
            _torch(lambda _: {"rng": torch.ones(9), "model": nn.Linear(2, 2)}),
            r"holds more than tensors, .*: 'model' is a whole model, torch\.nn.*Linear; allowed",
        ),
        (
            _torch(lambda state: state.update({"norm.bias": torch.full((24,), torch.inf)})),
            "norm.bias has values that are not finite",
        ),
        (
            _torch(lambda _: network_of(num_classes=10).state_dict()),
            r"head.\w+ has shape \(10.*; the network has \(7.*: "
            "the file's head has 10 classes, the network's 7",
        ),
        (
            _torch(lambda _: network_of(side=80, embed_dim=48).state_dict()),
            r"pos_embed has shape \(1, 26, 48\); the network has \(1, 5, 24\),",
        ),
        (
            _torch(lambda state: state.update(pos_embed=torch.ones(1, 7, 24))),
            r"pos_embed has shape \(1, 7, 24\); .*: 6 patches are no square, so they cannot",
        ),
        (_torch(lambda _: {1: torch.zeros(1)}), "not a state dict, it holds 1; allowed"),
        (
            _torch(_instead(Tensor.to_sparse)),
            "norm.bias is not a plain .*torch.sparse_coo; allowed",
        ),
        (_torch(_instead(_quantised)), "norm.bias is not a plain .*it is quantised; allowed"),
        (_torch(_instead(lambda t: t.to("meta"))), "norm.bias is not a plain .*no values"),
        (
            _torch(_instead(Tensor.long)),
            "norm.bias is not a plain .*torch.int64; allowed: .*float32",
        ),
        (_torch(_instead(lambda t: t + 1j)), "norm.bias is not a plain .*torch.complex64; allowed"),
        (_torch(lambda _: network_of(embed_dim=48).state_dict()), r"has shape .*48"),
        (
            _torch(lambda _: network_of(depth=3).state_dict()),
            r"unexpected tensors blocks\.2.*12 in",
        ),
        (
            _torch(lambda state: {"state_dict": _renamed(state, "norm2", "ln_2")}),
            r"'state_dict': missing tensors blocks\.0\.norm2\.bias \(nearest: blocks\.0\.ln_2\.bias"
            r"\), .* \(4 in all\); unexpected tensors blocks\.0\.ln_2\.bias \(nearest: blocks\.0",
        ),
        (
            _torch(lambda state: _prefixed("model.")(state) | {"loss.weight": torch.ones(2)}),
            r"unexpected tensors loss\.weight \(1 in all\); the others .* the prefix 'model\.'",
        ),
        (
            _torch(lambda state: _prefixed("net.")(_without(state, "norm.bias"))),
            r"behind the prefix 'net\.': missing tensors norm\.bias \(1 in all\)",
        ),
        (
            _torch(lambda state: {"student": state, "teacher": state}),
            "fit in 2 places, student, teacher; choose one: .*entry",
        ),
        (
            _torch(lambda state: {"model": state, "ema": {"shadow": [torch.ones(2)]}}),
            r"averaged weights that are not the network's, 'ema', .*entry: model\}",
        ),
        (
            _torch(lambda state: {"model": state, "ema_model": nn.Linear(2, 2)}),
            r"averaged weights that are not the network's, 'ema_model', .*entry: model\}",
        ),
        (
            _torch(lambda _: nn.Linear(2, 2)),
            "holds more than tensors, and no code in it is run: .*a whole model, torch.*Linear; al",
        ),
        (
            _torch(lambda _: nn.Linear(2, 2), _use_new_zipfile_serialization=False),
            "a whole model, not its state dict",
        ),
        (
            _torch(lambda state: {"model": state, "f": eval}),
            r"no code in it is run: builtins\.eval",
        ),
        (_torch(dict, pickle_protocol=4), "its pickle protocol is 4; torch.save writes 2"),
        (_torch(lambda _: {"\x1b[1mbold": torch.ones(1)}), r"unexpected tensors '\\x1b\[1mbold'"),
        (_scripted, r"a TorchScript archive, which holds code; allowed: .*state_dict\(\)"),
        (_zip, r"w\.pt: not a file of torch\.save: it is a zip archive of a/w\.pt \(1 in all\)"),
        (_tar, "it is a tar archive"),
        (_bytes("w.pth", b"version https://git-lfs.github.com/spec/v1\noid"), "a Git LFS pointer"),
        (_bytes("w.safetensors", b"\n<!DOCTYPE html><html>"), "safetensors file: it is an HTML"),
        (_bytes("w.npz", b"<?xml version='1.0'?><Error>"), "arrays: it is XML or HTML text"),
        (_bytes("w.bin", b'{"error": "not found"}'), "it is JSON text"),
        (_bytes("w.bin", b"Access denied\n"), r"it is text that begins 'Access denied"),
        (_bytes("w.pt", b""), r"w\.pt: not a file of torch\.save: it is empty"),
        (_bytes("w.pt", b"\x1f\x8b\x08" + bytes(9)), "a gzip archive: unpack it first"),
        (_bytes("w.pt", b"\x89HDF\r\n\x1a\n"), "an HDF5 file, as Keras"),
        (_bytes("w.pt", b"\x08\x07\x12\x07pytorch"), "an ONNX model"),
        (_bytes("w.pt", pickle.dumps({"a": 1})), "a Python pickle that torch.save did not write"),
        (_bytes("w.pt", bytes([9, 200, 3])), "of unknown content; its first bytes are 09 c8 03"),
        (_half, r"w\.pt: not a file of torch\.save: it is a damaged zip archive"),
        (_npz(lambda arrays: arrays.pop(_MLP)), f"no array for the network: .*{_MLP}"),
        (_npz(lambda arrays: arrays.update({_MLP: np.zeros((24, 9))})), "does not fit the network"),
        (
            _npz(lambda arrays: arrays.update({"head/bias": np.zeros(10, np.float32)})),
            "has 10 classes; the network has 7",
        ),
        (
            _npz(lambda arrays: [arrays.pop(n) for n in ("head/bias", "head/kernel")]),
            "nothing for, or NaN in, the network's head.weight, head.bias",
        ),
        (
            _npz(lambda arrays: arrays.update(_deeper(arrays))),
            "has 3 blocks; the network has 2",
        ),
        (
            _npz(lambda arrays: arrays.update({_MLP: arrays[_MLP] * np.float32("nan")})),
            r"nothing for, or NaN in, the network's blocks\.1\.mlp\.fc1\.weight",
        ),
        (
            _npz(lambda arrays: arrays.update({_MLP: np.array([None])})),
            "holds Python objects",
        ),
        (
            _npz(lambda arrays: arrays.update({"head/bias": np.ones(7, np.int64)})),
            "head/bias.npy holds int64; allowed: floating",
        ),
        (
            _npz(lambda arrays: arrays.update({_MLP: np.full((24, 48), 1j, np.complex64)})),
            "holds complex64; allowed: floating",
        ),
        (
            _npz(lambda arrays: arrays.update({"embedding/bias": np.ones(1, np.float32)})),
            r"does not fit the network: its shape is \(1,\); the network has \(24,\)",
        ),
        (_npz(lambda arrays: arrays.update({_MLP: np.float32(1)})), "does not fit the network"),
        (_npz(lambda arrays: arrays.update({"cls": np.zeros(5)})), "does not fit the network"),
        (
            _npz(lambda arrays: arrays.update({"embedding/kernel": np.zeros(5)})),
            "does not fit the network",
        ),
        (_npz(lambda arrays: arrays.pop("embedding/kernel")), "in no layout of Google's"),
        (_npz(Arrays.copy, "resnet"), "w.npz"),
    ],
    "resnet": [
        (
            _npz(lambda arrays: arrays.update({"resnet/head/conv2d/bias": np.zeros(10)}), "resnet"),
            r"has 10 classes|does not fit",
        ),
        (
            _npz(lambda arrays: arrays.update({_BETA: np.zeros(8)}), "resnet"),
            "has 4 blocks; the network has 3",
        ),
        (
            _npz(lambda arrays: arrays.pop("resnet/group_norm/beta"), "resnet"),
            "no array for the network",
        ),
    ],
}


@pytest.mark.parametrize(
    ("write", "message", "family"),
    [(*refused, family) for family in REFUSED for refused in REFUSED[family]],
)
@pytest.mark.filterwarnings("ignore:.*quantiz", "ignore:TypedStorage")
def test_files_that_are_not_the_networks_are_refused(
    write: Callable[[Path], Path], message: str, family: str, tmp_path: Path
) -> None:
    path = write(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        load_weights_file(network_of(family, seed=2), path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\x1b" not in str(caught.value)
    assert "weights_only" not in str(caught.value).splitlines()[0]  # of torch's own advice


def _without(state: dict[str, Any], left_out: str) -> dict[str, Any]:
    return {name: tensor for name, tensor in state.items() if name != left_out}


def _deeper(arrays: Arrays) -> Arrays:
    return {
        name.replace("encoderblock_1", "encoderblock_2"): array
        for name, array in arrays.items()
        if "encoderblock_1" in name
    }


def test_only_networks_with_a_loader_take_googles_files(tmp_path: Path) -> None:
    path = _npz(Arrays.copy)(tmp_path)
    with pytest.raises(ValueError, match="the network is Linear"):
        load_weights_file(nn.Linear(2, 2), path)


def test_no_code_in_a_file_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"state_dict": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(ValueError, match="holds more than tensors"):
        read_torch(tmp_path / "trap.pt")
    assert not (tmp_path / "sprung").exists()


def test_whole_numbers_are_whole_on_both_sides(tmp_path: Path) -> None:
    """Batch norm counts its batches: an integer in the network and in the file."""
    network, original = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    original(torch.randn(2, 3, 4, 4))
    torch.save(original.state_dict(), tmp_path / "w.pt")
    load_weights_file(network, tmp_path / "w.pt")
    assert network.num_batches_tracked == 1
    counted = original.state_dict() | {"num_batches_tracked": torch.tensor(1.0)}
    torch.save(counted, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"num_batches_tracked is not a plain .*torch\.float32"):
        load_weights_file(network, tmp_path / "w.pt")


def test_positions_of_an_unknown_network_are_refused_all_the_same(tmp_path: Path) -> None:
    network = nn.Module()
    network.pos_embed = nn.Parameter(torch.zeros(1, 17, 8))
    torch.save({"pos_embed": torch.zeros(1, 26, 8)}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"pos_embed has shape \(1, 26, 8\); the network has"):
        load_weights_file(network, tmp_path / "w.pt")


def _damaged(whole: bytes, places: Iterable[int]) -> Iterator[bytes]:
    """Yield a file that ends at a place, and ones of which the byte there is another."""
    for place in places:
        yield whole[:place]
        for byte in (0, 255, whole[place] ^ 1, whole[place] ^ 32):
            yield whole[:place] + bytes([byte]) + whole[place + 1 :]


def _refusals(read: Callable[[Path], Any], path: Path, files: Iterable[bytes]) -> list[str]:
    """Return the reasons of refusal; any other error of reading fails the test."""
    reasons = []
    for content in files:
        path.write_bytes(content)
        try:
            read(path)
        except ValueError as error:
            reasons.append(str(error))
    return reasons


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("is_archive", [True, False])
def test_damaged_files_of_torch_are_refused_by_name(is_archive: bool, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    content = {"model": {"weight": torch.ones(2, 2), "bias": torch.ones(2)}, "epoch": 1}
    torch.save(content, path, _use_new_zipfile_serialization=is_archive)
    whole = path.read_bytes()
    places = range(0, len(whole), 13 if is_archive else 3)
    load = partial(load_weights_file, nn.Linear(2, 2))
    reasons = _refusals(load, path, _damaged(whole, places))
    assert len(reasons) > len(places)
    assert all(reason.startswith(f"{path}: ") for reason in reasons)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_files_of_google_are_refused_by_name(save: Any, tmp_path: Path) -> None:
    """Their headers, and the bodies that only timm reads."""
    path, network = tmp_path / "w.npz", network_of()
    save(path, **_arrays("vit", network))
    whole = path.read_bytes()
    headers = [match.start() for match in re.finditer(b"PK..", whole)]
    places = [place + offset for place in headers[::25] for offset in range(0, 70, 5)]
    places += range(3000, len(whole), len(whole) // 12)
    files = _damaged(whole, (place for place in places if place < len(whole)))
    reasons = _refusals(partial(load_weights_file, network), path, files)
    assert len(reasons) > len(places)
    assert all(reason.startswith(f"{path}: ") for reason in reasons)
