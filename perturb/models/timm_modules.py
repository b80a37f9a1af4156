"""timm's VisionTransformer and ResNetV2, imported without the rest of timm.

This is the only module that imports timm. A plain ``import timm`` loads a hundred architectures,
timm's data pipeline and torchvision, takes longer than torch itself, fails without torchvision, and
would delay every job of a workflow. The two architectures need none of that: their modules are
imported beneath placeholder packages, whose ``__path__`` is right but whose ``__init__`` does not
run. Stand-ins replace what they import from torchvision (a class for ``isinstance`` and a tracing
helper); the client of the model hub, half a second, is not imported.

Placeholders and stand-ins are removed from ``sys.modules`` afterwards. Only genuine modules of timm
stay, so a later full import reuses them and classes are the same objects; ``load_timm_zoo`` imports
the client of the hub. One limitation: after this import, timm's fx feature extraction has no
torchvision in the same process, and raises an error.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_PACKAGES = ("timm", "timm.models", "timm.data")
_INTERPOLATIONS = "NEAREST NEAREST_EXACT BILINEAR BICUBIC BOX HAMMING LANCZOS"


class _StandIn(ModuleType):
    """A module of torchvision in which every name is a class that cannot be instantiated."""

    __path__ = []  # noqa: RUF012

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "InterpolationMode":  # timm iterates over its members while it is imported
            return Enum(name, _INTERPOLATIONS)

        def refuse(*_: object, **__: object) -> None:
            raise ImportError(f"{self.__name__}.{name} was not imported: a stand-in took its place")

        return type(name, (), {"__init__": refuse})


class _StandInFinder:
    """A finder and loader that imports stand-ins for all modules of torchvision."""

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name.partition(".")[0] != "torchvision":
            return None
        return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


@contextmanager
def _without_torchvision() -> Iterator[None]:
    """Import stand-ins for torchvision, unless the real one is loaded."""
    if "torchvision" in sys.modules:
        yield
        return
    finder = _StandInFinder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name, module in sys.modules.items() if type(module) is _StandIn]:
            del sys.modules[name]


@contextmanager
def _without_hub() -> Iterator[None]:
    """Let imports of the client of the model hub fail, as if it were not installed."""
    if "huggingface_hub" in sys.modules:
        yield
        return
    sys.modules["huggingface_hub"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["huggingface_hub"]


@contextmanager
def _placeholder_packages() -> Iterator[None]:
    """Import submodules of timm without running the code of its packages."""
    spec = importlib.util.find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("timm is not installed; the networks are timm's own classes")
    root = Path(spec.submodule_search_locations[0])
    for name in _PACKAGES:
        package = ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    try:
        # The two modules read a version and the pixel means from the packages.
        version = importlib.import_module("timm.version")
        constants = importlib.import_module("timm.data.constants")
        vars(sys.modules["timm"])["__version__"] = version.__version__
        vars(sys.modules["timm.data"]).update(vars(constants) | {"__name__": "timm.data"})
        yield
    finally:
        for name in _PACKAGES:
            sys.modules.pop(name, None)


def _import_classes() -> tuple[Any, Any, Any, Any]:
    vision_transformer = importlib.import_module("timm.models.vision_transformer")
    resnetv2 = importlib.import_module("timm.models.resnetv2")
    return (
        vision_transformer.VisionTransformer,
        resnetv2.ResNetV2,
        resnetv2.GroupNormAct,
        resnetv2.StdConv2d,
    )


def _import_classes_alone() -> tuple[Any, Any, Any, Any]:
    if "timm" in sys.modules:
        return _import_classes()
    with _without_torchvision(), _without_hub(), _placeholder_packages():
        return _import_classes()


VisionTransformer, ResNetV2, GroupNormAct, StdConv2d = _import_classes_alone()
resample_abs_pos_embed = sys.modules["timm.layers"].resample_abs_pos_embed
resize_rel_pos_bias_table = sys.modules["timm.layers"].resize_rel_pos_bias_table


def find_maker(architecture: str) -> Callable[..., Any] | None:
    """Return timm's function that builds an architecture, None if timm has no such name.

    Architectures beyond the two above import all of timm.
    """
    registry = sys.modules["timm.models._registry"]
    if not registry.is_model(architecture):
        load_timm_zoo()
    if not registry.is_model(architecture):
        return None
    maker: Callable[..., Any] = registry.model_entrypoint(architecture)
    return maker


def find_config(name: str) -> Any:
    """Return timm's configuration of a tag, or of the first tag of an architecture.

    Call it after `find_maker`. None if timm has none; timm raises a RuntimeError for an unknown tag
    of a known architecture.
    """
    return sys.modules["timm.models._registry"].get_pretrained_cfg(name)


def load_timm_zoo() -> ModuleType:
    """Return timm, imported in full, with or without a working torchvision.

    For architectures and pretrained weights by tag: ``load_timm_zoo().create_model(tag)``. It takes
    seconds; timm builds the same classes as above.
    """
    if "timm" in sys.modules:
        return sys.modules["timm"]
    loaded_before = [name for name in sys.modules if name.startswith("timm.")]
    if _torchvision_works():
        timm = importlib.import_module("timm")
    else:
        with _without_torchvision():
            timm = importlib.import_module("timm")
    for name in loaded_before:  # their packages did not exist when they were imported
        parent, _, child = name.rpartition(".")
        setattr(sys.modules[parent], child, sys.modules[name])
    importlib.reload(sys.modules["timm.models._hub"])  # with the client of the hub, if installed
    return timm


def _torchvision_works() -> bool:
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError):  # RuntimeError: built for another torch
        return False
    return True
