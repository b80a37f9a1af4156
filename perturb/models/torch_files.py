"""Reads files of torch.save without running code in them.

Training scripts save other objects beside the weights: command lines, NumPy numbers, dates,
settings of other packages. torch's reader with ``weights_only`` refuses them. Here stand-ins
replace them: no class or function that a file names is imported, called or instantiated, and a
stand-in keeps no data of the file. torch's own reader rebuilds the tensors.

Of Python's standard library, which holds most dangerous functions, only the names in `_INERT` get
stand-ins; a file that names another is refused.
"""

import _compat_pickle
import logging
import pickle
import pickletools
import re
import struct
import sys
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch

logger = logging.getLogger(__name__)

# Errors of torch and Python on damaged files, few of which torch checks.
_DAMAGED = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
)
_NUM_LEGACY_PICKLES = 4  # before the storages' keys: magic number, version, system, content
# Names in Python's library that torch's reader builds; `_INERT`: data that stand-ins replace.
_OF_TORCH = {
    "_codecs.encode",
    "builtins.bytearray",
    "builtins.complex",
    "builtins.set",
    "collections.Counter",
    "collections.OrderedDict",
}
_INERT = re.compile(
    r"builtins\.(slice|range|frozenset|object|dict|list|tuple|int|float|str|bool|type)"
    r"|(argparse|collections|datetime|decimal|fractions|pathlib(\._local)?|uuid|zoneinfo)\.\w+"
    r"|types\.SimpleNamespace|copyreg\._reconstructor|functools\.partial"
)
_REMEDY = "allowed: a state dict, torch.save(model.state_dict(), ...)"
_WHOLE_MODEL = "a whole model, not its state dict"
_MAYBE_ENTRY = "  # and its entry, if it is a dict, such as ['model']"
# torch's message on a stand-in that the file fills as a list or a dict.
_UNFILLED = re.compile(
    rf"Can only (append to lists|extend lists|\w+ for dict).*but got <class '{__name__}\.'(.*)''>"
)


class StandIn:
    """Replaces an object in a file that is neither a tensor nor plain data.

    origin : module and name of the object's class or function.
    is_module : true for a whole network, pickled with its tensors.
    """

    origin = ""
    is_module = False

    def __new__(cls, *_: object, **__: object) -> "StandIn":
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.is_module = isinstance(state, dict) and {"_modules", "_parameters"} <= state.keys()


class _FilledDict:
    """Builds a plain dict, which torch's reader can fill, for a dict of another class."""

    def __new__(cls, *_: object, **__: object) -> Any:
        return OrderedDict()


class _FilledList:
    """Builds a plain list for a list of another class."""

    def __new__(cls, *_: object, **__: object) -> Any:
        return []


def read_torch(path: Path) -> object:
    """Return the content of a file of torch.save, with a `StandIn` for every other object.

    Tensors and plain data are kept.

    Raises
    ------
    ValueError
        If the file is damaged, or names functions or classes that are not allowed.
    """
    protocol, names = _globals_of(path)
    refused = sorted(name for name in names if not (name in _OF_TORCH or _may_stand_in(name)))
    if refused:
        listed = ", ".join(map(printable, refused))
        raise ValueError(
            f"{path}: holds more than tensors, and no code in it is run: {listed}; {_REMEDY}"
        )
    beside = sorted(name for name in names - _OF_TORCH if not name.startswith("torch."))
    if beside:
        logger.info(
            "%s: passed over beside the tensors: %s", path, ", ".join(map(printable, beside))
        )
    filled: dict[str, type] = {
        "collections.deque": _FilledList,
        "collections.defaultdict": _FilledDict,
    }
    try:
        while True:
            try:
                return _load(path, {name: filled.get(name) or _stand_in(name) for name in names})
            except pickle.UnpicklingError as error:
                if not _learn_filled(error, names, filled):
                    raise
    except pickle.UnpicklingError as error:
        reason = _reason(error, protocol)
        remedy = (
            whole_model_remedy(str(path), comment=_MAYBE_ENTRY)
            if reason == _WHOLE_MODEL
            else _REMEDY
        )
        raise ValueError(
            f"{path}: holds more than tensors, and no code in it is run, or is damaged "
            f"({reason}); {remedy}"
        ) from None
    except _DAMAGED as error:
        raise ValueError(f"{path}: not a file of torch.save ({_reason(error, 2)})") from None


def _load(path: Path, stand_ins: Mapping[str, type]) -> object:
    named = [(stand_in, name) for name, stand_in in stand_ins.items() if name not in _OF_TORCH]
    # torch's own readers of tensors take precedence over stand-ins of the same name.
    with torch.serialization.safe_globals(list(named)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected pickle protocol")
        with path.open("rb") as file:  # torch would examine the suffix of a path
            return torch.load(file, map_location="cpu", weights_only=True)


def _learn_filled(
    error: pickle.UnpicklingError, names: Collection[str], filled: dict[str, type]
) -> bool:
    """Record the type of a stand-in that torch could not fill; return whether it is new.

    Settings are often a subclass of dict, which a file shows only when it fills the object.
    """
    found = _UNFILLED.search(str(error))
    if found is None or found[2] not in names or found[2] in filled:
        return False
    filled[found[2]] = _FilledList if "list" in found[1] else _FilledDict
    return True


def _globals_of(path: Path) -> tuple[int, set[str]]:
    """Return the pickle protocol of a file, and the names that unpickling would import."""
    names: set[str] = set()
    protocol = 2
    try:
        for opcode, argument in _opcodes(path):
            if opcode == "PROTO":
                protocol = argument
            elif opcode == "GLOBAL":
                names.add(_imported_name(argument))
    except (*_DAMAGED, MemoryError):  # a damaged file, on which torch.load raises
        logger.debug("%s: its pickle ends early", path)
    return protocol, names


def _opcodes(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            file.seek(0)
            for _ in range(_NUM_LEGACY_PICKLES):
                yield from _of_pickle(file)
            return
        with zipfile.ZipFile(file) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(name) as content:
                yield from _of_pickle(content)


def _of_pickle(file: IO[bytes]) -> Iterable[tuple[str, Any]]:
    return ((opcode.name, argument) for opcode, argument, _ in pickletools.genops(file))


def _imported_name(argument: str) -> str:
    """Return module and name of a global in a pickle, by Python 3 names as torch reads them."""
    module, _, name = argument.partition(" ")
    if (module, name) in _compat_pickle.NAME_MAPPING:
        module, name = _compat_pickle.NAME_MAPPING[module, name]
    return f"{_compat_pickle.IMPORT_MAPPING.get(module, module)}.{name}"


def _may_stand_in(name: str) -> bool:
    package = name.partition(".")[0]
    return package not in sys.stdlib_module_names or _INERT.fullmatch(name) is not None


def _stand_in(name: str) -> type:
    origin = printable(name)
    return type(ascii(origin), (StandIn,), {"origin": origin})


def whole_model_remedy(path: str, key: str | None = None, comment: str = "") -> str:
    """Return the two lines of Python that turn a pickled model into a state dict.

    Parameters
    ----------
    path : the file.
    key : its entry with the model; None if the file is the model.
    comment : end of the first line.
    """
    stem = path.rpartition("/")[2].partition(".")[0]
    entry = "" if key is None else f"[{key!r}]"
    written = f"{path.removesuffix(path.rpartition('/')[2])}{stem}.state_dict.pt"
    return (
        "allowed: a state dict. Where the model's code is installed, and the file trusted, two "
        "lines write one:\n"
        f"  model = torch.load({path!r}, map_location='cpu', weights_only=False){entry}{comment}\n"
        f"  torch.save(model.state_dict(), {written!r})"
    )


def printable(name: str) -> str:
    """Return a name in a file, quoted if it has control characters."""
    return name if name.isprintable() else repr(name)


def _reason(error: Exception, protocol: int) -> str:
    """Return the reason in torch's message, without its advice."""
    if protocol != 2:
        return f"its pickle protocol is {protocol}; torch.save writes 2 unless it is given another"
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    if "Only persistent_load of storage" in text:
        return _WHOLE_MODEL
    filled = re.search(rf"but got <class '{re.escape(__name__)}\.'(.*)''>", text)
    if filled:
        return f"a {filled[1]}, which is filled as a list or dict is"
    found = re.search(r"WeightsUnpickler error:\s*(.*)", text)
    line = found[1] if found else next(iter(text.strip().splitlines()), type(error).__name__)
    return line.partition("Please use")[0].partition(", to do so")[0].strip()
