"""What jobs ask of a machine, as the rules say it."""

import re
from pathlib import Path

import pytest

from tests.tiny_study import TINY_STUDY
from tests.workspace import ROOT, environment, fresh_clone

RULES = [
    (file.stem, text)
    for file in (ROOT / "rules").glob("*.smk")
    for text in re.split(r"^ *rule ", file.read_text(), flags=re.M)[1:]
]


def _asked(folder: Path, device: str, gres: str) -> str:
    clone = fresh_clone(folder)
    clone.configure(TINY_STUDY | {"device": device})
    command = clone.command("--dry-run", "--force", "results/receipts/a/benchmarks.json")
    printed = clone.python(command[1:], environment() | {"PERTURB_SLURM_GRES": gres})
    (job,) = re.findall(r"^rule evaluate:\n(?:    .*\n)*", printed, re.M)
    return str(job)


@pytest.mark.parametrize(
    ("device", "gres", "asked"),
    [
        ("cuda", "", "gpu=1"),
        ("cpu", "", "gpu=0"),
        ("cuda", "gpu:a100:1", "gres=gpu:a100:1"),
        ("cpu", "gpu:a100:1", "gpu=0"),
    ],
)
def test_gpus_are_spelt_as_the_cluster_asks(
    device: str, gres: str, asked: str, tmp_path: Path
) -> None:
    assert asked in _asked(tmp_path, device, gres)


def test_a_training_asks_for_the_time_of_its_images(tmp_path: Path) -> None:
    clone = fresh_clone(tmp_path)
    cards = [f"results/scaling/checkpoints/{model}/card.json" for model in ("vit-l-2k", "vit-l-2m")]
    command = clone.command("--dry-run", "--force", *cards, configuration="config/scaling.yaml")
    printed = clone.python(command[1:], environment())
    jobs = re.findall(r"^rule train_model:\n(?:    .*\n)*", printed, re.M)
    asked = [re.findall(r"wildcards: model=(.*)\n|runtime=(\d+)", job) for job in jobs]
    assert sorted((model, time) for ((model, _), (_, time)) in asked) == [
        *(("vit-l-2k", "34"), ("vit-l-2m", "230")),
    ]


@pytest.mark.parametrize(("file", "rule"), RULES, ids=[text.split(":")[0] for _, text in RULES])
def test_each_rule_asks_for_more_at_each_attempt_and_is_measured(file: str, rule: str) -> None:
    assert re.search(r"mem_mb=lambda wildcards, attempt: \d+ \* attempt,", rule), file
    time = r"(\d+|training_minutes\(wildcards\.model\))"
    assert re.search(rf"runtime=lambda wildcards, attempt: {time} \* attempt,", rule), file
    assert "    benchmark:\n" in rule
