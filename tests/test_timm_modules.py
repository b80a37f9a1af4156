"""Import of timm's two networks without the rest of timm, each case in a new process."""

import importlib
import sys
import textwrap
from pathlib import Path

import pytest

from perturb.models.timm_modules import _torchvision_works, _without_torchvision
from tests.workspace import told_by


def _run(code: str) -> list[str]:
    """Return the words that a new Python process prints."""
    return told_by([sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]).split()


def test_classes_are_timms_own_files() -> None:
    printed = _run(
        """
        import inspect, pathlib
        from importlib.util import find_spec
        import perturb.models.timm_modules as modules
        root = pathlib.Path(find_spec("timm").submodule_search_locations[0])
        for which in (modules.VisionTransformer, modules.ResNetV2):
            print(pathlib.Path(inspect.getfile(which)).relative_to(root).as_posix())
        """
    )
    assert printed == ["models/vision_transformer.py", "models/resnetv2.py"]


def test_little_is_imported_and_no_placeholder_stays() -> None:
    printed = _run(
        """
        import sys
        import torch
        before = set(sys.modules)
        path = list(sys.meta_path)
        import perturb.models.timm_modules
        new = set(sys.modules) - before
        assert sys.meta_path == path
        heavy = {"torchvision", "torch._dynamo", "sympy", "huggingface_hub", "PIL", "yaml"}
        print(sorted(new & (heavy | {"timm", "timm.models", "timm.data"})))
        print(len(new) < 150, sum(name.startswith("timm.models.") for name in new) < 25)
        """
    )
    # A full import of timm loads about 900 modules, some 200 of them timm.models.*
    assert printed == ["[]", "True", "True"]


def test_full_timm_still_works_and_shares_the_classes() -> None:
    printed = _run(
        """
        import sys, torch
        import perturb.models.timm_modules as modules
        zoo = modules.load_timm_zoo()
        import timm
        network = timm.create_model("vit_tiny_patch16_224", num_classes=7)
        print(timm is zoo, type(network) is modules.VisionTransformer)
        print(timm.models.vision_transformer.VisionTransformer is modules.VisionTransformer)
        print(network(torch.zeros(1, 3, 224, 224)).shape[1], len(timm.list_models()) > 500)
        print(any(type(module).__name__ == "_StandIn" for module in sys.modules.values()))
        import timm.models._builder
        from importlib.util import find_spec
        print(timm.models._builder.has_hf_hub() == (find_spec("huggingface_hub") is not None))
        del sys.modules["perturb.models.timm_modules"]
        import perturb.models.timm_modules as again  # timm is there already: nothing is replaced
        print(again.load_timm_zoo() is zoo, again.ResNetV2 is modules.ResNetV2)
        """
    )
    assert printed == ["True", "True", "True", "7", "True", "False", "True", "True", "True"]


@pytest.mark.parametrize("failure", ["ImportError", "RuntimeError"])
def test_a_torchvision_that_does_not_work_is_done_without(
    failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(f"raise {failure}('of another torch')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    assert not _torchvision_works()
    assert "torchvision" not in sys.modules


def test_a_stand_in_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    with _without_torchvision():
        transforms = importlib.import_module("torchvision.transforms")
    assert "torchvision" not in sys.modules
    assert transforms.InterpolationMode.BICUBIC.name == "BICUBIC"
    with pytest.raises(ImportError, match=r"torchvision.transforms.Resize was not imported"):
        transforms.Resize(32)
