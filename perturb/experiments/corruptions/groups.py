"""The corruptions as a relation: their order, groups, and whether they are the benchmark's."""

import pyarrow as pa

from perturb.experiments.corruptions.names import CORRUPTIONS, EXTRA_GROUP, GROUPS


def corruption_table(*_: object) -> pa.Table:
    """Return corruption, corruption_group, position and is_benchmark, one row per corruption."""
    group_of = {name: group for group, names in GROUPS.items() for name in names}
    return pa.table(
        {
            "corruption": CORRUPTIONS,
            "corruption_group": [group_of[name] for name in CORRUPTIONS],
            "position": range(len(CORRUPTIONS)),
            "is_benchmark": [group_of[name] != EXTRA_GROUP for name in CORRUPTIONS],
        }
    )
