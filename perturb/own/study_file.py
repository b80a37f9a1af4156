"""The configuration file that a command line means, written for a reader who keeps and edits it.

An existing file is extended: what its author wrote stays as it is, with its comments.
"""

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from perturb.config.given import read_yaml
from perturb.files import replacing

# Longer than any line that is to stay one.
_WIDTH = 4096
_LINE = 80
_SECTIONS = ("datasets", "models", "perturbations", "analyses")
_COMMENTS = {
    "data": "paths below are relative to it",
    "device": "cpu or cuda",
}
_ABOVE = {
    "datasets": "The images: number and classes are checked when they are listed.",
    "models": "Weights, and what their networks see; `preprocessing` is part of a model.",
    "perturbations": "What is done to images and networks, and on how many images.",
}


def read_study(path: Path) -> CommentedMap:
    """Return the content of a file with its comments, an empty study if there is none.

    Raises
    ------
    ConfigError
        if it cannot be read; it names the file, the line and the key.
    """
    if not path.exists():
        return CommentedMap()
    read_yaml(path)  # its errors are those of every command
    content: CommentedMap = _yaml().load(path.read_text(encoding="utf-8-sig"))
    return content


def extend(study: CommentedMap, given: Mapping[str, Any]) -> list[str]:
    """Add entries to a study, in place; return a line for each entry that changes.

    Entries of another content are replaced; keys at the top are set.
    """
    changes = []
    for key, value in given.items():
        if key not in _SECTIONS:
            if study.get(key) != value:
                study[key] = value
            continue
        section = study.setdefault(key, CommentedMap())
        for id, entry in value.items():
            if id not in section:
                changes.append(f"{key}.{id}: added")
            elif section[id] != entry:
                changes.append(f"{key}.{id}: changed")
            else:
                continue
            section[id] = _formed(entry)
    return changes


def begin(study: CommentedMap, command: str) -> None:
    """Add the comments of a new file."""
    study.yaml_set_start_comment(
        "A study of one's own models. Edit it, and evaluate what has changed with\n"
        "  perturb evaluate\n"
        f"or {command}\n\n"
    )
    for key, text in _COMMENTS.items():
        if key in study:
            study.yaml_add_eol_comment(text, key, column=22)
    for key, text in _ABOVE.items():
        if key in study:
            study.yaml_set_comment_before_after_key(key, before=f"\n{text}")


def text_of(study: CommentedMap) -> str:
    """Return a study as YAML."""
    stream = StringIO()
    _yaml().dump(study, stream)
    return stream.getvalue()


def write_study(path: Path, text: str) -> None:
    """Write a configuration file."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _formed(entry: Mapping[str, Any]) -> CommentedMap:
    """Return an entry of a section: one line for each of its keys, or for a short one in all."""
    formed = CommentedMap((key, _flat(value)) for key, value in entry.items())
    if not any(isinstance(value, Mapping) for value in entry.values()):
        formed.fa.set_flow_style()
    return formed


def _flat(value: Any) -> Any:
    """Return a value on one line, or an object that is too long for it on several."""
    if isinstance(value, Mapping):
        flat = CommentedMap((key, _flat(inner)) for key, inner in value.items())
        if len(str(dict(value))) <= _LINE:
            flat.fa.set_flow_style()
        return flat
    if isinstance(value, list | tuple):
        items = CommentedSeq(map(_flat, value))
        items.fa.set_flow_style()
        return items
    return value


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.preserve_quotes = True
    return yaml
