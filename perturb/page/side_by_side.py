"""The models side by side: what the interactive parts of the page show.

These are the leaderboard, the choice of a model, the comparison of two, the page of one, and the
gallery. A study without the tables or pictures of some has the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from perturb.experiments import registry
from perturb.page.examples import Examples, read_examples
from perturb.page.model_charts import choosing_chart, difference_chart
from perturb.page.model_columns import board_data, conditions_data, pairs_data


@dataclass(frozen=True)
class SideBySide:
    """Data of the interactive parts; None and empty without its table.

    names : of datasets and experiments, by id.
    """

    names: Mapping[str, Mapping[str, str]]
    board: Mapping[str, Any] | None = None
    pairs: Mapping[str, Any] | None = None
    conditions: Mapping[str, Any] | None = None
    charts: Mapping[str, Any] = field(default_factory=dict)
    examples: Examples = field(default_factory=Examples)

    @property
    def parts(self) -> dict[str, bool]:
        """Return which data the parts of the page need, and whether there are any."""
        return {
            "board": self.board is not None,
            "pairs": bool(self.board and self.pairs and self.pairs["a"]),
            "gallery": self.examples.gallery is not None,
        }


def side_by_side(
    found: Mapping[str, pa.Table],
    examples: Mapping[str, Path] | None,
    datasets: Mapping[str, str],
) -> SideBySide:
    """Return what the interactive parts of the page show.

    Parameters
    ----------
    found : the tables of the study; those needed here are `models`, `leaderboard`, `model_pairs`
        and `model_conditions`.
    examples : the files of the gallery and of the images on which models differ, by name.
    datasets : their labels.
    """
    titles = {id: experiment.title for id, experiment in registry.experiments().items()}
    names = {"datasets": datasets, "experiments": titles}
    pictures = read_examples(examples)
    if "leaderboard" not in found or not found["leaderboard"].num_rows:
        return SideBySide(names, examples=pictures)
    board = board_data(found["leaderboard"], found["models"])
    ids = [model["id"] for model in board["models"]]
    pairs, conditions = found.get("model_pairs"), found.get("model_conditions")
    return SideBySide(
        names,
        board=board,
        pairs=None if pairs is None else pairs_data(pairs, board),
        conditions=None if conditions is None else conditions_data(conditions, ids),
        charts={"choosing": choosing_chart(board["models"]), "differences": difference_chart()},
        examples=pictures,
    )
