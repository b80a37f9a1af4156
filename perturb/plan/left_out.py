"""What of a study its networks do not have, in sentences for the page and the terminal.

Which cells are planned is decided in `perturb.experiments.possible`; what is not planned is neither
an error nor a gap in the numbers, and has to be said once.
"""

from collections.abc import Iterator

from perturb.config import Config
from perturb.experiments.possible import (
    ON_NETWORKS,
    VIT_ONLY,
    lacking,
    parts_of,
    why_not,
)
from perturb.plan.params import titles
from perturb.records import Architecture
from perturb.severities import severity_value

_NAMES = {
    "lesions": "removed layers",
    "heads": "removed heads",
    "attention_distance": "restricted attention",
    "patch_cls": "patches apart",
    "tokens": "token removal",
    "correlations": "layer correlations",
}
_WITHOUT_PARTS = "removed MLPs and attentions alone"


def left_out(config: Config) -> list[str]:
    """Return a sentence for each reason for which models have no part in something asked.

    That a ResNet has no heads, attention or tokens is what a ResNet is, and is not listed.
    """
    found: dict[str, dict[str, list[str]]] = {}  # studies by model, by reason
    for model in config.benchmark_models:
        for study, reason in _lacks(config, config.models[model].architecture):
            found.setdefault(reason, {}).setdefault(model, []).append(study)
    named = titles([config.models[model] for model in config.benchmark_models])
    sentences = []
    for reason, studies_of in found.items():
        for studies in dict.fromkeys(map(tuple, studies_of.values())):
            alike = [named[model] for model, of_it in studies_of.items() if tuple(of_it) == studies]
            sentences.append(f"{', '.join(studies)}: {'; '.join(alike)} ({reason})")
    return sentences


def _lacks(config: Config, architecture: Architecture) -> Iterator[tuple[str, str]]:
    """Yield what is asked and not planned for a network, with the reason."""
    for id in ON_NETWORKS:
        perturbation = config.perturbations.get(id)
        if perturbation is None or (architecture.family == "resnet" and id in VIT_ONLY):
            continue
        reasons = [
            why_not(perturbation, severity_value(severity), architecture)
            for severity in perturbation.severities
        ]
        if None not in reasons:
            yield _NAMES[id], str(reasons[0])
        elif id == "lesions" and architecture.family == "vit" and len(parts_of(architecture)) == 1:
            yield _WITHOUT_PARTS, "its blocks compute both from one projection"
    reason = lacking("correlations", architecture)
    if config.correlations is not None and reason is not None:
        yield _NAMES["correlations"], reason
