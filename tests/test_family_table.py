"""The table of families in the documentation is what a walk over small networks finds."""

import pytest

from perturb.models.timm_table import geometry
from tests.family_walk import COLUMNS, FAMILIES, Family, finding, in_document, table


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_what_is_planned_for_a_family_works_and_what_is_not_is_refused(family: Family) -> None:
    found = {id: finding(family, id) for id in COLUMNS}
    assert found["fgsm"] == "yes"
    blocks = {found["lesions"] == "yes", found["layer_correlations"] == "yes"}
    if geometry(family.name).kind != "other":
        assert blocks == {True}


def test_the_committed_table_is_what_the_walk_finds() -> None:
    assert in_document() == table(), "python -m tests.family_walk writes it"
