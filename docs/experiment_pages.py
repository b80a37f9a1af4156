"""Pages of the documentation on the experiments, one each, from their declarations and folders.

A page shows what stands in the experiment's folder and nowhere else: `method.md`, the schema of the
options, the captions, the columns. A new experiment has a page without an edit here.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from perturb.config.schema import schema
from perturb.experiments import registry
from perturb.experiments.captions import chart_caption, table_caption
from perturb.experiments.declaration import Chart, Experiment, Perturbation, Table
from perturb.tables.columns import columns

PAPER = "[the paper](https://arxiv.org/abs/2103.14586)"
REFERENCES = "## References"
_KINDS = {"string": "text", "boolean": "true or false"}
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def write_pages(folder: Path) -> None:
    """Write the page of every experiment; files that did not change keep their time."""
    folder.mkdir(exist_ok=True)
    pages = {f"{name}.md": page(name) for name in registry.experiments()}
    pages["index.md"] = index()
    for old in {file.name for file in folder.glob("*.md")} - pages.keys():
        (folder / old).unlink()
    for name, text in pages.items():
        file = folder / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def index() -> str:
    """Return the page that lists all experiments in their order, in Markdown."""
    experiments = registry.experiments()
    rows = (
        (f"[{experiment.title}]({name}.md)", experiment.figure or "", _summary(name))
        for name, experiment in experiments.items()
    )
    contents = "\n".join(experiments)
    return (
        f"# Experiments\n\n{_table(('experiment', 'figure', 'what it measures'), rows)}\n\n"
        f"```{{toctree}}\n:hidden:\n\n{contents}\n```\n"
    )


def page(name: str) -> str:
    """Return the page of an experiment, in Markdown.

    Raises
    ------
    ValueError
        if its `method.md` has no list of references.
    """
    experiment = registry.experiments()[name]
    method, references = _method(name)
    sections = [
        f"# {experiment.title}",
        f"*{_figure(experiment)} Code, queries and tests: `perturb/experiments/{name}/`.*",
        method.strip(),
        *_changes(experiment),
        *_options(name),
        *_evaluators(experiment),
        *_tables(experiment.tables),
        *_charts(experiment.charts),
        f"{REFERENCES}\n\n{references.strip()}",
    ]
    return "\n\n".join(sections) + "\n"


def _method(name: str) -> tuple[str, str]:
    """Return an experiment's account of what it measures, and its references."""
    file = registry.FOLDER / name / "method.md"
    method, found, references = file.read_text(encoding="utf-8").partition(REFERENCES)
    if not found:
        raise ValueError(f"{file}: must have the heading {REFERENCES!r}")
    return method, references


def _summary(name: str) -> str:
    """Return the first sentence of an experiment's account."""
    first, _, _ = _method(name)[0].partition("\n\n")
    sentence, end, _ = " ".join(first.split()).partition(". ")
    return sentence + "." if end else sentence


def _figure(experiment: Experiment) -> str:
    if experiment.figure is None:
        return f"No figure of {PAPER} corresponds to this experiment."
    return f"Figure {experiment.figure} of {PAPER}."


def _changes(experiment: Experiment) -> Iterator[str]:
    if experiment.perturbations:
        yield "## Perturbations"
        yield _table(
            ("perturbation", "severities", "conditions", "networks", "protocol"),
            map(_change, experiment.perturbations),
        )
    if experiment.measurements:
        yield "## Measurements"
        rows = ((f"`{item.id}`", str(item.protocol)) for item in experiment.measurements)
        yield _table(("measurement", "protocol"), rows)


def _change(item: Perturbation) -> tuple[str, ...]:
    severities = item.severities
    conditions = ", ".join(f"`{condition}`" for condition in item.conditions)
    return (
        f"`{item.id}`",
        f"option `{severities}`" if isinstance(severities, str) else f"{severities:g}",
        conditions or "those of the configuration",
        ", ".join({"vit": "ViT", "resnet": "ResNet"}[family] for family in item.families) or "all",
        str(item.protocol),
    )


def _options(name: str) -> Iterator[str]:
    file = registry.FOLDER / name / "options.json"
    if not file.is_file():
        return
    yield "## Options"
    for section, entries in json.loads(file.read_text(encoding="utf-8")).items():
        for id, entry in entries.items():
            yield f"### `{section}.{id}`\n\n{entry['description']}"
            required = entry.get("required", ())
            rows = (_option(key, value, key in required) for key, value in _own(entry).items())
            yield _table(("option", "allowed", "default", "meaning"), rows)


def _own(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    options: Mapping[str, Any] = entry["properties"]
    return options


def _option(key: str, value: Mapping[str, Any], is_required: bool) -> tuple[str, ...]:
    whole = _resolved(value)
    default = f"`{json.dumps(whole['default'])}`" if "default" in whole else ""
    given = "required" if is_required else default
    return f"`{key}`", _allowed(whole), given, _meaning(key, whole)


def _meaning(key: str, value: Mapping[str, Any]) -> str:
    ids = {"datasets": "Ids of the datasets.", "dataset": "Id of the dataset."}
    return str(ids.get(key) or value.get("description", ""))


def _resolved(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema with the definition that it refers to; its own keys take precedence."""
    definition = value.get("$ref", "").removeprefix("#/$defs/")
    return {**schema()["$defs"][definition], **value} if definition else value


def _allowed(value: Mapping[str, Any]) -> str:
    """Return in words what a schema allows."""
    value = _resolved(value)
    if "enum" in value:
        return ", ".join(f"`{json.dumps(one)}`" for one in value["enum"])
    if "oneOf" in value:
        return " or ".join(_allowed(one) for one in value["oneOf"])
    kinds: list[str] = value["type"] if isinstance(value["type"], list) else [value["type"]]
    if kinds == ["array"]:
        return f"list of: {_allowed(value['items'])}"
    if value.get("pattern", "").startswith("^[0-9]+/"):
        return "fraction"
    kind = " or ".join(_KINDS.get(kind, kind) for kind in kinds)
    bounds = [f"{sign} {value[key]:g}" for key, sign in _BOUNDS.items() if key in value]
    return " ".join([kind, ", ".join(bounds)]).strip()


def _evaluators(experiment: Experiment) -> Iterator[str]:
    paths = [item.evaluator for item in experiment.perturbations if item.evaluator]
    paths += [item.measure for item in experiment.measurements]
    unique = [path.replace(":", ".") for path in dict.fromkeys(paths)]
    if unique:
        yield "## Evaluation"
        functions = "\n".join(f".. autofunction:: {path}\n   :no-index:" for path in unique)
        yield f"```{{eval-rst}}\n{functions}\n```"


def _tables(tables: Iterable[Table]) -> Iterator[str]:
    for number, table in enumerate(tables):
        if number == 0:
            yield "## Tables"
        yield f"### {table.title}\n\n`tables/{table.name}`: {table_caption(table.name)}"
        pivot = (table.pivot.names, table.pivot.values) if table.pivot else ()
        rows = (_column(name) for name in dict.fromkeys((*table.shown, *pivot)))
        yield _table(("column", "label", "unit", "meaning"), rows)


def _column(name: str) -> tuple[str, ...]:
    column = columns()[name]
    return f"`{name}`", column.label, column.unit, column.description


def _charts(charts: Iterable[Chart]) -> Iterator[str]:
    for number, chart in enumerate(charts):
        if number == 0:
            yield "## Charts"
        yield f"### {chart.title}\n\n`charts/{chart.name}`: {chart_caption(chart.name)}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
