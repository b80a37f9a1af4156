"""How often the intervals of the tables hold the truth, and how often those before them did.

Usage: ``python -m benchmarks.coverage [--studies 2000] [--cases]`` (some two minutes of
CPU time). Studies are simulated from known accuracies (`benchmarks.coverage_cases`); the intervals
are the SQL macros of the tables themselves. The least coverage is that of the worst setting of a
kind, a miss the greater part of the studies whose interval lies wholly on one side of the truth. Of
a least coverage of many, chance takes 0.01 to 0.015: one setting's standard error is 0.005 with
2,000 studies.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks import coverage_cases as cases
from perturb.tables.connection import define_functions

_SEED = 0
# The formulas before: normal quantiles, and deviations of what the sample happens to hold.
_BEFORE = """
CREATE MACRO old_half_width(sum_k, sum_k2, n, m) AS
    z95() / m * sqrt(greatest(0, n * sum_k2 - sum_k ** 2) / (n - 1)) / n;
CREATE MACRO old_low(sum_k, sum_k2, n, m) AS CASE WHEN sum_k = n * m THEN wilson_low(n, n)
    ELSE greatest(0, sum_k / (n * m) - old_half_width(sum_k, sum_k2, n, m)) END;
CREATE MACRO old_high(sum_k, sum_k2, n, m) AS CASE WHEN sum_k = 0 THEN wilson_high(0, n)
    ELSE least(1, sum_k / (n * m) + old_half_width(sum_k, sum_k2, n, m)) END;
CREATE MACRO old_ratio_half_width(k, m, kk, km, mm, n) AS
    z95() * sqrt(greatest(0, kk - 2 * (k / m) * km + (k / m) ** 2 * mm) * n / (n - 1)) / m;
"""
_LINE = "contrast_half_width(0, d2, d4, n, reach)"
_WITH_RUNS = (
    "contrast_centre(d, n), "
    "contrast_variance(d, d2, d4, n, reach) + runs, "
    "total_freedom(contrast_variance(d, d2, d4, n, reach) + runs, runs, parts)"
)


@dataclass(frozen=True)
class Kind:
    """Intervals of one kind: how studies are simulated, and both ends before and now, in SQL."""

    label: str
    simulate: Callable[[np.random.Generator, int], Iterator[cases.Case]]
    before: tuple[str, str]
    now: tuple[str, str]


def _around(centre: str, half_width: str) -> tuple[str, str]:
    return f"{centre} - {half_width}", f"{centre} + {half_width}"


def _ends(macro: str, arguments: str) -> tuple[str, str]:
    return f"{macro}_low({arguments})", f"{macro}_high({arguments})"


_OLD_PAIRED = _around("d / n", "nullif(old_half_width(d, d2, n, 1), 0)")
KINDS = (
    Kind(
        "accuracy, several predictions an image",
        cases.clustered,
        _ends("old", "k, k2, n, m"),
        _ends("accuracy", "k, k2, n, m"),
    ),
    Kind(
        "the same, 1 to 9 an image",
        cases.unequal,
        _around("k / m", "old_ratio_half_width(k, m, kk, km, mm, n)"),
        _ends("ratio", "k, m, kk, km, mm, n"),
    ),
    Kind(
        "difference of two models",
        cases.pairs,
        _OLD_PAIRED,
        _ends("contrast", "d, d2, d4, n, reach"),
    ),
    Kind(
        "the same, several predictions an image",
        cases.means,
        _OLD_PAIRED,
        _ends("contrast", "d, d2, d4, n, reach"),
    ),
    Kind(
        "slope of log error",
        cases.slopes,
        _around("estimate", "old_half_width(d, d2, n, 1)"),
        _around("estimate", _LINE),
    ),
    Kind(
        "CE over a measured reference",
        cases.corruption_errors,
        _around("estimate", "z95() * deviation / sqrt(n)"),
        _around("estimate", _LINE),
    ),
    Kind(
        "relative CE over a measured reference",
        cases.relative_errors,
        _around("estimate", "z95() * deviation / sqrt(n)"),
        (
            f"estimate - fieller_stretch(-1, estimate, below, va, cov, vb) * {_LINE}",
            f"estimate + fieller_stretch(1, estimate, below, va, cov, vb) * {_LINE}",
        ),
    ),
    Kind(
        "accuracy over random draws",
        cases.draws,
        _ends("old", "k, k2, n, m"),
        (
            "drawn_low(k / (n * m), accuracy_low(k, k2, n, m), draws, m)",
            "drawn_high(k / (n * m), accuracy_high(k, k2, n, m), draws, m)",
        ),
    ),
    Kind(
        "difference of two models, several runs each",
        cases.runs,
        _OLD_PAIRED,
        _ends("interval", _WITH_RUNS),
    ),
    Kind(
        "mean of values of any size",
        cases.values,
        _around("estimate", "z95() * deviation / sqrt(n)"),
        _around("estimate", "student_quantile(0.975, n - 1) * deviation / sqrt(n)"),
    ),
)


@dataclass(frozen=True)
class Coverage:
    """What one kind of interval does in one setting, as fractions of the studies."""

    setting: str
    covered: float
    missed_low: float  # the whole interval is below the truth
    missed_high: float
    width: float


def measure(
    connection: duckdb.DuckDBPyConnection, case: cases.Case, ends: tuple[str, str]
) -> Coverage:
    """Return how often intervals of this form hold the truth. Without an end there is none."""
    size = max(np.size(column) for column in case.columns.values())
    table = {name: np.broadcast_to(value, size) for name, value in case.columns.items()}
    connection.register("studies", pa.table({k: np.asarray(v, float) for k, v in table.items()}))
    # Ends that only rounding sets apart from the truth hold it.
    [row] = connection.execute(
        f"""
        WITH ends AS (SELECT {ends[0]} AS low, {ends[1]} AS high FROM studies)
        SELECT
            avg(coalesce(low <= $truth + 1e-12 AND high >= $truth - 1e-12, false)::INTEGER),
            avg(coalesce(high < $truth - 1e-12, false)::INTEGER),
            avg(coalesce(low > $truth + 1e-12, false)::INTEGER),
            avg(high - low)
        FROM ends
        """,
        {"truth": case.truth},
    ).fetchall()
    return Coverage(case.setting, *row)


def coverages(kind: Kind, studies: int) -> list[tuple[Coverage, Coverage]]:
    """Return the coverage of both forms of a kind in every setting."""
    random = np.random.default_rng(_SEED)
    with duckdb.connect(config={"threads": 1}) as connection:
        define_functions(connection)
        connection.execute(_BEFORE)
        return [
            (measure(connection, case, kind.before), measure(connection, case, kind.now))
            for case in kind.simulate(random, studies)
        ]


def summary(kind: Kind, found: Sequence[tuple[Coverage, Coverage]]) -> str:
    """Return the row of a kind: settings, and least coverage and largest one-sided miss of both."""
    before, now = zip(*found, strict=True)
    worst = min(now, key=lambda row: row.covered)
    cells = [kind.label, str(len(found))]
    for rows in (before, now):
        cells.append(f"{min(row.covered for row in rows):.3f}")
        cells.append(f"{np.median([row.covered for row in rows]):.3f}")
        cells.append(f"{max(max(row.missed_low, row.missed_high) for row in rows):.3f}")
    return " | ".join(["", *cells, worst.setting, ""]).strip()


def main() -> None:
    """Print the table of docs/intervals.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--cases", action="store_true", help="print every setting too")
    given = parser.parse_args()
    out = sys.stdout
    for kind in KINDS:
        found = coverages(kind, given.studies)
        out.write(summary(kind, found) + "\n")
        if given.cases:
            for before, now in found:
                out.write(f"    {now.setting}: {before} -> {now}\n")
        out.flush()


if __name__ == "__main__":
    main()
