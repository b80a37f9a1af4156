"""What the comparison with published results shows in a run."""

from perturb.experiments.sentences import Tables, agreeing, capitalised, known, part, rows_of

_SOURCES = {
    "paper_comparison": ("the paper's", "reading"),
    "published_comparison": ("those published by timm", "tolerance"),
}


def within_reach(found: Tables) -> str:
    """Return how many values agree with the published ones."""
    parts = []
    for table, (whose, reach) in _SOURCES.items():
        rows = known(rows_of(found, table), "is_within")
        if rows:
            count = sum(row["is_within"] for row in rows)
            agree = f"{part(count, len(rows), 'values')} {agreeing(count, 'agrees', 'agree')}"
            parts.append(f"{agree} with {whose} within {reach} and sampling")
    return f"{capitalised('; '.join(parts))}." if parts else ""
