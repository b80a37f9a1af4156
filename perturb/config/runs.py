"""Models that are trained several times: an entry with `seeds: n` is n models, its runs.

The first run is the model of the entry's own id, and its training and cells are those of a model
that is trained once: more seeds leave its results as they are. Run k has the id of the entry
followed by `.run-k`, and a training seed of its own.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import jsonschema

from perturb.config.schema import default, schema
from perturb.records import Model


def check_seeds(raw: Mapping[str, Any], ids: Collection[str]) -> Iterator[str]:
    """Yield a message for each model that cannot be trained as often as its entry asks.

    Parameters
    ----------
    ids : of all models, those of entries with mistakes included.
    """
    models = raw["models"]
    for id, entry in models.items():
        key = f"models.{id}.seeds"
        if "seeds" in entry and entry["weights"] != "trained":
            yield f"{key}: {entry['seeds']} needs `weights: trained`; other weights have one run"
        elif entry.get("role") == "reference" and entry.get("seeds", 1) > 1:
            yield (
                f"{key}: {entry['seeds']} with `role: reference`; allowed: 1, since the errors of "
                "one network divide others' or choose images"
            )
        else:
            yield from _check_ids(id, _num_runs(raw, entry), ids)
    is_any = any(_num_runs(raw, entry) > 1 for entry in models.values() if "seeds" not in entry)
    has_all = len(models) == len(ids)
    if raw.get("seeds", 1) > 1 and has_all and not is_any:
        yield (
            f"seeds: {raw['seeds']} applies to no model; allowed: 1, unless a model has "
            "`weights: trained`, no `seeds` and is no reference"
        )


def with_runs(models: Mapping[str, Model], raw: Mapping[str, Any]) -> dict[str, Model]:
    """Return the models with every run, those of an entry beside each other."""
    return {
        run.id: run
        for id, model in models.items()
        for run in _runs(model, _num_runs(raw, raw["models"][id]))
    }


def _runs(model: Model, num_runs: int) -> Iterator[Model]:
    yield model
    for run in range(2, num_runs + 1):
        yield replace(model, id=_id_of(model.id, run), run=run)


def _id_of(entry: str, run: int) -> str:
    return f"{entry}.run-{run}"


def _num_runs(raw: Mapping[str, Any], entry: Mapping[str, Any]) -> int:
    """Return how many times a model is trained; a reference once, unless its entry says more."""
    if entry["weights"] != "trained":
        return 1
    usual = 1 if entry.get("role") == "reference" else raw.get("seeds", default("seeds"))
    return int(entry.get("seeds", usual))


def _check_ids(entry: str, num_runs: int, ids: Collection[str]) -> Iterator[str]:
    """Check the ids of the further runs of a model; that of the first one is the entry's."""
    validator = jsonschema.Draft202012Validator(schema()["$defs"]["id"])
    others = {id.lower(): id for id in ids if isinstance(id, str)}
    made = [_id_of(entry, run) for run in range(2, num_runs + 1)]
    for id in made:
        if other := others.get(id.lower()):
            yield (
                f"models.{other}: {entry!r} with `seeds: {num_runs}` has a run of the id {id!r}; "
                "allowed: another id of one of the two"
            )
    # The last run has the longest id.
    if made and not validator.is_valid(made[-1]):
        longest = schema()["$defs"]["id"]["maxLength"] - len(made[-1]) + len(entry)
        yield (
            f"models.{entry}: its runs, such as {made[-1]!r}, have too long an id; allowed with "
            f"`seeds: {num_runs}`: an id of at most {longest} characters"
        )
