"""The comparison of two models as text for a terminal, and as CSV."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from perturb.config import Config
from perturb.formatting import formatted
from perturb.sharing.comparison import Comparison, Difference
from perturb.sharing.pairs import by_severity
from perturb.tables.write import csv_text

_TEXT_COLUMNS = 4


def described(config: Config, found: Comparison) -> list[str]:
    """Return the comparison for people, line by line."""
    return [
        config.title,
        f"Accuracy (%) of {found.first} and {found.second} on the same images, and the difference "
        "in percentage points with its 95 % interval",
        "",
        *_table(found),
        "",
        *_left_out(found),
        *_chance(found),
        _said(found, "on clean images", found.clean),
        _said(found, _mean(found.mean), found.mean),
    ]


def csv_of(found: Comparison) -> str:
    """Return the rows as CSV: accuracies, differences and their ends as fractions."""
    rows = [
        {
            "dataset": row.dataset,
            "perturbation": row.perturbation,
            "condition": row.condition,
            "severity": row.severity,
            "first_model": found.first,
            "second_model": found.second,
            "num_images": row.difference.num_images,
            "first_predictions": row.difference.first_predictions,
            "second_predictions": row.difference.second_predictions,
            "first_accuracy": row.difference.first,
            "second_accuracy": row.difference.second,
            "difference": row.difference.value,
            "difference_low": row.difference.low,
            "difference_high": row.difference.high,
        }
        for row in found.rows
    ]
    return csv_text(pa.Table.from_pylist(rows, schema=_CSV))


_CSV = pa.schema(
    [
        *(
            (name, pa.string())
            for name in (
                "dataset",
                "perturbation",
                "condition",
                "severity",
                "first_model",
                "second_model",
            )
        ),
        *((name, pa.int64()) for name in ("num_images", "first_predictions", "second_predictions")),
        *(
            (name, pa.float64())
            for name in (
                "first_accuracy",
                "second_accuracy",
                "difference",
                "difference_low",
                "difference_high",
            )
        ),
    ]
)


def _table(found: Comparison) -> list[str]:
    head = ["dataset", "perturbation", "condition", "severity", "images"]
    lines = [[*head, found.first, found.second, "difference", "95 % interval"]]
    for row in found.rows:
        numbers = row.difference
        lines.append(
            [
                *(row.dataset, row.perturbation, row.condition, row.severity),
                formatted(numbers.num_images, "count"),
                formatted(numbers.first, "percent"),
                formatted(numbers.second, "percent"),
                formatted(numbers.value, "points"),
                _interval(numbers),
            ]
        )
    return _aligned(lines)


def _interval(numbers: Difference) -> str:
    return f"[{formatted(numbers.low, 'points')}, {formatted(numbers.high, 'points')}]"


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if place < _TEXT_COLUMNS else text.rjust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _left_out(found: Comparison) -> Iterator[str]:
    """Yield what is not in the rows, and why."""
    for what, lines in (
        ("Missing, no shard yet", by_severity(found.missing)),
        ("Not compared, a shard is not what the study needs", found.faulty),
        ("Of one model alone", by_severity(found.pairs.of_one)),
        ("Conditions of one model alone", found.conditions_of_one),
        ("Not compared, stimuli without a right class", by_severity(found.pairs.without_answer)),
    ):
        named = [f"  {line}" for line in lines]
        if named:
            yield from (f"{what}:", *named, "")


def _chance(found: Comparison) -> Iterator[str]:
    """Yield how many intervals exclude 0, and how many of equal models would."""
    count = len(found.rows)
    if count > 1:
        clear = sum(row.difference.is_clear for row in found.rows)
        yield (
            f"{clear} of {count} intervals exclude 0; of two equal models about {0.05 * count:.2g} "
            "would. Rows of the same images are not independent."
        )


def _mean(numbers: Difference | None) -> str:
    if numbers is None:
        return "in the mean over corruptions"
    count = f"{numbers.first_predictions} corruptions and severities"
    return f"in the mean over {count if numbers.first_predictions > 1 else '1 corruption'}"


def _said(found: Comparison, where: str, numbers: Difference | None) -> str:
    """Return a difference in words."""
    if numbers is None:
        return f"{where.capitalize()}: nothing to compare."
    first, second = found.first, found.second
    of = f"{where}, {formatted(numbers.num_images, 'count')} images"
    accuracies = (
        f"{formatted(numbers.first, 'percent')} % and {formatted(numbers.second, 'percent')} %"
    )
    said = f"{formatted(numbers.value, 'points')} percentage points, 95 % interval "
    said += _interval(numbers)
    if not numbers.is_clear:
        return (
            f"{first} and {second}, {of}: {accuracies}; the difference of {said} may be either way."
        )
    verb = "more" if numbers.value > 0 else "less"
    return f"{first} is {verb} accurate than {second}, {of}: {accuracies}; {said}."
