"""Networks that a Python function of the user makes, ``package.module:function``.

The function takes no argument and returns an `nn.Module` with its weights, from normalised images
(B, 3, H, W) to logits (B, K). Its module is found as Python does, first in the working directory.
This is code of the user, and runs: unlike files of weights, which run none. Planning only finds it:
`perturb.models.architectures.make_network` imports it.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from perturb.files import sha256_of


def file_of(factory: str) -> Path:
    """Return the file of a function's module, without importing it.

    Raises
    ------
    ValueError
        if there is no such module.
    """
    module = factory.partition(":")[0]
    path: Sequence[str] | None = [str(Path.cwd()), *sys.path]
    spec: ModuleSpec | None = None
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:end]), path)
        path = None if spec is None else spec.submodule_search_locations
        if spec is None or (path is None and end < len(parts)):
            break
    else:
        if spec is not None and spec.origin is not None:
            return Path(spec.origin)
    raise ValueError(
        f"there is no Python module {module!r} in the working directory or among those installed"
    )


def facts_of(factory: str) -> dict[str, str]:
    """Return a function with the SHA-256 of its module's file: other code is another model."""
    try:
        code = sha256_of(file_of(factory))
    except ValueError:
        code = "absent"  # which the checks of a run name
    return {"factory": factory, "code": code}
