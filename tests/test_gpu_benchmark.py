"""The benchmark of a GPU, run on a CPU with a small network."""

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from benchmarks import full_networks, gpu, precisions
from perturb.models.precisions import PRECISIONS

_SMALL = "--device cpu --images 4 --batch-size 4 --networks ViT-B/16".split()  # noqa: SIM905


@pytest.fixture(autouse=True)
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(_: str, num_classes: int) -> VisionTransformer:
        return VisionTransformer(
            img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=num_classes
        )

    class Zoo:
        create_model = staticmethod(make)

    monkeypatch.setattr(full_networks, "load_timm_zoo", Zoo)
    monkeypatch.setattr(full_networks, "SIDE_PX", 32)


def test_every_row_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    gpu.main(["--rounds", "1", *_SMALL])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ViT")]
    shares = {line.split("|")[2].strip(): line.split("|")[4].strip() for line in lines}
    assert {"clean", "15 corruptions, JPEG pass", "PGD, a step", "restricted attention"} <= set(
        shares
    )
    assert all(float(share) > 0 for share in shares.values()), lines
    assert "not measured" not in "".join(lines)


def test_rows_for_which_the_time_does_not_suffice_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    gpu.main(["--minutes", "0", *_SMALL])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ViT")]
    assert lines
    assert all("not measured" in line for line in lines)


def test_a_network_runs_in_each_precision() -> None:
    runs = precisions.whole_passes("ViT-B/16", torch.device("cpu"), 2, is_compiled=False)
    assert set(runs) == set(PRECISIONS)
    assert [run() for run in runs.values()] == [2, 2, 2]
