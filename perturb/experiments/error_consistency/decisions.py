"""Files of people's decisions, in the format of Geirhos et al. (model-vs-human): a row a trial.

A trial names its image by the end of the file's name, and images of several conditions, such as
contrasts, have one name in all of them. So the files of a dataset must be of one condition.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from perturb.messages import listed

#: Person, answer, category of the image, name of the image. Other columns but `condition` are not
#: read.
COLUMNS = ("subj", "object_response", "category", "imagename")
_CONDITION = "condition"
_NOT_GIVEN = ("", "na", "nan")


@dataclass(frozen=True)
class _Trials:
    """What is wrong with a file, and the conditions of its trials."""

    faults: tuple[str, ...] = ()
    conditions: frozenset[str] = frozenset()


def refuse_faulty(files: Sequence[Path]) -> None:
    """Raise a ValueError with all that is wrong with the files of one dataset."""
    if faults := faults_of(files):
        raise ValueError("\n".join(f"decisions: {fault}" for fault in faults))


def faults_of(files: Sequence[Path]) -> list[str]:
    """Return all that is wrong with the files of one dataset, a line each."""
    found = {file: _read(file) for file in files}
    faults = [fault for trials in found.values() for fault in trials.faults]
    conditions = sorted(set().union(*(trials.conditions for trials in found.values())))
    if len(conditions) > 1:
        of_several = [str(file) for file, trials in found.items() if trials.conditions]
        faults.append(
            f"{listed(of_several)}: `condition` is {listed(conditions)}; allowed: one for all "
            "trials, as a dataset has the images of one condition"
        )
    return faults


def _read(file: Path) -> _Trials:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.reader(opened)
            header = [name.strip().lower() for name in next(reader, [])]
            lacked = [name for name in COLUMNS if name not in header]
            if lacked:
                said = f"{file} has no column {listed(lacked)}; needed: {listed(COLUMNS)}"
                return _Trials((said,))
            rows = [(reader.line_num, row) for row in reader if row]
    except UnicodeDecodeError:
        return _Trials((f"{file} is no CSV file in UTF-8",))
    except csv.Error as error:
        return _Trials((f"{file} is no CSV file: {error}",))
    except OSError as error:
        return _Trials((f"{file} cannot be read: {error.strerror}",))
    if not rows:
        return _Trials((f"{file} has no trial, only the names of its columns",))
    for line, row in rows:
        if len(row) != len(header):
            said = f"{file}, line {line}, has {len(row)} values; its header has {len(header)}"
            return _Trials((said,))
    trials = [(line, dict(zip(header, row, strict=True))) for line, row in rows]
    return _Trials(
        tuple(f"{file}{fault}" for fault in _empty(trials)),
        frozenset(_condition(row.get(_CONDITION, "")) for _, row in trials) - {""},
    )


def _empty(trials: Sequence[tuple[int, dict[str, str]]]) -> Iterator[str]:
    """Yield a text for each needed column that is empty in some trial."""
    for name in COLUMNS:
        lines = [line for line, row in trials if not row[name].strip()]
        if lines:
            hint = "na for no answer" if name == "object_response" else "one in every trial"
            yield f", line {lines[0]}: {name} is empty ({len(lines)} in all); needed: {hint}"


def _condition(text: str) -> str:
    """Return a condition in one spelling, empty if it is not given.

    Programs that write tables make 0.0 of 0 where another row of the column is empty.
    """
    text = text.strip()
    if text.lower() in _NOT_GIVEN:
        return ""
    try:
        return f"{float(text):g}"
    except ValueError:
        return text
