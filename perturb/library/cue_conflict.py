"""The shape bias of predictions, by the query of its experiment."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from perturb.library.queries import macros, number_of
from perturb.tables.queries import query_file, relation_file


class ShapeBias(NamedTuple):
    """A shape bias, the ends of its 95 % interval, and the numbers of images behind it.

    The bias and its ends are NaN if no prediction is the shape or the texture of its image.
    """

    shape_bias: float
    low: float
    high: float
    num_shape: int
    num_texture: int
    num_images: int


def shape_bias(
    predictions: Sequence[int] | np.ndarray[Any, Any],
    shapes: Sequence[int] | np.ndarray[Any, Any],
    textures: Sequence[int] | np.ndarray[Any, Any],
) -> ShapeBias:
    """Return the shape bias of predictions on images whose shape and texture conflict.

    It is S / (S + T): S predictions of the image's shape class, T of its texture class. Images
    whose shape and texture are of one class are left out.

    Parameters
    ----------
    predictions, shapes, textures : class of each image, whole numbers (N,).

    Raises
    ------
    ValueError
        If they are not as many whole numbers, or no image has a conflict.

    References
    ----------
    Geirhos et al., "ImageNet-trained CNNs are biased towards texture; increasing shape bias
    improves accuracy and robustness", ICLR 2019.
    """
    given = {"predictions": predictions, "shapes": shapes, "textures": textures}
    classes = {name: _classes(name, values) for name, values in given.items()}
    lengths = {name: len(values) for name, values in classes.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"numbers of classes are {lengths}; allowed: as many of each")
    image_ids = [f"{position:09d}" for position in range(len(classes["shapes"]))]
    with macros() as connection:
        for name, table in _cue_conflict(image_ids, classes).items():
            connection.register(name, table)
        connection.execute(relation_file("cue_outcomes").read_text(encoding="utf-8"))
        found = connection.sql(query_file("shape_bias").read_text(encoding="utf-8"))
        rows = found.to_arrow_table().to_pylist()
    if not rows:
        raise ValueError("shape and texture are of one class in every image; allowed: conflicts")
    (row,) = rows
    return ShapeBias(
        number_of(row["shape_bias"]),
        number_of(row["shape_bias_low"]),
        number_of(row["shape_bias_high"]),
        row["num_shape"],
        row["num_texture"],
        row["num_images"],
    )


def _cue_conflict(
    image_ids: list[str], classes: dict[str, np.ndarray[Any, Any]]
) -> dict[str, pa.Table]:
    """Return the sources and relations that `cue_outcomes` and the query read, of one model."""
    one = {"model": ["model"], "dataset": ["dataset"]}
    facts = {"pretraining_rank": [0], "family": [""], "num_parameters": [0]}
    count = len(image_ids)
    return {
        "short_predictions": pa.table(
            {
                **{name: value * count for name, value in one.items()},
                "image_id": pa.array(image_ids, pa.string()),
                "image": pa.array(range(count), pa.int32()),
                "perturbation": ["none"] * count,
                "prediction": classes["predictions"],
            }
        ),
        "stimuli": pa.table(
            {
                "image_id": pa.array(image_ids, pa.string()),
                "target": classes["shapes"],
                "texture": classes["textures"],
                "target_label": pa.nulls(count, pa.string()),
            }
        ),
        "datasets": pa.table({"dataset": one["dataset"], "role": ["cue_conflict"]}),
        "benchmark_models": pa.table({"model": one["model"]}),
        "model_columns": pa.table({"model": one["model"], **facts}),
    }


def _classes(name: str, values: Any) -> np.ndarray[Any, Any]:
    classes = np.asarray(values)
    if classes.dtype.kind not in "iu" or classes.ndim != 1:
        raise ValueError(
            f"{name} are {classes.dtype} {classes.shape}; allowed: a class an image, whole numbers "
            "(N,)"
        )
    return classes.astype(np.int64)
