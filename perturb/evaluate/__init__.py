"""Predictions of a model on the images of a cell, and the shard that holds them.

The library has a function of the same name, `perturb.library.evaluation.evaluate`. A package is an
attribute of `perturb` once one of its modules is imported, so the package itself is callable: then
``perturb.evaluate(...)`` is the function whatever was imported before.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """This package, called as the function of the library."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.__wrapped__(*arguments, **options)

    @property
    def __wrapped__(self) -> Any:
        """The function, by which `inspect` and `help` find its signature."""
        return import_module("perturb.library.evaluation").evaluate


sys.modules[__name__].__class__ = _CallablePackage
