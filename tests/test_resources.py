"""What jobs ask of a machine."""

import re
from pathlib import Path

import pytest
from perturb.plan.resources import GRES, RESOURCES, gpu_request

RULES = Path(__file__).parents[1] / "rules"


@pytest.mark.parametrize(
    ("num_gpus", "environment", "asked"),
    [
        (1, {}, {"gpu": 1}),
        (0, {}, {"gpu": 0}),
        (1, {GRES: "gpu:a100:1"}, {"gres": "gpu:a100:1"}),
        (0, {GRES: "gpu:a100:1"}, {"gpu": 0}),
        (1, {GRES: ""}, {"gpu": 1}),
    ],
)
def test_gpus_are_spelt_as_the_cluster_asks(
    num_gpus: int, environment: dict[str, str], asked: dict[str, int | str]
) -> None:
    assert gpu_request(num_gpus, environment) == asked


def test_every_rule_asks_and_nothing_else_does() -> None:
    text = "".join(file.read_text() for file in RULES.glob("*.smk"))
    assert set(re.findall(r'needs\("(\w+)"\)', text)) == set(RESOURCES)


def test_each_attempt_asks_for_more() -> None:
    asked = RESOURCES["evaluate_cells"]
    assert asked.mem_mb_at(2) == 2 * asked.mem_mb_at(1)
    assert asked.runtime_min_at(3) == 3 * asked.runtime_min_at(1)
