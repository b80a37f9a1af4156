"""Models that are trained several times: their runs, and what more runs leave as it is."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from perturb.config import Config, ConfigError, load_config
from perturb.config.given import read_yaml, whole
from perturb.cost.dag import jobs_of
from perturb.cost.rates import Machine
from perturb.cost.study import work_of
from perturb.datasets.synthetic.generated import generate
from perturb.models.making import train_model
from perturb.models.training import Phase
from perturb.models.training_images import LabelledImages
from perturb.plan.asked import asked_of_cell
from perturb.plan.cells import cells
from perturb.plan.origins import of_checkpoint
from perturb.plan.params import titles
from perturb.random import run_seed
from tests import kept_study
from tests.test_making import FACTS
from tests.tiny_study import TINY_STUDY

ROOT = Path(__file__).parent.parent


def _study(seeds: int | None = None, **of_models: Any) -> dict[str, Any]:
    """Return the tiny study with `seeds` of the study and of single models."""
    study = copy.deepcopy(TINY_STUDY)
    attack = {"datasets": ["test"], "images": 12, "epsilons": ["1/255"]}
    study["perturbations"] |= {"pgd": attack, "transfer": attack}
    study["analyses"] = {"layer_correlations": {"dataset": "test", "images": 12}}
    if seeds is not None:
        study["seeds"] = seeds
    for id, value in of_models.items():
        study["models"][id]["seeds"] = value
    return study


def _refusal(study: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as found:
        load_config(study)
    return str(found.value)


def test_an_entry_with_seeds_is_that_many_models() -> None:
    config = load_config(_study(a=3))
    assert [(model.id, model.entry, model.run) for model in config.models.values()] == [
        ("a", "a", 1),
        ("a.run-2", "a", 2),
        ("a.run-3", "a", 3),
        ("b", "b", 1),
        ("reference", "reference", 1),
    ]
    first, second, *_ = config.models.values()
    assert (first.label, first.training) == (second.label, second.training)
    named = titles(config, config.models.values())
    # As in the tables.
    assert named["a"] == "ViT-S/16, small, run 1"
    assert named["a.run-2"] == "ViT-S/16, small, run 2"
    assert "run" not in named["b"]


def test_seeds_of_the_study_are_those_of_its_trained_models_but_the_reference() -> None:
    study = _study(2, b=1)
    study["models"]["given"] = {**study["models"]["b"], "weights": "random"}
    del study["models"]["given"]["seeds"]
    assert list(load_config(study).models) == ["a", "a.run-2", "b", "reference", "given"]


def test_one_seed_is_the_study_without_the_key() -> None:
    assert load_config(_study(1, a=1)) == load_config(_study())


@pytest.mark.parametrize("changes", [{"a": 4, "b": 2}, {"seeds": 3}])
def test_more_runs_leave_those_before_as_they_are(changes: dict[str, int]) -> None:
    before, after = load_config(_study()), load_config(_study(**changes))
    assert after.models == {**after.models, **before.models}
    for model in before.models:
        assert of_checkpoint(after, model) == of_checkpoint(before, model)
    of_both = set(cells(before)) & set(cells(after))
    assert of_both == set(cells(before))
    for cell in of_both:
        assert asked_of_cell(after, cell) == asked_of_cell(before, cell)


def test_origins_of_runs_differ_in_model_and_run() -> None:
    config = load_config(_study(a=3))
    first, second, third = (of_checkpoint(config, id) for id in ("a", "a.run-2", "a.run-3"))
    assert "run" not in first
    assert (second["run"], third["run"]) == (2, 3)
    assert {**second, "run": 3, "model": "a.run-3"} == third
    assert {**first, "run": 2, "model": "a.run-2"} == second


def test_a_run_meets_the_same_run_of_other_models_in_transfer() -> None:
    config = load_config(_study(a=3, b=2))
    met = {(cell.source, cell.model) for cell in cells(config) if cell.source}
    assert met == {
        *(("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")),
        *(("a.run-2", "a.run-2"), ("a.run-2", "b.run-2"), ("b.run-2", "a.run-2")),
        *(("b.run-2", "b.run-2"), ("a.run-3", "a.run-3")),
    }


def test_training_draws_from_another_seed_in_every_run() -> None:
    seeds = [run_seed(7, run) for run in range(1, 50)]
    assert seeds[0] == 7
    assert len(set(seeds)) == len(seeds)
    assert run_seed(7, 2) != run_seed(8, 2)
    with pytest.raises(ValueError, match="run is 0; allowed: 1 and more"):
        run_seed(7, 0)


def test_another_run_starts_from_other_weights_and_ends_in_others() -> None:
    batch = generate("target", "train", 0, torch.arange(48))
    images = LabelledImages(batch.images.numpy(), batch.targets)
    phases = {"pretraining": Phase(images, 64), "finetuning": Phase(images, 64)}

    def trained(**facts: Any) -> tuple[torch.Tensor, int | None]:
        device = torch.device("cpu")
        classifier, card = train_model(FACTS | facts, phases, images, seed=3, device=device)
        return next(classifier.parameters()).detach(), card.seed

    once, as_first, second, again = trained(), trained(run=1), trained(run=2), trained(run=2)
    assert torch.equal(once[0], as_first[0])
    assert torch.equal(second[0], again[0])
    assert not torch.allclose(once[0], second[0])
    assert (once[1], second[1]) == (3, run_seed(3, 2))


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (_study(a=0), "models.a.seeds: 0 is less than the minimum of 1"),
        (_study(a="many"), "models.a.seeds: 'many' is not of type integer"),
        (_study(reference=2), "`role: reference`; allowed: 1, since the errors of one network"),
        (
            _study(3, a=1, b=1),
            "seeds: 3 applies to no model; allowed: 1, unless a model has `weights: trained`, no "
            "`seeds` and is no reference",
        ),
    ],
)
def test_impossible_seeds_are_refused(study: dict[str, Any], message: str) -> None:
    assert message in _refusal(study)


def test_seeds_of_given_weights_are_refused() -> None:
    study = _study(a=2)
    study["models"]["a"]["weights"] = "random"
    assert "models.a.seeds: 2 needs `weights: trained`" in _refusal(study)


def test_ids_of_runs_are_checked_and_all_mistakes_named_at_once() -> None:
    study = _study(a=2)
    study["models"]["A.Run-2"] = study["models"]["b"]
    study["models"]["x" * 60] = {**study["models"]["b"], "seeds": 10}
    study["models"]["reference"]["seeds"] = 2
    found = _refusal(study).splitlines()
    assert len(found) == 3
    assert "models.A.Run-2: 'a' with `seeds: 2` has a run of the id 'a.run-2'" in found[0]
    assert "models.reference.seeds: 2 with `role: reference`" in found[1]
    assert "allowed with `seeds: 10`: an id of at most 57 characters" in found[2]


def test_more_seeds_pay_for_the_new_runs_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept_study.run(load_config(_study()))
    evaluated = kept_study.run_anew(_study(a=2, b=2))
    assert evaluated
    models = {part for name in evaluated for part in name.split(" / ") if part[0] in "ab"}
    assert models >= {"a.run-2", "b.run-2"}
    assert models.isdisjoint({"a", "b"})


def test_five_seeds_of_the_default_study() -> None:
    study = whole(read_yaml(ROOT / "config" / "seeds.yaml"))
    once = load_config(whole({**read_yaml(ROOT / "config" / "seeds.yaml"), "seeds": 1}))
    config = load_config(study)
    assert len(config.benchmark_models) == 5 * len(once.benchmark_models) == 75
    assert config.results == "results/seeds"
    assert _num_cells(config) == 5 * _num_cells(once)
    assert jobs_of(config)["train_model"] == 75 + 2  # the references once
    works = [work_of(each, Machine("a machine", flops_per_s=1e9)) for each in (once, config)]
    of_one, of_five = (work.line("training").forward for work in works)
    assert of_five - of_one == 4 * sum(
        model.training.num_samples + (model.pretraining.num_samples or 0)
        for model in once.models.values()
        if model.training and model.pretraining
    )


def _num_cells(config: Config) -> int:
    return sum(not config.models[cell.model].is_reference for cell in cells(config))
