"""What a cell is said to hold is what its evaluator yields, for every perturbation and family."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from perturb.config import load_config
from perturb.config.schema import schema
from perturb.datasets.store import Images
from perturb.datasets.synthetic.generated import generate
from perturb.evaluation.outcome import Setting
from perturb.experiments.corruptions.names import STORED_CORRUPTIONS
from perturb.experiments.possible import conditions_of, is_possible, samples_of
from perturb.experiments.registry import evaluator as evaluator_of
from perturb.experiments.registry import perturbations
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.models.timm_table import geometry
from perturb.plan.cells import cells, own_cells
from perturb.random import image_key
from perturb.records import Config

# An example of each perturbation of images that are made here, as its schema gives it.
ENTRIES = schema()["$defs"]["perturbations"]["properties"]
PERTURBATIONS = {
    key: entry["examples"][0]
    for key, entry in ENTRIES.items()
    if entry.get("examples", [{}])[0].get("datasets") == ["test"]
}


@pytest.fixture
def config(tiny_study: dict[str, Any]) -> Config:
    """Return a study of every perturbation, on networks of three blocks that can be removed."""
    tiny_study["perturbations"] = PERTURBATIONS
    tiny_study["architectures"]["vit"]["arguments"] |= {"depth": 3, "num_heads": 2}
    tiny_study["architectures"]["resnet"]["arguments"]["layers"] = [2, 3]
    return load_config(tiny_study)


@pytest.mark.parametrize("key", list(ENTRIES))
def test_an_entry_has_an_example(key: str) -> None:
    assert ENTRIES[key].get("examples"), (
        f"{key}: `examples` is missing in the options.json of its experiment; one entry whose "
        "dataset is `test`, which runs in a moment, is needed"
    )


def test_every_perturbation_is_here(config: Config) -> None:
    from_configuration = {item.id for item in config.perturbations.values()}
    of_real_images = {"corruptions", "class_subset", STORED_CORRUPTIONS}
    assert from_configuration | of_real_images == set(perturbations())


@pytest.mark.parametrize("model", ["a", "b"])
def test_evaluators_yield_what_is_planned(model: str, config: Config) -> None:
    architecture = config.models[model].architecture
    network = build_network(architecture.family, architecture.arguments, 12, 32)
    classifier = Classifier(network, Preprocessing(32)).eval()
    batch = generate("target", "test", 1, torch.arange(2))
    keys = torch.tensor([image_key(str(index)) for index in range(2)])
    images = Images(batch.images, keys, batch.targets)
    for cell in own_cells(config, config.models[model]):
        perturbation = config.perturbations[cell.perturbation]
        conditions = conditions_of(perturbation, architecture)
        setting = Setting(conditions, cell.severity_value, 7, perturbation.options)
        found: dict[str, tuple[int, ...]] = {}
        for outcome in evaluator_of(cell.perturbation)(classifier, images, setting):
            found[outcome.condition] = (*found.get(outcome.condition, ()), outcome.sample)
            assert outcome.logits.shape == (2, 12)
        assert found == samples_of(perturbation, cell.severity_value, architecture, 7), cell


def test_networks_are_spared_what_they_do_not_have(config: Config) -> None:
    asked = {(cell.model, cell.perturbation, cell.severity) for cell in cells(config)}
    assert ("a", "heads", "1") in asked
    assert not {perturbation for model, perturbation, _ in asked if model == "b"} & {
        "heads",
        "restricted_attention",
        "patch_attention",
        "token_removal",
    }
    assert ("a", "lesions", "2") in asked


def test_heads_are_planned_where_every_block_has_as_many(config: Config) -> None:
    architecture = config.models["a"].architecture
    uncounted = replace(architecture, arguments={**architecture.arguments, "num_heads": None})
    heads, tokens = (config.perturbations[name] for name in ("heads", "token_removal"))
    assert is_possible(heads, 0, architecture)
    assert not is_possible(heads, 0, uncounted)
    assert is_possible(tokens, 0.5, uncounted)


def test_registers_stand_in_for_a_class_token_where_it_only_passes_on(config: Config) -> None:
    architecture = config.models["a"].architecture
    network = geometry("vit_betwixt_patch16_reg4_gap_256")
    assert (network.num_prefix_tokens, network.num_class_tokens) == (4, 0)
    counts = {"num_prefix_tokens": 4, "num_class_tokens": 0}
    registers = replace(architecture, arguments={**architecture.arguments, **counts})
    assert is_possible(config.perturbations["patch_attention"], 1, registers)
    assert not is_possible(config.perturbations["token_removal"], 0.5, registers)
