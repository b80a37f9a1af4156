"""Mistakes of every stage in one report, without messages that follow from another mistake."""

import copy
import random
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from perturb.config import ConfigError, load_config
from perturb.plan.sources import missing_files
from tests.test_config_mistakes import MISTAKES, changed
from tests.tiny_study import TINY_STUDY

SECTIONS = ("datasets", "pretraining", "architectures", "models", "perturbations", "analyses")
NUM_PAIRS = 300


def _told(raw: dict[str, Any]) -> list[str]:
    try:
        load_config(raw, beside=missing_files)
    except ConfigError as error:
        return str(error).splitlines()
    return []


def test_one_report_names_the_mistakes_of_every_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = copy.deepcopy(TINY_STUDY) | {"sede": 3, "device": "gpu", "results": "a{b}"}
    raw["datasets"]["second"]["imags"] = raw["datasets"]["second"].pop("images")
    raw["datasets"]["faulty"] = {"role": "extar", "source": {"layout": "class_folders"}}
    lost = {"layout": "class_folders", "path": "$NOWHERE/val"}
    raw["datasets"]["lost"] = {"source": lost, "preprocessing": {"side": 32}}
    absent = {"layout": "webdataset", "path": "val", "columns": {"image": "jpg"}}
    raw["datasets"]["absent"] = {"source": absent, "preprocessing": {"side": 32}}
    raw["models"]["c"] = {"architecture": "vitt", "weights": "trained"}
    raw["models"]["d"] = raw["models"]["a"] | {"preprocessing": {"side": 32}}
    raw["architectures"]["odd"] = raw["architectures"]["resnet"] | {"patch_size": 4}
    raw["perturbations"]["none"]["datasets"] = ["test", "secnd", "faulty", "lost"]
    raw["perturbations"]["spatial"] = {"datasets": ["test"], "rotations": 30}
    raw["perturbations"]["fgsm"] = {"datasets": ["test"], "epsilons": ["1/255"]}
    raw["perturbations"]["pgd"] = {"datasets": ["test"], "epsilons": [2]}
    assert [line[:85] for line in _told(raw)] == [
        "the configuration: unknown key `sede`; allowed: title, seed, results, device, data, d",
        "datasets.second: unknown key `imags`; allowed: label, role, images, classes, publishe",
        "datasets.faulty.role: 'extar' is not one of clean, renditions, natural_adversarial, c",
        "device: 'gpu' is not one of cpu, cuda.",
        "perturbations.pgd.epsilons.0: 2 is not allowed. Largest change of a pixel, in units o",
        "models.c.architecture: there is no entry 'vitt' under `architectures`; allowed: vit, ",
        "perturbations.none.datasets.1: there is no entry 'secnd' under `datasets`; allowed: t",
        "results: 'a{b}': { } cannot be in its path: Snakemake and DuckDB read them as pattern",
        "datasets.lost.source.path: '$NOWHERE/val': the environment variable 'NOWHERE' is not ",
        "models.d.preprocessing: not allowed with `weights: trained`; its training set defines",
        "architectures.odd.patch_size: 4 is not allowed; a ResNet has none",
        "datasets.absent.source.columns.image: only with `layout: parquet, labelled_files`, no",
        "perturbations.spatial.rotations: 30 is even; allowed: odd numbers, so that the unchan",
        "datasets.absent.source.path: data/val does not exist",
    ]


def _changes() -> list[str]:
    # Those that add, remove or turn an entry into another kind change what others are allowed.
    turned = ("models.a.role: reference", "datasets.test.filter: ")
    return [
        change
        for change in MISTAKES
        if _ids(changed(TINY_STUDY, change)) == _ids(TINY_STUDY) and not change.startswith(turned)
    ]


def _ids(raw: dict[str, Any]) -> list[set[str]]:
    return [set(raw.get(name, ())) for name in SECTIONS[:4]]


def _touched(raw: dict[str, Any]) -> set[tuple[str, str]]:
    """Return the entries, or values at the top, that differ from those of the valid study."""
    found = set()
    for key in raw.keys() | TINY_STUDY.keys():
        new, old = raw.get(key, {}), TINY_STUDY.get(key, {})
        if key in SECTIONS and isinstance(new, dict):
            found |= {(key, id) for id in new.keys() | old.keys() if new.get(id) != old.get(id)}
        elif new != old:
            found.add((key, ""))
    return found


def test_no_mistake_adds_a_message_about_another() -> None:
    changes = _changes()
    alone = {change: set(_told(changed(TINY_STUDY, change))) for change in changes}
    touched = {change: _touched(changed(TINY_STUDY, change)) for change in changes}
    pairs = [pair for pair in combinations(changes, 2) if not touched[pair[0]] & touched[pair[1]]]
    num_kept = num_all = 0
    for first, second in random.Random(0).sample(pairs, NUM_PAIRS):
        told = set(_told(changed(TINY_STUDY, first, second)))
        apart = alone[first] | alone[second]
        assert told <= apart, (first, second)
        num_kept, num_all = num_kept + len(told), num_all + len(apart)
    # A mistake hides another one only if that follows from the part that it is in.
    assert num_kept > 0.95 * num_all


WRONG = (None, [], {}, "x", 5, -1, True, ["x"], {"x": 1}, "test", "a", {"dataset": "test"})


def _places(value: Any, key: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the keys of all values."""
    inner: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inner = enumerate(value)
    return [key, *(place for name, one in inner for place in _places(one, (*key, name)))]


def _spoiled(drawn: random.Random) -> dict[str, Any]:
    """Return a study with wrong values, missing values and wrong names at random places."""
    raw = copy.deepcopy(TINY_STUDY)
    for _ in range(drawn.randint(1, 4)):
        *place, name = drawn.choice(_places(raw)[1:])
        parent: Any = raw
        for each in place:
            parent = parent[each]
        match drawn.randrange(4):
            case 0:
                del parent[name]
            case 1 if isinstance(parent, dict):
                parent[drawn.choice((f"{name}s", 1, None, "x y"))] = parent.pop(name)
            case _:
                parent[name] = copy.deepcopy(drawn.choice(WRONG))
    return raw


def test_whatever_is_wrong_is_told_in_a_report() -> None:
    drawn = random.Random(0)
    reports = [_told(_spoiled(drawn)) for _ in range(300)]
    assert sum(map(bool, reports)) > 250  # some changes are allowed
