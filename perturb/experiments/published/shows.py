"""What the comparison with published results shows in a run."""

from perturb.experiments.sentences import Tables, agreeing, capitalised, known, part, rows_of

_SOURCES = {"paper_comparison": "the paper's", "published_comparison": "those published by timm"}


def within_reach(found: Tables) -> str:
    """Return how many values agree with the published ones."""
    parts = []
    for table, whose in _SOURCES.items():
        rows = known(rows_of(found, table), "is_within")
        if rows:
            count = sum(row["is_within"] for row in rows)
            what = part(count, len(rows), "values")
            parts.append(
                f"{what} {agreeing(count, 'differs', 'differ')} from {whose} by no more than the "
                "reading and the sampling explain"
            )
    return f"{capitalised('; '.join(parts))}." if parts else ""
