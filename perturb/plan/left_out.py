"""Parts of a study that its networks lack, in sentences for the page and the terminal.

`perturb.experiments.possible` determines the planned cells. A cell that is not planned is neither
an error nor a gap in the numbers, but is reported once.
"""

from collections.abc import Iterator

from perturb.config import Config
from perturb.experiments.possible import lacking, why_not
from perturb.experiments.registry import measurements, perturbations
from perturb.plan.params import titles
from perturb.records import Architecture
from perturb.severities import severity_value


def left_out(config: Config) -> list[str]:
    """Return a sentence for each reason why models are left out of a perturbation or measurement.

    Heads, attention and tokens of ResNets are not listed: no ResNet has them.
    """
    found: dict[str, dict[str, list[str]]] = {}  # studies by model, by reason
    for model in config.benchmark_models:
        for study, reason in _lacks(config, config.models[model].architecture):
            found.setdefault(reason, {}).setdefault(model, []).append(study)
    named = titles(config, [config.models[model] for model in config.benchmark_models])
    sentences = []
    for reason, studies_of in found.items():
        for studies in dict.fromkeys(map(tuple, studies_of.values())):
            alike = [named[model] for model, of_it in studies_of.items() if tuple(of_it) == studies]
            sentences.append(f"{', '.join(studies)}: {'; '.join(alike)} ({reason})")
    return sentences


def _lacks(config: Config, architecture: Architecture) -> Iterator[tuple[str, str]]:
    """Yield each entry that is not planned for a network, with the reason."""
    for id, declared in perturbations().items():
        entry = config.perturbations.get(id)
        is_about = not declared.families or architecture.family != "resnet"
        if declared.changes != "model" or entry is None or not is_about:
            continue
        reasons = [
            why_not(entry, severity_value(severity), architecture) for severity in entry.severities
        ]
        if None not in reasons:
            yield declared.label, str(reasons[0])
        elif declared.partly and (partly := declared.partly(architecture)):
            yield partly
    asked = {"perturbation_patterns": config.patterns, "layer_correlations": config.correlations}
    for id, measurement in measurements().items():
        reason = lacking(id, architecture)
        if asked[id] is not None and reason is not None:
            yield measurement.label, reason
