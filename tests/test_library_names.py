"""The names of `perturb`: what their import costs, and that what is listed exists."""

import inspect
import sys
from pathlib import Path

import pytest

import perturb
from tests.workspace import ROOT, told_by

HEAVY = ("torch", "pandas", "numpy", "timm", "duckdb", "pyarrow", "snakemake")


def _imported(code: str) -> set[str]:
    """Return the heavy packages that a new interpreter has after some code."""
    told = f"{code}\nimport sys\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    return set(told_by([sys.executable, "-c", told]).split())


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import perturb; perturb.__version__; dir(perturb)", HEAVY),
        ("from perturb import CORRUPTIONS", HEAVY),
        ("import perturb; perturb.wilson(1, 2)", ("torch", "timm", "pandas", "snakemake")),
        ("from perturb import shape_bias; shape_bias([0], [0], [1])", ("torch", "timm")),
        ("import perturb; perturb.corrupt", ("timm", "pandas", "duckdb", "pyarrow", "snakemake")),
        (
            "from perturb import attack_ensemble",
            ("timm", "pandas", "duckdb", "pyarrow", "snakemake"),
        ),
        ("from perturb import worst_spatial", ("pandas", "duckdb", "snakemake")),
    ],
)
def test_only_what_is_used_is_imported(code: str, absent: tuple[str, ...]) -> None:
    assert _imported(code) & set(absent) == set()


def test_every_name_exists_and_is_documented() -> None:
    assert set(perturb.__all__) <= set(dir(perturb))
    assert set(perturb.__all__) == {*perturb._MODULE_OF, "__version__"}
    for name in set(perturb.__all__) - {"__version__"}:
        assert getattr(perturb, name).__doc__


def test_type_checkers_are_told_the_same_modules() -> None:
    text = (ROOT / "perturb" / "__init__.py").read_text()
    for name, module in perturb._MODULE_OF.items():
        (block,) = [part for part in text.split("from ") if part.startswith(f"{module} import")]
        assert name in block.split("from ")[0]
    assert (Path(perturb.__file__).parent / "py.typed").is_file()


def test_an_unknown_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'perturb' has no attribute 'corupt'"):
        _ = perturb.corupt
    with pytest.raises(ImportError, match="cannot import name 'corupt'"):
        exec("from perturb import corupt")


def test_evaluate_is_the_function_whatever_was_imported_before() -> None:
    from perturb import evaluate
    from perturb.evaluation.cell import Cell

    assert Cell.__module__ == "perturb.evaluation.cell"
    assert evaluate is perturb.evaluate
    assert list(inspect.signature(evaluate).parameters)[:3] == ["model", "dataset", "perturbation"]


@pytest.mark.parametrize("name", [name for name in perturb.__all__ if name.islower()])
def test_functions_say_what_they_take_return_and_refuse(name: str) -> None:
    found = getattr(perturb, name)
    if not callable(found) or name == "image_key":
        return
    function = inspect.unwrap(found)
    assert function.__doc__ is not None
    assert function.__doc__.startswith(("Return ", "Remove ", "Restrict "))
    parameters = inspect.signature(function).parameters
    for parameter in parameters:
        assert f" {parameter}" in function.__doc__.replace(",", ""), parameter
    assert "Parameters\n" in function.__doc__
    assert "Raises\n" in function.__doc__ or "errors" in function.__doc__
