"""Merges the options of all experiments into the schema: ``python -m perturb.config.options``.

Each experiment's `options.json` is the schema of its entries under `perturbations` and `analyses`;
`schemas/config.schema.json` contains all of them, for editors.
"""

import json
from typing import Any

from perturb.config.schema import SCHEMA_PATH, schema
from perturb.experiments.registry import FOLDER, experiments
from perturb.files import replacing

_WIDTH = 98


def merged() -> dict[str, Any]:
    """Return the schema with the current options of the experiments.

    Raises
    ------
    ValueError
        if an experiment has a perturbation or measurement without options, or the reverse.
    """
    whole: dict[str, Any] = json.loads(json.dumps(schema()))
    perturbations: dict[str, Any] = {}
    analyses: dict[str, Any] = {}
    for name in experiments():
        options = _options(name)
        perturbations |= options.get("perturbations", {})
        analyses |= options.get("analyses", {})
    whole["$defs"]["perturbations"]["properties"] = perturbations
    whole["properties"]["analyses"]["properties"] = analyses
    return whole


def _options(name: str) -> dict[str, Any]:
    path = FOLDER / name / "options.json"
    options: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    experiment = experiments()[name]
    declared = {
        "perturbations": {item.key or item.id for item in experiment.perturbations},
        "analyses": {item.id for item in experiment.measurements},
    }
    for section, ids in declared.items():
        found = set(options.get(section, {}))
        if found != ids:
            raise ValueError(f"{path}: {section} are {sorted(found)}; declared: {sorted(ids)}")
    return options


def text_of(value: Any, indent: str = "") -> str:
    """Return JSON with every value on one line if it fits into 100 characters."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= _WIDTH or not isinstance(value, dict | list) or not value:
        return line
    inner = indent + "  "
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {text_of(item, inner)}" for key, item in value.items()]
    else:
        items = [text_of(item, inner) for item in value]
    opened, closed = ("{", "}") if isinstance(value, dict) else ("[", "]")
    return f"{opened}\n{inner}" + f",\n{inner}".join(items) + f"\n{indent}{closed}"


if __name__ == "__main__":
    with replacing(SCHEMA_PATH) as temporary:
        temporary.write_text(text_of(merged()) + "\n", encoding="utf-8")
