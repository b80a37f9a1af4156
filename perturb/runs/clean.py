"""Models that are no better than chance on clean images, during a run and after it."""

from pathlib import Path

from perturb.config import Config
from perturb.evaluation.cell import Cell
from perturb.plan.paths import Paths


class ChanceWarnings:
    """Reads each new shard of clean images once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._layout, self._clean = Paths(config.results), config.clean_dataset.id
        self._seen: dict[str, tuple[int, list[str]]] = {}

    def found(self) -> list[str]:
        """Return a sentence for each model that is no better than chance so far."""
        # Imported late: the import is slow, and a run must not fail if only Snakemake is installed.
        try:
            from perturb.plan.clean_chance import chance_warnings
        except ImportError:
            return []
        for model in self._config.models:
            path = Path(self._layout.shard(Cell(model, self._clean, "none", "0")))
            try:
                changed = path.stat().st_mtime_ns
                if changed != self._seen.get(model, (None,))[0]:
                    self._seen[model] = changed, chance_warnings(self._config, [model])
            except (OSError, ValueError):  # missing or incomplete: `check_shards` names it
                self._seen.pop(model, None)
        return [warning for _, warnings in self._seen.values() for warning in warnings]
