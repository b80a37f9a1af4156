"""The device of a job: what there is is returned, what there is not is named with its node."""

import platform

import pytest
import torch

from perturb.devices import device_of


def _see(monkeypatch: pytest.MonkeyPatch, num_gpus: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: num_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)


@pytest.mark.parametrize(
    ("name", "num_gpus"), [("cpu", 0), ("cpu", 2), ("cuda", 1), ("cuda:0", 1), ("cuda:1", 2)]
)
def test_a_device_that_is_there_is_returned(
    monkeypatch: pytest.MonkeyPatch, name: str, num_gpus: int
) -> None:
    _see(monkeypatch, num_gpus)
    assert device_of(name) == torch.device(name)


@pytest.mark.parametrize("name", ["", "gpu", "cuda0", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "CPU"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cpu, cuda or cuda:<number> is expected"):
        device_of(name)


@pytest.mark.parametrize(("name", "num_gpus"), [("cuda", 0), ("cuda:1", 1)])
@pytest.mark.parametrize(
    ("visible", "told"), [(None, "is not set"), ("", "is ''"), ("3", "is '3'")]
)
def test_a_gpu_that_is_not_there_is_named_with_its_node(
    monkeypatch: pytest.MonkeyPatch, name: str, num_gpus: int, visible: str | None, told: str
) -> None:
    _see(monkeypatch, num_gpus)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(RuntimeError) as error:
        device_of(name)
    message = str(error.value)
    assert f"device {name!r} was asked for" in message
    assert f"sees {num_gpus} GPUs on node {platform.node()}" in message
    assert f"CUDA_VISIBLE_DEVICES {told}" in message
