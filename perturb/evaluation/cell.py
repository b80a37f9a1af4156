"""A cell: model x dataset x perturbation x severity, the unit of work, of reuse and of counting."""

from dataclasses import dataclass

from perturb.severities import severity_value


@dataclass(frozen=True)
class Cell:
    """One shard of the grid. `severity` is the form used in paths.

    `source` is the model that adversarial images were made against, in transfer attacks alone.
    """

    model: str
    dataset: str
    perturbation: str
    severity: str
    source: str | None = None

    def __str__(self) -> str:
        """Return the name of the cell in logs and messages."""
        parts = [self.model, self.dataset, self.perturbation, self.severity, self.source]
        return " / ".join(part for part in parts if part is not None)

    @property
    def severity_value(self) -> float:
        """The natural value of the severity, as in the shard."""
        return severity_value(self.severity)
