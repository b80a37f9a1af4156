"""What every experiment shows in a run: sentences from chosen numbers, by hand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from perturb.experiments import registry
from perturb.experiments.sentences import agreeing, capitalised, part, phrase, within
from perturb.formatting import MINUS

Rows = Sequence[Mapping[str, Any]]


def _said(experiment: str, **tables: Rows) -> str:
    path = registry.experiments()[experiment].shows
    assert path is not None
    found = {name: pa.Table.from_pylist(list(rows)) for name, rows in tables.items()}
    text = str(registry.entry_point(path)(found))
    return text.replace("\N{NO-BREAK SPACE}", " ").replace(MINUS, "-")


def _row(model: str, **values: Any) -> dict[str, Any]:
    """Return a row of a model; each number of `values` that is a tuple has its interval."""
    row: dict[str, Any] = {"model": model, "architecture_label": model, "pretraining_label": None}
    for name, value in values.items():
        ends = ("", "_low", "_high")
        row |= (
            {f"{name}{end}": one for end, one in zip(ends, value, strict=True)}
            if isinstance(value, tuple)
            else {name: value}
        )
    return row


def _on(test_set: str, label: str, model: str, **values: Any) -> dict[str, Any]:
    return _row(model, test_set=test_set, test_set_label=label, **values)


EXPECTED: dict[str, tuple[str, dict[str, Rows], str]] = {
    "accuracies": (
        "benchmarks",
        {
            "accuracy": [
                _on("clean", "Clean", "a", accuracy=0.9),
                _on("clean", "Clean", "b", accuracy=0.7),
                _on("renditions", "Renditions", "a", accuracy=0.5),
                _on("renditions", "Renditions", "b", accuracy=0.25),
            ]
        },
        "The mean accuracy of the 2 models is 80.0 % on unchanged images and 37.5 % on renditions.",
    ),
    "accuracies of one model": (
        "benchmarks",
        {"accuracy": [_on("my photos", "My photos", "a", accuracy=0.9)]},
        "The accuracy of a is 90.0 % on My photos.",
    ),
    "corruptions": (
        "corruptions",
        {
            "corruption_means": [
                _row("a", corruption="fog", clean_accuracy=0.9, accuracy=0.5),
                _row("b", corruption="fog", clean_accuracy=0.8, accuracy=0.6),
                _row("a", corruption="gaussian_noise", clean_accuracy=0.9, accuracy=0.8),
                _row("b", corruption="gaussian_noise", clean_accuracy=0.8, accuracy=0.9),
                _row("a", corruption="defocus_blur", clean_accuracy=0.9, accuracy=0.85),
                _row("b", corruption="defocus_blur", clean_accuracy=0.8, accuracy=0.75),
            ]
        },
        "Of 3 corruptions fog is the hardest and Gaussian noise the easiest: they change the mean "
        "accuracy of the 2 models by -30.0 and 0.0 points.",
    ),
    "one corruption": (
        "corruptions",
        {"corruption_means": [_row("a", corruption="fog", clean_accuracy=0.9, accuracy=0.5)]},
        "Fog changes the accuracy of a by -40.0 points.",
    ),
    "corruptions of equal cost": (
        "corruptions",
        {
            "corruption_means": [
                _row("a", corruption=name, clean_accuracy=0.5, accuracy=0.5)
                for name in ("fog", "snow")
            ]
        },
        "Each of 2 corruptions changes the accuracy of a by 0.0 points.",
    ),
    "confidence": (
        "confidence",
        {
            "calibration": [
                _on(
                    set_,
                    "",
                    model,
                    corruption_severity=severity,
                    mean_confidence=sure,
                    accuracy=0.2,
                )
                for set_, model, severity, sure in (
                    ("clean", "a", None, 0.3),
                    ("clean", "b", None, 0.2),
                    ("sketches", "a", None, 1.0),
                    ("corruptions", "a", 1, 0.1),
                    ("corruptions", "a", 5, 0.3),
                    ("corruptions", "b", 5, 0.3),
                )
            ]
        },
        "1 of 2 models is on average more confident than accurate on unchanged images and both "
        "models at corruption severity 5.",
    ),
    "model size": (
        "model_size",
        {
            "scaling": [
                _on(id, id, "", family_label=family, is_difference=is_difference, slope=slope)
                for id, family, is_difference, slope in (
                    ("clean", "ViT", False, (-0.1, -0.3, 0.1)),
                    ("renditions", "ResNet", False, (-0.301, -0.4, -0.2)),
                    ("clean", "ViT minus ResNet", True, (-0.9, -1.0, -0.8)),
                )
            ]
        },
        "The interval of the slope of error over parameters lies below zero in 1 of 2 lines; the "
        "lowest slope is -0.301 [-0.400, -0.200], of ResNets on renditions.",
    ),
    "data scaling": (
        "data_scaling",
        {
            "crossing_points": [
                _row("", smallest_difference=smallest, largest_difference=largest)
                for smallest, largest in (
                    ((-0.2, -0.3, -0.1), (0.2, 0.1, 0.3)),
                    ((-0.2, -0.3, -0.1), (0.0, -0.1, 0.1)),
                    ((0.1, -0.1, 0.3), (-0.2, -0.3, -0.1)),
                )
            ]
        },
        "Of 3 comparisons of a ViT with the ResNet of matched size, the ViT is ahead in 0 and "
        "behind in 2 with the smallest pre-training set, ahead in 1 and behind in 1 with the "
        "largest; in the others the interval of the difference includes zero.",
    ),
    "data scaling without a doubt": (
        "data_scaling",
        {
            "crossing_points": [
                _row("", smallest_difference=(-0.2, -0.3, -0.1), largest_difference=(0.2, 0.1, 0.3))
            ]
        },
        "In the only comparison of a ViT with the ResNet of matched size, the ViT is ahead in 0 "
        "and behind in 1 with the smallest pre-training set, ahead in 1 and behind in 0 with the "
        "largest.",
    ),
    "effective robustness": (
        "effective_robustness",
        {
            "effective_robustness": [
                _on("corruptions", "Corruptions", "a", effective_robustness=(0.1, 0.05, 0.15)),
                _on("corruptions", "Corruptions", "b", effective_robustness=(-0.1, -0.15, -0.05)),
                _on("renditions", "Renditions", "a", effective_robustness=(0.2, -0.1, 0.5)),
                _on("renditions", "Renditions", "b", effective_robustness=(None, None, None)),
            ]
        },
        "1 of 3 values is above what clean accuracy explains, by intervals that exclude zero, and "
        "1 below; the highest is +20.0 points [-10.0, +50.0], of a on renditions.",
    ),
    "attacks": (
        "attacks",
        {
            "adversarial_accuracy": [
                _row(
                    model,
                    attack=attack.partition(",")[0],
                    attack_label=attack,
                    epsilon=epsilon,
                    epsilon_label=f"{epsilon}/255",
                    is_headline=epsilon == 4,
                    is_final=is_final,
                    accuracy=(value, value - 0.1, value + 0.1),
                )
                for model, attack, epsilon, is_final, value in (
                    ("a", "FGSM", 4, True, 0.5),
                    ("b", "FGSM", 4, True, 0.6),
                    ("a", "Attack ensemble", 4, False, 0.1),
                    ("a", "Attack ensemble", 4, True, 0.3),
                    ("b", "Attack ensemble", 4, True, 0.2),
                    ("a", "FGSM", 8, True, 0.1),
                    # Of another dataset than the clean one, which is harder.
                    ("a", "FGSM, Hard", 4, True, 0.0),
                )
            ]
        },
        "The strongest of 2 attacks, attack ensemble, leaves, at epsilon 4/255, accuracies from "
        "20.0 % [10.0, 30.0] (b) to 30.0 % [20.0, 40.0] (a).",
    ),
    "attacks in L2": (
        "attacks",
        {
            "adversarial_accuracy_l2": [
                _row(
                    "a",
                    attack="attack_ensemble_l2",
                    attack_label="Attack ensemble, L2",
                    l2_epsilon=epsilon,
                    l2_epsilon_label=f"{epsilon:g}",
                    is_final=True,
                    accuracy=(0.5, 0.4, 0.6),
                )
                for epsilon in (0.5, 2.0)
            ]
        },
        "Attack ensemble, L2 leaves, at epsilon 2, an accuracy of 50.0 % [40.0, 60.0] (a).",
    ),
    "transfer": (
        "transfer",
        {
            "transfer_means": [
                {
                    "relation": relation,
                    "source_family": source,
                    "target_family": target,
                    "epsilon": epsilon,
                    "epsilon_label": f"{epsilon}/255",
                    "accuracy_lost": lost,
                    "accuracy_lost_low": lost - 0.01,
                    "accuracy_lost_high": lost + 0.01,
                }
                for relation, source, target, epsilon, lost in (
                    ("itself", "vit", "vit", 8, 0.9),
                    ("same family", "vit", "vit", 8, 0.04),
                    ("other family", "vit", "resnet", 8, -0.02),
                    ("other family", "resnet", "vit", 8, 0.03),
                    ("other family", "resnet", "vit", 4, 0.01),
                )
            ]
        },
        "At epsilon 8/255 adversarial images against a ResNet cost ViTs 3.0 points [2.0, 4.0]; "
        "those against a ViT cost other ViTs 4.0 points [3.0, 5.0] and ResNets -2.0 points "
        "[-3.0, -1.0].",
    ),
    "perturbation patterns": (
        "perturbation_patterns",
        {
            "perturbation_patterns": [
                _row("a", is_own_patch=True, border_ratio=(1.2, 1.1, 1.3)),
                _row("b", is_own_patch=True, border_ratio=(1.1, 0.9, 1.3)),
                _row("resnet", is_own_patch=False, border_ratio=(2.0, 1.9, 2.1)),
            ]
        },
        "On the grid of a ViT's own patches perturbations change more across borders than inside, "
        "by intervals that exclude 1, for 1 of 2 ViTs: the ratio is from 1.10 [0.90, 1.30] (b) to "
        "1.20 [1.10, 1.30] (a).",
    ),
    "spatial": (
        "spatial",
        {
            "spatial_accuracy": [
                _row("a", worst_of_grid=(0.3, 0.2, 0.4), grid_mean=(0.8, 0.7, 0.9)),
                _row("b", worst_of_grid=(0.5, 0.4, 0.6), grid_mean=(0.8, 0.6, 0.9)),
            ]
        },
        "The worst rotation and translation of the grid leaves accuracies from 30.0 % [20.0, 40.0] "
        "(a) to 50.0 % [40.0, 60.0] (b); a random one, an accuracy of 80.0 % [70.0, 90.0] for both "
        "models.",
    ),
    "shape bias": (
        "shape_bias",
        {
            "shape_bias": [
                _row("a", shape_bias=(0.7, 0.6, 0.8)),
                _row("b", shape_bias=(0.4, 0.3, 0.45)),
                _row("c", shape_bias=(0.5, 0.4, 0.6)),
                _row("d", shape_bias=(None, None, None)),
            ]
        },
        "The interval of shape bias lies above one half, for the shape, for 1 of 3 models, and "
        "below, for the texture, for 1 of 3 models: it is from 40.0 % [30.0, 45.0] (b) to 70.0 % "
        "[60.0, 80.0] (a).",
    ),
    "error consistency": (
        "error_consistency",
        {
            "error_consistency_means": [
                {
                    "test_set": test_set,
                    "test_set_label": test_set,
                    "one_family": one,
                    "other_family_name": other,
                    "kappa": kappa,
                    "kappa_low": -0.1,
                    "kappa_high": 0.9,
                }
                for test_set, one, other, kappa in (
                    ("clean", "ViTs", "ViTs", 0.5),
                    ("clean", "ResNets", "ViTs", 0.25),
                    ("renditions", "ViTs", "ViTs", 0.7),
                )
            ]
        },
        "On unchanged images the mean error consistency is 0.50 [-0.10, 0.90] among ViTs and 0.25 "
        "[-0.10, 0.90] between ResNets and ViTs.",
    ),
    "layer correlations": (
        "layer_correlations",
        {
            "correlation_profile": [
                _row(model, measure=measure, measure_label=label, value=value)
                for model, measure, label, value in (
                    ("a", "pearson_all", "Pearson, all tokens", 0.1),
                    ("a", "cka_all", "CKA, all tokens", 0.5),
                    ("a", "cka_all", "CKA, all tokens", 0.7),
                    ("b", "cka_all", "CKA, all tokens", 0.9),
                    ("b", "cka_all", "CKA, all tokens", None),
                )
            ]
        },
        "The mean similarity of a block to the others is from 0.60 (a) to 0.90 (b), by CKA, all "
        "tokens.",
    ),
    "lesions": (
        "lesions",
        {
            "lesions_single": [
                _row("a", part="block", block=0, drop=(0.5, 0.4, 0.6)),
                _row("b", part="block", block=3, drop=(-0.02, -0.04, 0.01)),
                _row("b", part="mlp", block=1, drop=(0.9, 0.8, 1.0)),
            ]
        },
        "The removal of one block costs from -2.0 points [-4.0, 1.0] (block 3 of b) to 50.0 points "
        "[40.0, 60.0] (block 0 of a).",
    ),
    "heads": (
        "lesions",
        {"heads": [_row("a", block=2, head=1, drop=(0.1, 0.0, 0.2))]},
        "The removal of one head costs 10.0 points [0.0, 20.0] (head 1 of block 2 of a).",
    ),
    "restricted attention": (
        "restricted_attention",
        {
            "restricted_attention": [
                _row("a", distance=1, control="window", baseline_accuracy=0.9, accuracy=0.7),
                _row("a", distance=1, control="permuted", baseline_accuracy=0.9, accuracy=0.8),
                _row("a", distance=2, control="window", baseline_accuracy=0.9, accuracy=0.1),
            ]
        },
        "The accuracy of a is 90.0 % with unrestricted attention, 70.0 % with attention within 1 "
        "patch and 80.0 % with equally many pairs at random.",
    ),
    **{
        f"patch attention, {num_blocks} blocks": (
            "restricted_attention",
            {
                "patch_attention": [
                    _row(
                        "a",
                        place=place,
                        num_blocks_restricted=count,
                        baseline_accuracy=0.9,
                        accuracy=value,
                    )
                    for place, count, value in (
                        ("first", 1, 0.8),
                        ("first", 6, 0.4),
                        ("last", 6, 0.4),
                    )
                ],
                "models": [{"model": "a", "num_blocks": num_blocks}],
            },
            "The accuracy of a is 90.0 % with unrestricted attention"
            + words.format("40.0 % with attention to the patch itself and to CLS alone in"),
        )
        for num_blocks, words in (
            (6, " and {0} all blocks."),
            (12, ", {0} the first 6 blocks and {0} the last 6 blocks."),
        )
    },
    "token removal": (
        "token_removal",
        {
            "token_removal": [
                _row(
                    "a",
                    method=method,
                    drop_rate=rate,
                    drop_rate_label=f"{100 * rate:g} %",
                    flops_kept=kept,
                    baseline_accuracy=0.9,
                    accuracy=value,
                )
                for method, rate, kept, value in (
                    ("random", 0.5, 0.6, 0.1),
                    ("random", 0.75, 0.4, 0.6),
                    ("low_attention", 0.75, 0.4, 0.7),
                )
            ]
        },
        "With 75 % of the patches removed and 40.0 % of the FLOPs, the accuracy of a is 60.0 % "
        "with patches removed at random and 70.0 % with patches removed by least attention, "
        "against 90.0 % with all patches.",
    ),
    "weights": (
        "weight_perturbation",
        {
            "weight_noise": [
                _row(
                    "a",
                    noise_scale=scale,
                    noise_scale_label=f"{100 * scale:g} %",
                    baseline_accuracy=0.9,
                    accuracy=value,
                )
                for scale, value in ((0.1, 0.8), (0.2, 0.5))
            ],
            "weight_rounding": [
                _row("a", bits=bits, baseline_accuracy=0.9, accuracy=value)
                for bits, value in ((8, 0.9), (3, 0.6))
            ],
        },
        "The accuracy of a is 90.0 % with unchanged weights, 50.0 % with noise of 20 % on the "
        "weights and 60.0 % with weights rounded to 3 bits.",
    ),
    "training runs": (
        "training_runs",
        {
            "training_runs": [
                {
                    "test_set": label.lower().replace(" ", "_"),
                    "test_set_label": label,
                    "run_deviation": value,
                }
                for label, value in (
                    ("Clean", 0.01),
                    ("Clean", 0.03),
                    ("Clean", 0.02),
                    ("Attack ensemble", 0.04),
                    ("Attack ensemble", 0.05),
                    ("Attack ensemble", 0.0),
                    ("Renditions", None),
                )
            ]
        },
        "The standard deviation between runs of a model is, in the median over 3 models, from 2.0 "
        "points (unchanged images) to 4.0 points (attack ensemble).",
    ),
    "published": (
        "published",
        {
            "paper_comparison": [{"is_within": is_within} for is_within in (True, False, None)],
            "published_comparison": [{"is_within": True}, {"is_within": True}],
        },
        "1 of 2 values agrees with the paper's within reading and sampling; both values agree with "
        "those published by timm within tolerance and sampling.",
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_what_an_experiment_shows(name: str) -> None:
    experiment, tables, said = EXPECTED[name]
    assert _said(experiment, **tables) == said


@pytest.mark.parametrize("name", EXPECTED)
def test_sentences_read_columns_that_tables_have(
    name: str, made: Callable[[str], pa.Table]
) -> None:
    for table, rows in EXPECTED[name][1].items():
        columns = set(made(table).column_names) | set(_row(""))
        assert all(set(row) <= columns for row in rows), table


def test_what_runs_show_where_all_sets_are_alike() -> None:
    row = {"test_set_label": "Ours", "run_deviation": 0.02}
    one, other = {**row, "test_set": "ours"}, {**row, "test_set": "theirs"}
    said = "The standard deviation between runs of a model is 2.0 points"
    assert _said("training_runs", training_runs=[one]) == f"{said} (Ours)."
    assert _said("training_runs", training_runs=[one, other]) == f"{said} on each test set."


def test_every_sentence_is_checked_and_none_is_said_without_numbers() -> None:
    experiments = {id for id, one in registry.experiments().items() if one.shows}
    assert {experiment for experiment, _, _ in EXPECTED.values()} == experiments
    for experiment in experiments:
        assert _said(experiment) == ""


@pytest.mark.parametrize(
    ("count", "whole", "said"),
    [
        (0, 1, "No model is"),
        (1, 1, "The model is"),
        (0, 2, "None of the 2 models is"),
        (1, 2, "1 of 2 models is"),
        (2, 2, "Both models are"),
        (2, 3, "2 of 3 models are"),
        (1200, 1200, "All 1,200 models are"),
    ],
)
def test_parts_of_a_whole(count: int, whole: int, said: str) -> None:
    assert f"{capitalised(part(count, whole, 'models'))} {agreeing(count, 'is', 'are')}" == said


def test_labels_within_a_sentence() -> None:
    labels = ["Fog", "FGSM", "Gaussian noise", "ViTs", "Attack ensemble"]
    assert [within(label) for label in labels] == [
        "fog",
        "FGSM",
        "Gaussian noise",
        "ViTs",
        "attack ensemble",
    ]
    assert phrase("my photos", "My photos") == "My photos"
