"""The passes that `perturb cost` reckons with are those that the evaluators make."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perturb.config import load_config
from perturb.cost.passes import passes_of
from perturb.datasets.store import Images
from perturb.evaluation.cell import Cell
from perturb.evaluation.outcome import Setting
from perturb.experiments.attacks.passes import attack_ensemble
from perturb.experiments.declaration import Asked, Passes
from perturb.experiments.perturbation_patterns.measures import perturbations_of
from perturb.experiments.possible import conditions_of
from perturb.experiments.registry import evaluator as evaluator_of
from perturb.experiments.transfer.examples import examples_against, outcome_on
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing
from perturb.plan.cells import cells
from perturb.records import Config

NUM_IMAGES = 3
VIT = {"embed_dim": 16, "depth": 4, "num_heads": 2, "mlp_ratio": 2}
RESNET = {"layers": [2, 3], "channels": [16, 16], "num_groups": 4, "stem_channels": 8}
ON = {"datasets": ["test"]}
PERTURBATIONS: dict[str, dict[str, Any]] = {
    "none": ON,
    "corruptions": ON | {"severities": [1], "corruptions": ["fog", "snow"]},
    "fgsm": ON | {"epsilons": ["1/255"]},
    "pgd": ON | {"epsilons": ["1/255"], "steps": 3},
    "attack_ensemble": ON | {"epsilons": ["1/255"], "steps": 2, "targets": 2, "queries": 5},
    "attack_ensemble_l2": ON | {"epsilons": [0.1], "standard": True},
    "spatial": ON | {"rotations": 3, "translations": 3, "samples": 4},
    "transfer": ON | {"images": 3, "epsilons": ["1/255"], "steps": 3},
    "lesions": ON | {"images": 3, "removed": [1, 2, 3], "samples": 5},
    "heads": ON | {"images": 3},
    "restricted_attention": ON | {"distances": [1], "seeds": 2},
    "patch_attention": ON | {"blocks": [1, 3]},
    "token_removal": ON | {"drop_rates": [0.5], "seeds": 2},
}
# Linear layers of a ViT's block by their share of its weights, at an MLP twice as wide.
SHARES = {"qkv": 0.375, "proj": 0.125, "fc1": 0.25, "fc2": 0.25}


@pytest.fixture
def config(tiny_study: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Config:
    budget = {"steps": 3, "restarts": 1, "targets": 2, "queries": 4}  # the standard takes minutes
    monkeypatch.setattr("perturb.experiments.attacks.budgets.STANDARD", budget)
    tiny_study["epsilon"] = "1/255"
    tiny_study["perturbations"] = PERTURBATIONS
    for id, arguments in (("vit", VIT), ("resnet", RESNET)):
        tiny_study["architectures"][id]["arguments"] = arguments
    tiny_study["architectures"]["vit"]["patch_size"] = 4
    return load_config(tiny_study)


@pytest.fixture
def images() -> Images:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (NUM_IMAGES, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return Images(pixels, torch.arange(NUM_IMAGES), torch.zeros(NUM_IMAGES, dtype=torch.int64))


def _stubborn(config: Config, model: str) -> Classifier:
    """Return a network that decides for class 0 whatever it sees: no attack on it ever ends."""
    architecture = config.models[model].architecture
    network = build_network(architecture.family, architecture.arguments, 5, 32)
    head: Any = network.get_classifier()
    nn.init.zeros_(head.weight)
    with torch.no_grad():
        head.bias.copy_(torch.tensor([4.0, 3.0, 2.0, 1.0, 0.0]))
    return Classifier(network, Preprocessing(side=32)).eval()


class _Counter:
    """Work of a network's blocks: in units of one image through all of them."""

    def __init__(self) -> None:
        self.predictions = self.gradients = 0.0

    def add(self, share: float, rows: int) -> None:
        if torch.is_grad_enabled():
            self.gradients += share * rows / NUM_IMAGES
        else:
            self.predictions += share * rows / NUM_IMAGES


@contextmanager
def _counted(classifier: Classifier, *, by_token: bool = False) -> Iterator[_Counter]:
    counter, handles = _Counter(), []
    modules = dict(classifier.network.named_modules())
    if any(name.endswith("qkv") for name in modules):
        shares = {
            name: SHARES[name.rpartition(".")[2]] / VIT["depth"]
            for name in modules
            if name.startswith("blocks.") and name.rpartition(".")[2] in SHARES
        }
    else:
        blocks = [name for name in modules if name.endswith(".conv1")]
        shares = dict.fromkeys(blocks, 1 / len(blocks))

    def counted(share: float) -> Any:
        def hook(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            num_tokens = args[0].shape[1] / 65 if by_token else 1.0
            counter.add(share * num_tokens, len(args[0]))

        return hook

    for name, share in shares.items():
        handles.append(modules[name].register_forward_pre_hook(counted(share)))
    yield counter
    for handle in handles:
        handle.remove()


def _cases() -> list[tuple[str, str]]:
    own = [id for id in PERTURBATIONS if id != "transfer"]
    of_vits = {"heads", "restricted_attention", "patch_attention", "token_removal"}
    return [(id, "a") for id in own] + [(id, "b") for id in own if id not in of_vits]


@pytest.mark.parametrize(("perturbation", "model"), _cases())
def test_passes_are_those_of_the_evaluator(
    config: Config, images: Images, perturbation: str, model: str
) -> None:
    classifier = _stubborn(config, model)
    record, network = config.perturbations[perturbation], config.models[model].architecture
    found = [cell for cell in cells(config) if cell.model == model]
    of_it = [cell for cell in found if cell.perturbation == perturbation]
    assert of_it
    for cell in of_it:
        setting = Setting(
            conditions_of(record, network), cell.severity_value, config.seed, record.options
        )
        with _counted(classifier, by_token=perturbation == "token_removal") as counter:
            list(evaluator_of(perturbation)(classifier, images, setting))
        passes = passes_of(config, cell)
        # Prefix tokens, which are always kept, are left out of the estimate.
        tolerance = 0.03 if perturbation == "token_removal" else 1e-6
        assert passes.predictions == pytest.approx(counter.predictions, rel=tolerance)
        assert passes.gradients == pytest.approx(counter.gradients)


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 2, "random_start": True},
        {"steps": 2, "random_start": True, "restarts": 3},
    ],
)
def test_random_starts_cost_a_gradient_more(
    tiny_study: dict[str, Any], images: Images, options: dict[str, Any]
) -> None:
    tiny_study["perturbations"] = {"none": ON, "pgd": ON | {"epsilons": ["1/255"]} | options}
    config = load_config(tiny_study)
    (cell,) = [cell for cell in cells(config) if (cell.model, cell.perturbation) == ("b", "pgd")]
    classifier = _stubborn(config, "b")
    record = config.perturbations["pgd"]
    setting = Setting(record.conditions, cell.severity_value, config.seed, record.options)
    with _counted(classifier) as counter:
        list(evaluator_of("pgd")(classifier, images, setting))
    assert passes_of(config, cell) == Passes(
        pytest.approx(counter.predictions), pytest.approx(counter.gradients)
    )


def test_transfer_makes_its_examples_once(config: Config, images: Images) -> None:
    record = config.perturbations["transfer"]
    classifier = _stubborn(config, "b")
    setting = Setting(("b",), 1 / 255, config.seed, record.options)
    with _counted(classifier) as counter:
        outcome_on(classifier, "b", images, examples_against(classifier, images, setting))
    own = passes_of(config, Cell("b", "test", "transfer", "1_255", "b"))
    assert own == Passes(pytest.approx(counter.predictions), pytest.approx(counter.gradients))
    assert passes_of(config, Cell("a", "test", "transfer", "1_255", "b")) == Passes(1)


def test_patterns_take_a_gradient_a_step(config: Config, images: Images) -> None:
    classifier = _stubborn(config, "b")
    with _counted(classifier) as counter:
        perturbations_of(classifier, images, 1 / 255, steps=3)
    assert (counter.predictions, counter.gradients) == (0, pytest.approx(3))


def test_corruptions_are_counted(config: Config) -> None:
    (cell,) = [
        cell for cell in cells(config) if (cell.model, cell.perturbation) == ("a", "corruptions")
    ]
    assert passes_of(config, cell) == Passes(predictions=2, corruptions=2)


@pytest.mark.parametrize(
    ("row", "budget"),
    [
        ("attack_ensemble, attack_ensemble_l2; steps s, targets t", (20, 3, 100)),
        ("attack_ensemble, attack_ensemble_l2; steps s, targets t", (2, 7, 5)),
        ("the same with `standard`", (100, 9, 5000)),
    ],
)
def test_the_formulas_of_the_ensemble_are_those_of_its_passes(
    config: Config, row: str, budget: tuple[int, int, int]
) -> None:
    steps, targets, queries = budget
    id = "attack_ensemble_l2" if "standard" in row else "attack_ensemble"
    entry, network = config.perturbations[id], config.models["a"].architecture
    options = {"steps": steps, "restarts": 1, "targets": targets, "queries": queries}
    passes = attack_ensemble(Asked(replace(entry, options=options), 0.1, network, 0))
    documented = (Path(__file__).parent.parent / "docs" / "cost.md").read_text(encoding="utf-8")
    (line,) = [line for line in documented.splitlines() if line.startswith(f"  | {row} |")]
    given = {"s": steps, "t": targets, "queries": queries}
    forward, backward = (
        eval(cell.strip().replace(",", "").replace(")(", ") * ("), {}, given)
        for cell in line.split("|")[2:4]
    )
    assert (passes.predictions + passes.gradients, passes.gradients) == (forward, backward)
