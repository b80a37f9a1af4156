"""Check of datasets on which experiments compare models: the pixels must be equal for all."""

from collections.abc import Iterator, Sequence

from perturb.messages import listed
from perturb.records import Config


def check_shared_pixels(key: str, ids: Sequence[str], config: Config) -> Iterator[str]:
    """Yield a message unless there is one dataset with the same pixels for all models.

    Parameters
    ----------
    key : of the configuration with the datasets.
    ids : of the datasets.
    """
    if len(ids) > 1:
        yield f"{key}: {listed(ids)}; allowed: one"
    dataset = config.datasets[ids[0]]
    if dataset.role not in ("clean", "extra"):
        yield (
            f"{key}: {ids[0]!r}; allowed: {config.clean_dataset.id}, the clean set, or one "
            "with `role: extra`"
        )
    if not dataset.is_seen_alike:
        yield (
            f"{key.rpartition('.')[0]}: every model must see the same pixels; "
            f"datasets.{dataset.id} needs `preprocessing`"
        )
