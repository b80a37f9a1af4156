"""Turns logits into the rows of a shard: prediction, correctness, probabilities and loss per image.

A dataset may accept several classes for an image, as the reassessed labels of ImageNet do [1]_: a
prediction among them is correct. The target in the row is then the prediction itself, and otherwise
the first accepted class; top-5 and loss are those of that target.

Legend: B images of a batch, N of a decoded dataset, K classes, M most accepted classes of an image.

References
----------
.. [1] Beyer, Hénaff, Kolesnikov, Zhai, van den Oord, "Are we done with ImageNet?", 2020.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
import torch.nn.functional as F
from torch import Tensor

from perturb.datasets.store import ImageStore
from perturb.evaluation.cell import Cell
from perturb.evaluation.outcome import Outcome
from perturb.evaluation.shards import SCHEMA
from perturb.models.class_maps import ClassMap

# One condition and sample: columns of B or N values, or one text for all.
Predictions = Mapping[str, Tensor | str]

_ACCEPTED = "accepted"


@torch.inference_mode()
def predictions(
    outcome: Outcome, targets: Tensor, accepted: Tensor | None, class_map: ClassMap | None
) -> Predictions:
    """Return the predictions on B images and the columns that follow, on the device of the logits.

    `confidence` is the highest probability of the classes that compete: the softmax probability of
    the predicted class, or with a class map the highest mean over members.

    Parameters
    ----------
    outcome : its logits are converted to float32 first.
    targets : int64 (B,).
    accepted : int64 (B, M), padded with -1; None if only the target is correct.
    class_map : coarser classes to predict; None for the classifier's own classes.
    """
    logits = outcome.logits.float()  # (B, K)
    log_probabilities = logits.log_softmax(dim=1)
    if class_map is not None:
        # Means over members do not add up to one; they are not normalised.
        logits = log_probabilities = class_map.log_probabilities(logits)
    prediction = logits.argmax(dim=1)
    if accepted is not None:
        is_accepted = (accepted == prediction[:, None]).any(dim=1)
        targets = torch.where(is_accepted, prediction, accepted[:, 0])
    top5 = logits.topk(min(5, logits.shape[1]), dim=1).indices
    loss = F.nll_loss(log_probabilities, targets, reduction="none")
    confidence = log_probabilities.gather(1, prediction[:, None])[:, 0].exp()
    own = {
        "target": targets,
        "prediction": prediction,
        "is_top5": (top5 == targets[:, None]).any(dim=1),
        "target_probability": loss.neg().exp(),
        "loss": loss,
        "confidence": confidence,
    }
    return {**own, **outcome.added}


def accepted_classes(store: ImageStore) -> Tensor | None:
    """Return the correct classes of each image, int64 (N, M), padded with -1.

    None if the manifest has no column `accepted`.

    Raises
    ------
    ValueError
        if an image has no accepted class.
    """
    if _ACCEPTED not in store.manifest.column_names:
        return None
    lists = store.manifest[_ACCEPTED].combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    if (lengths == 0).any():
        image_id = store.image_ids[int((lengths == 0).argmax())].as_py()
        raise ValueError(f"image {image_id!r}: `accepted` is empty; allowed: one class or more")
    classes = np.full((len(lengths), lengths.max()), -1, np.int64)
    classes[np.arange(lengths.max()) < lengths[:, None]] = pc.list_flatten(lists).to_numpy()
    return torch.from_numpy(classes)


def rows(
    cell: Cell, condition: str, sample: int, store: ImageStore, found: Predictions
) -> pa.Table:
    """Return the rows of one condition and sample, one row per image of a decoded dataset.

    Parameters
    ----------
    found : columns of N values on the host, in the order of the images.
    """
    num_images = len(store)
    joined = {name: _column(values, num_images) for name, values in found.items()}
    columns = {
        "model": _repeated(cell.model, num_images),
        "dataset": _repeated(cell.dataset, num_images),
        "perturbation": _repeated(cell.perturbation, num_images),
        "severity": np.full(num_images, cell.severity_value),
        "condition": _repeated(condition, num_images),
        "sample": np.full(num_images, sample, np.int16),
        "image_id": store.image_ids,
        "is_correct": pc.equal(joined["prediction"], joined["target"]),
        **joined,
    }
    absent = {name: pa.nulls(num_images) for name in SCHEMA.names if name not in columns}
    return pa.table({**columns, **absent}).select(SCHEMA.names).cast(SCHEMA)


def _column(values: Tensor | str, num_images: int) -> pa.Array:
    if isinstance(values, str):
        return _repeated(values, num_images)
    # NaN marks images without a measurement: null in the shard.
    return pa.array(values.numpy(), from_pandas=True)


def _repeated(value: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int16), [value])
