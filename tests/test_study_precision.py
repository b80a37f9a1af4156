"""The precision of each cell of a study: that of its network's family with `precision: auto`."""

from typing import Any

import pytest

from perturb.config import load_config
from perturb.plan.asked import asked_of_cell, asked_of_measurement, precision_of
from perturb.plan.cells import cells
from perturb.records import Config


def _precisions(config: Config, **where: Any) -> dict[str, set[tuple[str, str | None]]]:
    """Return the precision and that of the source of each model's cells."""
    found: dict[str, set[tuple[str, str | None]]] = {}
    for cell in cells(config):
        if all(getattr(cell, name) == value for name, value in where.items()):
            asked = asked_of_cell(config, cell)
            seen = asked["precision"], asked.get("source_precision")
            found.setdefault(cell.model, set()).add(seen)
    return found


@pytest.fixture
def study(tiny_study: dict[str, Any]) -> dict[str, Any]:
    """Return a study of a ViT, a ResNet and attacks that are shown to both."""
    attacks = {"epsilons": ["1/255"], "images": 4, "datasets": ["test"]}
    tiny_study["perturbations"] |= {"pgd": attacks, "transfer": attacks}
    tiny_study["analyses"] = {"layer_correlations": {"dataset": "test", "images": 4}}
    return tiny_study


@pytest.mark.parametrize(
    ("changes", "vit", "resnet"),
    [
        ({}, "float32", "float32"),
        ({"device": "cuda"}, "pure_bfloat16", "bfloat16"),
        ({"device": "cuda", "precision": "bfloat16"}, "bfloat16", "bfloat16"),
        ({"precision": "pure_bfloat16"}, "pure_bfloat16", "pure_bfloat16"),
    ],
)
def test_auto_is_the_fastest_precision_of_the_family(
    changes: dict[str, Any], vit: str, resnet: str, study: dict[str, Any]
) -> None:
    config = load_config(study | changes)
    by_family = {"vit": vit, "resnet": resnet}
    families = {id: model.architecture.family for id, model in config.models.items()}
    assert set(families.values()) == {"vit", "resnet"}
    for model, seen in _precisions(config, source=None).items():
        assert seen == {(by_family[families[model]], None)}
        assert precision_of(config, model) == by_family[families[model]]
    for source in config.benchmark_models:
        made = precision_of(config, source)
        for model, seen in _precisions(config, source=source).items():
            shown = precision_of(config, model)
            # All models see the same images, made in the precision of the source.
            assert seen == {(shown, None if made == shown else made)}
    assert config.correlations
    for model in config.benchmark_models:
        asked = asked_of_measurement(config, "layer_correlations", model)
        assert asked["precision"] == precision_of(config, model)
