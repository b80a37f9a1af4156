"""A configuration without its faulty parts, so that one report names the mistakes of all others.

Each stage of the checks (form, references, paths, entries, the study) names the mistakes of the
entries that it finds and removes these entries, together with references to them. The next stage
checks the rest. `unread` names what was removed: whatever a later stage misses there is no mistake.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from perturb.config.schema import Error, explained, form_errors, present_name
from perturb.config.short_forms import incomplete, written_out
from perturb.config.walk import Key, named
from perturb.messages import ConfigError

# Sections of entries by id.
SECTIONS = (
    *("datasets", "pretraining", "architectures", "models"),
    *("perturbations", "analyses"),
)
# Keys that an entry can do without: a mistake in one hides no other mistake of the entry.
_SPARED = {
    "datasets": ("label", "images", "classes", "published"),
    "pretraining": ("label",),
    "architectures": ("label",),
}


class Draft:
    """A configuration, from which faulty parts are removed.

    raw : what is left.
    ids : the ids of each section that could be read, those of removed entries included.
    mistakes : one line each.
    unread : keys that were removed.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw: dict[str, Any] = deepcopy(dict(raw))
        self.ids: dict[str, list[str]] = {}
        self.mistakes: list[str] = []
        self.unread: set[str] = set()
        self._told: set[str] = set()

    def add(self, messages: Iterable[str]) -> None:
        """Add the mistakes of a stage, without those at keys that an earlier stage has named."""
        lines = [line for message in messages for line in message.splitlines()]
        self.mistakes += [line for line in lines if _key_of(line) not in self._told]
        keys = {_key_of(line) for line in lines}
        lists = {key.rpartition(".")[0] for key in keys if key.rpartition(".")[2].isdigit()}
        self._told |= (keys | lists) - {*SECTIONS}

    def correct_names(self) -> None:
        """Name unknown keys; rename those whose meaning is clear and remove the others."""
        while errors := [one for one in form_errors(self.raw) if _is_unknown_key(one)]:
            self.mistakes += [line for one in errors for line in explained(one).splitlines()]
            for error in errors:
                parent = _at(self.raw, tuple(error.absolute_path))
                if parent is not None:  # not yet removed with an object around it
                    _correct(parent, error)

    def remove_malformed(self) -> None:
        """Name the errors of form and remove the parts that have them."""
        errors = list(form_errors(self.raw))
        self.add(map(explained, errors))
        self.ids = {
            name: list(self.raw[name]) for name in SECTIONS if isinstance(self.raw.get(name), dict)
        }
        for error in errors:
            self._remove_malformed(tuple(error.absolute_path), error)
        numbered = [
            (name, id) for name, ids in self.ids.items() for id in ids if not isinstance(id, str)
        ]
        for key in numbered:  # the check of ids names them
            self.remove(key)
        self.raw |= {name: {} for name in SECTIONS if not isinstance(self.raw.get(name), dict)}

    def write_out(self) -> None:
        """Write out the short forms, and name the entries that lack what nothing else defines."""
        self.refuse(incomplete(self.raw))
        self.raw = written_out(self.raw, self.ids)
        known = self.ids.get("architectures", [])
        made = [id for id in self.raw["architectures"] if id not in known]
        self.ids["architectures"] = [*known, *made]

    def _remove_malformed(self, key: Key, error: Error) -> None:
        required: Any = error.validator_value if error.validator == "required" else ()
        if len(key) == 0 or (len(key) == 1 and key[0] in SECTIONS):
            there = _at(self.raw, key)
            missing = {named((*key, name)) for name in required if name not in there}
            self.unread |= missing or {named(key)}
        else:
            is_spared = len(key) == 3 and key[2] in _SPARED.get(str(key[0]), ())
            self.remove(key if is_spared else _entry(key))

    def refuse(self, faulty: Iterable[tuple[Key, ConfigError]]) -> None:
        """Add the mistakes of a stage and remove the entries that have them."""
        found = list(faulty)
        self.add(str(error) for _, error in found)
        for key, _ in found:
            self.remove(_entry(key))

    def remove(self, key: Key) -> None:
        """Remove a part, if it is still there."""
        self.unread.add(named(key))
        parent = _at(self.raw, key[:-1])
        if isinstance(parent, dict):
            parent.pop(key[-1], None)

    def _remove_reference(self, key: Key) -> None:
        """Remove the entry that refers to another, or only the item if it has a list of them."""
        items = _at(self.raw, key[:-1])
        if isinstance(items, list) and len(items) > 1:
            del items[int(key[-1])]
            self.unread.add(named(key[:-1]))
        else:
            self.remove(_entry(key))

    def remove_dangling(
        self, references: Callable[[Mapping[str, Any]], Iterator[tuple[Key, str, str]]]
    ) -> None:
        """Remove what refers to parts that are not there, until nothing does."""
        while True:
            lost = [
                key
                for key, value, section in references(self.raw)
                if value not in self.raw[section]
            ]
            lost += self._untrained()
            if not lost:
                return
            # From the end, so that the positions of other items stay.
            for key in reversed(lost):
                self._remove_reference(key)

    def _untrained(self) -> list[Key]:
        """Return the models whose training was removed."""
        if "training" not in self.unread:
            return []
        return [
            ("models", id, "weights")
            for id, model in self.raw["models"].items()
            if model["weights"] == "trained" and "training" not in model
        ]


def _key_of(line: str) -> str:
    return line.partition(":")[0]


def _entry(key: Key) -> Key:
    """Return the key of the entry, or of the value at the top, that a key is in."""
    return key[: 2 if key[0] in SECTIONS else 1]


def _is_unknown_key(error: Error) -> bool:
    return error.validator == "additionalProperties" and isinstance(error.instance, dict)


def _correct(parent: Any, error: Error) -> None:
    """Rename the unknown keys of an object, or remove those of unclear meaning."""
    schema: Any = error.schema
    for name in [name for name in parent if name not in schema["properties"]]:
        value, known = parent.pop(name), present_name(name, list(schema["properties"]))
        if known is not None and known not in parent:
            parent[known] = value


def _at(raw: Any, key: Key) -> Any:
    """Return the value at a key, None if it is not there."""
    for name in key:
        try:
            raw = raw[name]
        except (LookupError, TypeError):
            return None
    return raw
