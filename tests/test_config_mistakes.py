"""Every mistake in a configuration is named, with the key, the value and what is allowed."""

import copy
import re
from typing import Any

import pytest
import yaml

from perturb.config import ConfigError, load_config
from tests.tiny_study import TINY_STUDY
from tests.workspace import ROOT

# A file of weights for a model: of the tiny study, and for one more of the study on ImageNet.
GIVEN = f"models.a.weights: {{file: w.pt, sha256: '{'0' * 64}'}}\n"
MINE = "models.mine: {architecture: vit-b16, pretraining: web}\n"
FILE = f"{MINE}models.mine.weights: {{file: x, sha256: '{'0' * 64}'}}\n"
OTHER = f"{FILE}models.mine.architecture: mine\nmodels.mine.preprocessing: {{side: 224}}\n"
SQUASHED = f"{MINE}models.mine.weights: {{timm: vit_base_patch16_clip_384.openai_ft_in12k_in1k}}\n"
DIGITS = " is not allowed. SHA-256 of a file: 64 hexadecimal digits are expected"

# Changes of the tiny study, as `changed` takes them, and what is said of each, with gaps.
MISTAKES: dict[str, str] = {
    "sede: 1": "unknown key `sede` ... Did you mean `seed`",
    "perturbations.corruptions.severity: [1]": (
        "perturbations.corruptions: unknown key `severity` ... Did you mean `severities`"
    ),
    "perturbations.blur: {}": "unknown key `blur`",
    "perturbations.corruptions.severities: [1, 6]": (
        "perturbations.corruptions.severities.1: 6 ... 1, 2, 3, 4, 5"
    ),
    "perturbations.pgd: {datasets: [test], epsilons: [-0.1]}": (
        "perturbations.pgd.epsilons.0: -0.1 is not allowed ... such as 4/255"
    ),
    "perturbations.pgd: {datasets: [test], epsilons: ['4']}": (
        "perturbations.pgd.epsilons.0: '4' is not allowed"
    ),
    "perturbations.pgd: {datasets: [test], epsilons: [1/255, 2/510]}": (
        "perturbations.pgd.epsilons: 1/255 and 2/510 are the same"
    ),
    "perturbations.fgsm: {datasets: [test], epsilons: [4/255]}": (
        "epsilon: 1/255 is not among perturbations.fgsm.epsilons (4/255)"
    ),
    "perturbations.attack_ensemble_l2: {}": (
        "perturbations.attack_ensemble_l2.epsilons: missing; an L2 length such as 0.5"
    ),
    "perturbations.spatial: {datasets: [second]}": (
        "perturbations.spatial.datasets: second; allowed: test"
    ),
    "perturbations.pgd: {datasets: [test, second]}": (
        "perturbations.pgd.datasets: 'second' must also be under perturbations.none.datasets"
    ),
    "perturbations.transfer: {images: 24}": "perturbations.transfer: needs perturbations.pgd",
    "perturbations.pgd: {datasets: [test], epsilons: [1/255, 300/255]}": (
        "perturbations.pgd.epsilons: 300/255"
    ),
    "perturbations.patch_attention: {datasets: [test], blocks: [1, 9]}": (
        "perturbations.patch_attention: no model of this study can be changed at severity 9"
    ),
    "{models.a: ~, perturbations.heads: {datasets: [test], images: 4}}": (
        "perturbations.heads: no model of this study"
    ),
    "{models.a: ~, analyses: {perturbation_patterns: {dataset: test, images: 4}}}": (
        "analyses.perturbation_patterns: needs a model with patches"
    ),
    "analyses: {perturbation_patterns: {dataset: fit, images: 4}}": (
        "analyses.perturbation_patterns.dataset: 'fit'; allowed: test"
    ),
    "analyses: {perturbation_patterns: {dataset: test, images: 4, epsilon: 0}}": (
        "analyses.perturbation_patterns.epsilon: 0 changes nothing"
    ),
    "analyses: {layer_correlations: {dataset: test, images: 3}}": (
        "analyses.layer_correlations.images: 3; allowed: 4 or more"
    ),
    "architectures.vit.arguments.depth: ~": (
        "architectures.vit.arguments.depth: None is not allowed; int is needed"
    ),
    "architectures.vit.arguments.dept: 1": (
        "architectures.vit.arguments: unknown argument `dept` ... Did you mean `depth`"
    ),
    "perturbations.pgd: {datasets: [test], epsilons: [1/255], restarts: 2}": (
        "perturbations.pgd.restarts ... random_start"
    ),
    "perturbations.spatial: {datasets: [test], rotations: 30}": (
        "perturbations.spatial.rotations: 30 is even"
    ),
    "perturbations.corruptions.images: 0": "perturbations.corruptions.images: 0 is less than",
    "perturbations.corruptions.images: 25": (
        "perturbations.corruptions.images: 25 is more than the 24 of 'test'"
    ),
    "analyses: {perturbation_patterns: {dataset: test, images: 4, models: [aa]}}": (
        "analyses.perturbation_patterns.models.0: there is no entry 'aa'"
    ),
    "analyses: {perturbation_patterns: {dataset: test, images: 4, models: [reference]}}": (
        "analyses.perturbation_patterns.models: 'reference' is the reference"
    ),
    "datasets.test.class_map: map.json": "datasets.test.class_map: not allowed on the clean set",
    "perturbations.corruptions.corruptions: [brightnes]": (
        "corruptions.corruptions.0: 'brightnes' ... Did you mean `brightness`"
    ),
    "models.a.weights: ~": "models.a: missing `weights`",
    "models.a.weights: downloaded": "models.a.weights: 'downloaded' ... a file with its SHA-256",
    "models.a.architecture: ~": (
        "models.a.architecture: missing; an entry of `architectures`, or a name in timm"
    ),
    "{architectures.vit.family: ~, architectures.vit.size: ~}": (
        "architectures.vit.family: missing ... architectures.vit.size: missing"
    ),
    "models.a.architecture: resnet_18": (
        "models.a.architecture ... allowed: vit, resnet, a name in timm. Did you mean `resnet18`?"
    ),
    "models.a.architecture: vitt": (
        "models.a.architecture: there is no entry 'vitt' ... vit, resnet ... Did you mean `vit`"
    ),
    "models: {../a: {architecture: vit, weights: trained}}": "models: the id '../a' ... letters",
    "models.a b: {architecture: vit, pretraining: small, weights: trained}": (
        "models: the id 'a b'"
    ),
    "models.None: {architecture: vit, pretraining: small, weights: trained}": (
        "the id 'None' is reserved"
    ),
    "models.A: {architecture: vit, pretraining: small, weights: trained}": (
        "'a' and 'A' differ only in case"
    ),
    "perturbations.none.datasets: [tset]": (
        "perturbations.none.datasets.0: there is no entry 'tset' ... Did you mean `test`"
    ),
    "perturbations.none.datasets: [test, fit]": "'fit' has `role: train`",
    "{perturbations.none.datasets: [second], perturbations.corruptions: ~}": (
        "perturbations.none.datasets: 'test', the clean set, is missing"
    ),
    "datasets.test.role: extra": "exactly one ... clean",
    "datasets.test.filter: {dataset: fit, wrong_by: a}": (
        "datasets.test: exactly one of generate, filter"
    ),
    "datasets.test.images: ~": "datasets.test.images: missing; needed with `generate`",
    "datasets.fit.generate.set: upstream": "datasets.fit.generate.classes: needed",
    "architectures.vit.patch_size: ~": "architectures.vit.patch_size: missing",
    "architectures.resnet.patch_size: 4": "architectures.resnet.patch_size: 4 is not allowed",
    "pretraining.small.samples: ~": "pretraining.small.samples: missing",
    "{models.reference: ~, perturbations.corruptions.denominators: reference}": (
        "corruptions.denominators: 'reference' needs a model with `role: reference`"
    ),
    "datasets.art: {generate: {set: renditions, split: test}, images: 10, role: renditions}\n"
    "datasets.more: {generate: {set: renditions, split: test}, images: 9, role: renditions}\n"
    "perturbations.none.datasets: [test, art, more]": (
        "perturbations.none.datasets: art, more all have `role: renditions`; allowed: one"
    ),
    "perturbations.spatial: {datasets: [test], scales: [0.5, 1]}": (
        "perturbations.spatial.scales: 0.5, 1; allowed: one"
    ),
    "perturbations.stored_corruptions: {datasets: [test], severities: [1]}": (
        "perturbations: `corruptions` and `stored_corruptions` exclude each other"
    ),
    "perturbations.transfer: {datasets: [test, second], images: 4, epsilons: [1/255]}": (
        "perturbations.transfer.datasets: test, second; allowed: one"
    ),
    "datasets.second.label: test": "datasets.second.label: 'test' is also the label of 'test'",
    "pretraining.more: {images: 48, label: small}": (
        "pretraining.more.label: 'small' is also the label of 'small'"
    ),
    "datasets.pgd: {generate: {set: renditions, split: test}, images: 10}": (
        "datasets.pgd: the id is also that of a test set or a perturbation ... any but "
        "attack_ensemble"
    ),
    "datasets.test: ~\n"
    "datasets.pgd: {role: clean, generate: {set: target, split: test}, images: 24}\n"
    "perturbations.none.datasets: [pgd]\n"
    "perturbations.corruptions.datasets: [pgd]": "datasets.pgd: the id is also that of a test set",
    "datasets.second.label: Clean": (
        "datasets.second.label: 'Clean' is also the label of another test set ... any but Clean"
    ),
    # Several may have it now, if they filter datasets. Here the name decides which one divides.
    "models.a.role: reference": (
        "models.a.role: 'reference', but it filters no dataset; allowed without: one, the "
        "denominator of mCE, here 'reference'"
    ),
    "models.a.role: reference\nperturbations.corruptions.denominators: a": (
        "models.reference.role: 'reference', but it filters no dataset ... here 'a'"
    ),
    "models.reference: ~\nmodels.a.role: reference\nmodels.b.role: reference": (
        "corruptions.denominators: 'reference', but there are several; allowed: one of a, b"
    ),
    "perturbations.corruptions.denominators: b": (
        "corruptions.denominators: 'b' is not one of alexnet, none, reference"
    ),
    "perturbations.corruptions.denominators: alexnett": "Did you mean `alexnet`?",
    "datasets.test.decisions: [a.csv]\ndatasets.second.decisions: [b.csv]": (
        "datasets: several have `decisions`: test, second; allowed: one"
    ),
    "datasets.second.decisions: [b.csv]": (
        "datasets.second.decisions: 'second' is not among perturbations.none.datasets"
    ),
    "datasets.test.decisions: ['subject-*.csv']": (
        "datasets.test.decisions.0: ... none of { } < > * ? [ ] can be in its path"
    ),
    "datasets.hard: {filter: {dataset: second, wrong_by: [a, other]}}": (
        "datasets.hard.filter.wrong_by.1: there is no entry 'other' under `models`"
    ),
    "datasets.hard: {filter: {dataset: second, wrong_by: []}}": (
        "datasets.hard.filter.wrong_by: [] is not allowed. Id of a model, or a list of ids"
    ),
    "datasets.hard: {filter: {dataset: second, wrong_by: [a, a]}}": (
        "datasets.hard.filter.wrong_by: ['a', 'a'] is not allowed. Id of a model, or a list of ids"
    ),
    "seed: many": "seed: 'many' is not of type integer",
    "results: ../out{x}<y>*": "results: '../out{x}<y>*': { } < > * cannot be in its path",
    "results: ./": "results: './'; allowed: a folder of",
    "{datasets: ~, pretraining: ~, training: ~, architectures: ~, models: ~, perturbations: ~}": (
        "missing `datasets`"
    ),
    "models.a.weights: {file: w.pt, sha256: 0123...}": (
        f"models.a.weights.sha256: '0123...'{DIGITS}"
    ),
    "models.a.weights: {file: w.pt}": "models.a.weights: missing `sha256`",
    "models.a.weights: {file: w.pt, sha265: 0123}": (
        "models.a.weights: unknown key `sha265` ... Did you mean `sha256`?"
    ),
    "models.a.weights: {url: 'https://x'}": "a file with its SHA-256, timm by its full tag, or",
    "datasets.more: {source: {path: x, layout: class_folders, download: x, sha256: abc}}": (
        "datasets.more.source.sha256: 'abc' is not allowed. ... 64 hexadecimal digits"
    ),
    "datasets.more: {source: {path: x, layout: class_folders, download: x}}\n"
    "datasets.more.source.sha256: {x.tar: abc}": (
        f"datasets.more.source.sha256.x.tar: 'abc'{DIGITS}"
    ),
    "datasets.more: {source: {path: x, layout: class_folders}, preprocessing: {side: 4}}": (
        "datasets.more.preprocessing.side: 4 is less than the minimum of 8"
    ),
    "datasets.more: {source: {path: x, layout: class_folders}, preprocessing: {sides: 64}}": (
        "datasets.more.preprocessing: unknown key `sides` ... Did you mean `side`?\n"
        "datasets.more.preprocessing: missing `side`"
    ),
    "{architectures.vit.arguments: ~, architectures.vit.timm: vit_tiny_patch16_242}": (
        "architectures.vit.timm: 'vit_tiny_patch16_242' is no ... Did you mean `vit_tiny_patch16_"
    ),
    "models.a.weights: {timm: vit_base_patch16_384.orig_in21k_ft_in1}": (
        "models.a.weights.timm: 'vit_base ... Did you mean `vit_base_patch16_384.orig_in21k_ft_"
    ),
    "architectures.vit.arguments: ~": (
        "architectures.vit: one of `arguments` and `timm`, the name of"
    ),
    "{perturbations.corruptions.jpeg: true, perturbations.corruptions.images: 500}": (
        "perturbations.corruptions.images: 500 is more than the 24"
    ),
    GIVEN + "models.a.preprocessing: {side: 32, mode: squash, mean: [127.5, 127.5, 127.5]}": (
        "models.a.preprocessing.mean.0: 127.5 is greater ... in units of [0, 1]; divide "
        "gray levels by 255"
    ),
    GIVEN + "models.a.preprocessing: {side: 32, mode: squash, std: [0.5, 0.5, '58.395']}": (
        "models.a.preprocessing.std.2: 58.395 is greater ... in units of [0, 1]; divide "
        "gray levels by 255"
    ),
    GIVEN + "models.a.preprocessing: {side: 32, mode: squash, std: [0, 0.5, 0.5]}": (
        "models.a.preprocessing.std.0: 0 is less than or equal to ... in units of [0, 1]"
    ),
    GIVEN + "models.a.preprocessing: {side: 32, mode: squash, mean: [-0.5, 0.5, 0.5]}": (
        "models.a.preprocessing.mean.0: -0.5 is less than ... in units of [0, 1]"
    ),
    GIVEN + "models.a.preprocessing: {side: 32, mode: squash, mean: [.nan, 0.5, 0.5]}": (
        "models.a.preprocessing.mean.0: nan is not of type number"
    ),
    GIVEN + "models.a.preprocessing: {side: 32, mode: crop, crop: 87.5}": (
        "models.a.preprocessing.crop: 87.5 is greater ... 0.875 for 87.5 %"
    ),
    GIVEN + "models.a.preprocessing: {side: 32, mode: squash, interpolation: nearest}": (
        "models.a.preprocessing.interpolation: 'nearest' is not one of bilinear, bicubic"
    ),
    GIVEN + "models.a.preprocessing: {side: 1000000.0, mode: squash}": (
        "models.a.preprocessing.side: 1000000 is greater ... [px]"
    ),
    "epsilon: 4": (
        "epsilon: 4 is not allowed ... in units of [0, 1]: a number or a fraction such as 4/255"
    ),
    "epsilon: .nan": "epsilon: nan ... in units of [0, 1]",
    "epsilon: 300/255": "epsilon: 300/255 > 1",
    "epsilon: 300/255\nperturbations.pgd: {}": "epsilon: 300/255 > 1",
    "analyses: {perturbation_patterns: {dataset: test, images: 4, epsilon: 9/8}}": (
        "analyses.perturbation_patterns.epsilon: more than 1"
    ),
    "perturbations.spatial: {datasets: [test], max_translation: 24}": (
        "perturbations.spatial.max_translation: 24 is greater ... fraction of the image's side"
    ),
    "cells_per_job: {datasets: [test]}": (
        "unknown key `cells_per_job` ... It is called `jobs_by` now"
    ),
    "perturbations.attention_distance: {datasets: [test]}": (
        "unknown key `attention_distance` ... It is called `restricted_attention` now"
    ),
    "perturbations.patch_cls: {datasets: [test]}": (
        "unknown key `patch_cls` ... It is called `patch_attention` now"
    ),
    "perturbations.ensemble: {datasets: [test]}": (
        "unknown key `ensemble` ... It is called `attack_ensemble` now"
    ),
    "perturbations.tokens: {datasets: [test]}": (
        "unknown key `tokens` ... It is called `token_removal` now"
    ),
    "analyses: {patterns: {datasets: [test]}}": (
        "unknown key `patterns` ... It is called `perturbation_patterns` now"
    ),
    "analyses: {correlations: {datasets: [test]}}": (
        "unknown key `correlations` ... It is called `layer_correlations` now"
    ),
    "datasets.test.role: other": "'other' is not one of ... It is called `extra` now",
    "perturbations.pgd: {datasets: [test], epsilons: [8/255, 0.03137254901960784]}": (
        "perturbations.pgd.epsilons: 8/255 and 0.03137254901960784 are the same"
    ),
    "architectures.vit.patch_size: 5": (
        "architectures.vit.patch_size: 5; allowed: a divisor of 32, the side of datasets.fit"
    ),
    "datasets.hard: {filter: {dataset: second, wrong_by: a}}\n"
    "perturbations.none.datasets: [test, hard]\n"
    "analyses: {perturbation_patterns: {dataset: hard, images: 11}}": (
        "analyses.perturbation_patterns.images: 11 is more than the 10 of 'hard'"
    ),
}
# The same of the study on ImageNet.
ON_IMAGENET: dict[str, str] = {
    MINE + "models.mine.weights: {timm: vit_base_patch16_384}": (
        "models.mine.weights.timm: ... augreg_in21k_ft_in1k"
    ),
    MINE + "models.mine.weights: {timm: vit_base_patch16_384.orig}": (
        "vit_base_patch16_384.orig_in21k_ft_in1k"
    ),
    MINE + "models.mine.weights: {timm: vit_base_patch32_384.augreg_in1k}": (
        "models.mine: patch_size is 16, but 'vit_base_patch32_384' has 32"
    ),
    MINE + "models.mine.weights: {timm: resnetv2_50x1_bit.goog_in21k_ft_in1k}": (
        "models.mine: 'resnetv2_50x1_bit' is no network of the family 'vit'"
    ),
    FILE: "models.mine.preprocessing.side: missing",
    FILE + "models.mine.preprocessing: {side: 384, mode: squash, crop: 0.9}": (
        "models.mine.preprocessing.crop: not allowed"
    ),
    MINE + "models.mine.weights: trained": "models.mine.weights: `trained`",
    "architectures.vit-b16.timm: vit_bass_patch16_384": (
        "architectures.vit-b16.timm: ... vit_bass_patch16_384"
    ),
    "datasets.imagenet.bundled: {set: digits, split: test}": "datasets.imagenet: exactly one of",
    "datasets.imagenet.source.labels: x.txt": "datasets.imagenet.source.labels: only with",
    "datasets.imagenet.source.layout: labelled_files": "datasets.imagenet.source.labels: missing",
    "datasets.imagenet-c.role: extra": "datasets.imagenet-c: `role: corrupted`",
    "datasets.imagenet-c.preprocessing: ~": "datasets.imagenet-c.preprocessing: missing",
    "datasets.imagenet.classes: 1001": "datasets.imagenet.classes: 1001, but",
    "datasets.imagenet-224.published: imagenet": "datasets: several are 'imagenet' by `published`",
    "datasets.imagenet-sketch.classes: 999\n"
    "datasets.imagenet-sketch.source.path: x\n"
    "datasets.imagenet-sketch.source.class_index: ~": (
        "datasets.imagenet-sketch: the mapping of its classes to the 1000 classes"
    ),
    "datasets.shapes: {generate: {set: target, split: test}, images: 12}": (
        "datasets.shapes: the mapping of its classes to the 1000 classes"
    ),
    "datasets.hard: {filter: {dataset: cue-conflict, wrong_by: vit-b16-1k}}": (
        "datasets.hard.filter.dataset: 'cue-conflict' has parts, coarser classes"
    ),
    "datasets.hard: {filter: {dataset: imagenet-224, wrong_by: vit-l16-1k}}": (
        "datasets.hard.filter.wrong_by: 'vit-l16-1k' has `weights: absent`"
    ),
    "analyses.perturbation_patterns.models: [vit-b16-jft]": (
        "analyses.perturbation_patterns.models: 'vit-b16-jft' has `weights: absent`"
    ),
    FILE + "models.mine.preprocessing: {side: 100}": (
        "models.mine.preprocessing.side: 100 is no multiple of the patch size, 16"
    ),
    "datasets.imagenet-c: ~\n"
    "perturbations.stored_corruptions: ~\n"
    "perturbations.corruptions: {datasets: [imagenet], denominators: alexnet, jpeg: true}\n"
    "perturbations.corruptions.severities: [1, 2, 3, 4, 5]": (
        "perturbations.corruptions.denominators: alexnet needs `jpeg`"
    ),
    "datasets.imagenet-224.preprocessing.mode: squash": (
        "datasets.imagenet-224.preprocessing.crop: not allowed"
    ),
    "perturbations.stored_corruptions.datasets: [imagenet]": (
        "perturbations.stored_corruptions.datasets: 'imagenet' has the role clean"
    ),
    "perturbations.transfer.datasets: [imagenet]": (
        "perturbations.transfer: every model must see the same pixels"
    ),
    "perturbations.class_subset.datasets: [imagenet-v2]": (
        "datasets.imagenet-v2.source.class_index: 'numbers'"
    ),
    SQUASHED + "models.mine.preprocessing: {crop: 0.9}": (
        "models.mine.preprocessing.crop: not allowed with"
    ),
    SQUASHED + "models.mine.preprocessing: {mode: squash, crop: 0.9}": (
        "models.mine.preprocessing.crop: not allowed with"
    ),
    OTHER + "architectures.mine: {family: other, size: T, timm: convnext_tiny, patch_size: 4}": (
        "architectures.mine.patch_size: 4 is not allowed; only with family: vit"
    ),
    OTHER + "architectures.mine: {family: other, size: T, arguments: {layers: [1]}}": (
        "architectures.mine.timm: missing; networks of `family: other` are given by their name"
    ),
    OTHER + "architectures.mine: {family: other, size: T}\n"
    "models.mine.preprocessing.mode: squash": (
        "architectures.mine.timm: missing; networks of `family: other`"
    ),
}
IMAGENET = yaml.safe_load((ROOT / "config" / "imagenet.yaml").read_text())


def changed(study: dict[str, Any], *changes: str) -> dict[str, Any]:
    """Return a changed copy of a study.

    changes : in YAML, values by dotted keys; without a value (``~``) a key is removed.
    """
    raw = copy.deepcopy(study)
    for change in changes:
        for key, value in yaml.safe_load(change).items():
            *place, name = key.split(".")
            inner = raw
            for each in place:
                inner = inner[each]
            inner[name] = value
            if value is None:
                del inner[name]
    return raw


def refusal(raw: dict[str, Any], **options: Any) -> str:
    """Return what is said of a configuration that is refused."""
    with pytest.raises(ConfigError) as caught:
        load_config(raw, **options)
    return str(caught.value)


@pytest.mark.parametrize("study", [TINY_STUDY, IMAGENET], ids=["tiny", "imagenet"])
def test_the_studies_are_valid_before_a_change(study: dict[str, Any]) -> None:
    load_config(study)


@pytest.mark.parametrize(
    ("study", "change", "expected"),
    [
        *((TINY_STUDY, *mistake) for mistake in MISTAKES.items()),
        *((IMAGENET, *mistake) for mistake in ON_IMAGENET.items()),
    ],
)
def test_mistake_is_named(study: dict[str, Any], change: str, expected: str) -> None:
    pattern = re.escape(expected).replace(r"\ \.\.\.\ ", "(?s:.*)")
    assert re.search(pattern, refusal(changed(study, change)))
