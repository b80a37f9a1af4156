"""The publications and the paragraph on methods of a study."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from perturb.config import Config, load_config
from perturb.experiments import registry
from perturb.page import references
from perturb.page.methods import methods_text
from perturb.page.references import entries, references_of

ROOT = Path(__file__).parents[1]


def _study(name: str) -> Config:
    raw = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    for model in raw["models"].values():
        if isinstance(model.get("weights"), dict) and "file" in model["weights"]:
            # An example of a file that is not there.
            model["weights"]["sha256"] = "0" * 64
    return load_config(raw)


def _declared() -> set[str]:
    """Return all keys that experiments declare."""
    found: set[str] = set()
    for experiment in registry.experiments().values():
        found |= set(experiment.references)
        for measurement in experiment.measurements:
            found |= set(measurement.references)
        for perturbation in experiment.perturbations:
            found |= {*perturbation.references, *perturbation.condition_references.values()}
    return found


def _used() -> set[str]:
    networks = {key for keys in references.NETWORKS.values() for key in keys}
    named = {*references.DATASETS.values(), *networks, *references.TRAINED_AS.values()}
    return _declared() | named | {"bhojanapalli2021understanding", *references.SOFTWARE}


def test_every_key_has_an_entry_and_every_entry_is_used() -> None:
    assert set(entries()) == _used()


@pytest.mark.parametrize("key", list(entries()))
def test_an_entry_has_what_a_citation_needs(key: str) -> None:
    text = entries()[key]
    assert text.count("{") == text.count("}")
    fields = dict(re.findall(r"^  (\w+) = \{(.*)\},?$", text, flags=re.MULTILINE))
    assert {"author", "title", "year"} <= set(fields)
    assert fields["author"].split(",")[0].lower().replace("{\\", "").replace('"', "")
    assert key.endswith(fields["year"] + re.sub(r".*\d{4}", "", key))
    # Where to find it: a preprint, an identifier, or a volume with pages.
    assert {"eprint", "doi"} & set(fields) or {"volume", "pages"} <= set(fields)
    if "eprint" in fields:
        assert re.fullmatch(r"\d{4}\.\d{4,5}", fields["eprint"])
        assert fields["archiveprefix"] == "arXiv"


def test_perturbations_and_conditions_are_declared() -> None:
    for item in registry.perturbations().values():
        assert set(item.condition_references) <= set(item.conditions)


def test_every_published_dataset_has_an_entry() -> None:
    schema = (ROOT / "schemas" / "config.schema.json").read_text(encoding="utf-8")
    published = yaml.safe_load(schema)["$defs"]["dataset"]["properties"]["published"]["enum"]
    assert set(published) <= set(references.DATASETS)


def _tables(**rows: Any) -> dict[str, pa.Table]:
    run = {"devices": "CPU", "versions": "torch 2", "commits": "abc"}
    model = {"is_reference": False, "run": 1, "num_runs": 1, "num_parameters": 62_000}
    models = [{**model, "family": "vit"}, {**model, "family": "resnet", "num_parameters": 9e6}]
    given = {"models": models, "runs": [run, run], **rows}
    return {name: pa.Table.from_pylist(found) for name, found in given.items()}


def test_a_study_cites_what_it_uses_alone() -> None:
    found = references_of(_study("config.yaml"), _tables())
    keys = re.findall(r"@\w+\{([^,]+),", found.bibtex)
    assert len(keys) == len(set(keys))
    assert {"madry2018towards", "andriushchenko2020square", "dosovitskiy2021image"} <= set(keys)
    # No FAB in its ensemble, no published dataset, no claim that is tested.
    assert not {"croce2020minimally", "russakovsky2015imagenet", "holm1979simple"} & set(keys)
    assert found.without_entry == ()


def test_claims_are_cited_if_one_is_tested() -> None:
    for num_images, is_cited in ((None, False), (40, True)):
        claims = pa.table({"num_images": pa.array([num_images], pa.int64())})
        found = references_of(_study("config.yaml"), {**_tables(), "claims": claims})
        assert ("holm1979simple" in found.bibtex) == is_cited


def test_imagenet_and_timms_networks_are_cited() -> None:
    found = references_of(_study("config/imagenet.yaml"), _tables()).bibtex
    for key in ("russakovsky2015imagenet", "recht2019imagenet", "radford2021learning"):
        assert f"{{{key}," in found
    assert "alpaydin1998optical" in references_of(_study("config/digits.yaml"), _tables()).bibtex


def test_a_network_without_an_entry_is_named() -> None:
    study = _study("config/digits.yaml")
    models = dict(study.models)
    id, model = next(iter(models.items()))
    network = replace(model.architecture, id="odd", family="other", timm="bat_resnext26ts")
    models[id] = replace(model, architecture=network)
    found = references_of(replace(study, models=models), _tables())
    assert found.without_entry == ("odd",)


DATASETS = [{"label": "Shapes", "num_images": 480, "num_classes": 12}]


def test_the_paragraph_has_the_settings_of_the_study() -> None:
    written = methods_text(_study("config.yaml"), _tables(), DATASETS)
    said = [
        "We evaluated 1 ViT and 1 ResNet (62.0 k to 9.00 M parameters), trained in this study",
        "(pre-training sets: Small, Medium and Large).",
        "The test sets are Shapes (480 images of 12 classes).",
        "19 common corruptions at severity 1 to 5 were computed in memory (240 images of Shapes)",
        "FGSM was run in the L-infinity ball with epsilon 2/255, 4/255, 8/255 and 16/255",
        "PGD took 8 steps of 0.125 epsilon from the image itself",
        "targeted APGD on the DLR loss and Square; 10 steps, 2 targets, 50 queries",
        "searched 15 rotations of up to 30 degrees by 5 x 5 translations",
        "Weights were rounded to 3, 4, 6 or 8 bits",
        "on CPU, with torch 2 and Perturb",
        "the seed 2021",
    ]
    assert [text for text in said if text not in written] == []
    assert "Holm" not in written
    assert "  " not in written
    assert not re.search(r"[{}]|None|\.\.| \.| ,", written)


@pytest.mark.parametrize("name", ["config/imagenet.yaml", "config/digits.yaml", "config/own.yaml"])
def test_every_study_has_a_paragraph(name: str) -> None:
    written = methods_text(_study(name), _tables(), DATASETS)
    assert written.startswith("We evaluated ")
    assert not re.search(r"[{}]|None|\.\.| \.| ,|  ", written)


@pytest.mark.parametrize(
    ("removed", "said"),
    [
        (
            (1, 2, 3, 4),
            "layer was removed alone, and up to 25 random sets of 2, 3 or 4 of them that keep the "
            "first block, without further training (144 images of Shapes).",
        ),
        ((1, 2, 3, 4, 5), "alone, and up to 25 random sets of 2 to 5 of them"),
        ((1,), "Each block, MLP and attention layer was removed alone, without further training"),
        ((2,), "Up to 25 random sets of 2 of them that keep the first block were removed, without"),
    ],
)
def test_sets_of_layers_are_said_apart_from_single_ones(
    removed: tuple[int, ...], said: str
) -> None:
    study = _study("config.yaml")
    entry = replace(study.perturbations["lesions"], severities=tuple(map(str, removed)))
    changed = replace(study, perturbations={**study.perturbations, "lesions": entry})
    assert said in methods_text(changed, _tables(), DATASETS)


@pytest.mark.parametrize(
    ("precision", "said"),
    [
        ("float32", "Computation was in float32, on CPU"),
        ("bfloat16", "in bfloat16 by autocast, on"),
        ("pure_bfloat16", "in bfloat16, weights but those of the last layer included, on"),
        ("auto", "in bfloat16 (of ViTs with bfloat16 weights, of other networks by autocast), on"),
    ],
)
def test_the_precision_is_said_in_words(precision: str, said: str) -> None:
    study = replace(_study("config.yaml"), precision=precision)
    assert said in methods_text(study, _tables(), DATASETS)


def test_numbers_of_images_have_separators() -> None:
    study = _study("config.yaml")
    assert study.correlations is not None
    study = replace(study, correlations=replace(study.correlations, num_images=1000))
    written = methods_text(study, _tables(), DATASETS)
    assert "Pearson's correlation and linear CKA on 1,000 images" in written


def test_the_comparison_of_models_cites_its_intervals() -> None:
    pairs = [{"model_a": "a", "num_images": 10}]
    found = references_of(_study("config.yaml"), _tables(model_pairs=pairs)).bibtex
    for key in ("agresti2005simple", "newcombe1998interval", "mogstad2024inference"):
        assert f"{{{key}," in found
