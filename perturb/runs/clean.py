"""Which models are no better than chance on clean images, while a run goes on and after it."""

from pathlib import Path

from perturb.config import Config
from perturb.evaluate.cell import Cell
from perturb.plan.paths import Paths


class ChanceWarnings:
    """Looks at shards of clean images as they come, at each once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._layout, self._clean = Paths(config.results), config.clean_dataset.id
        self._seen: dict[str, tuple[int, list[str]]] = {}

    def found(self) -> list[str]:
        """Return a sentence for each model that is no better than chance, as far as is known."""
        # Imported late: it takes a while, and no run fails where only Snakemake's packages are.
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
            except (OSError, ValueError):  # not there, or not whole: `check_shards` names it
                self._seen.pop(model, None)
        return [warning for _, warnings in self._seen.values() for warning in warnings]
