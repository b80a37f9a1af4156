"""Sentences beside charts that depend on the study: number of images, and epsilon."""

import pyarrow as pa

from perturb.formatting import formatted


def images(table: pa.Table, *_: pa.Table) -> str:
    """Return a sentence about the number of images in a table, by test set if they differ."""
    most = max(table["num_images"].to_pylist(), default=0)
    sizes = (images_by_set(table, label) for label in ("test_set_label", "attack_label"))
    return next(filter(None, sizes), f"{formatted(most, 'count')} images.")


def epsilon_and_images(table: pa.Table, *_: pa.Table) -> str:
    """Return a sentence about the epsilons of attacks, and one about the number of images."""
    epsilons = sorted(set(table["epsilon_gray"].drop_null().to_pylist()))
    listed = " and ".join(f"{epsilon:.3g}" for epsilon in epsilons)
    of_what = f"Epsilon: {listed} of 255 gray levels. " if epsilons else ""
    return of_what + images(table)


def of_runs(models: pa.Table) -> str:
    """Return a sentence on what a mark is in a study with several training runs of a model."""
    most = max(models["num_runs"].to_pylist(), default=1)
    if most == 1:
        return ""
    return f"Models are means over up to {most} training runs, whose spread no bar covers."


def images_by_set(table: pa.Table, label: str) -> str:
    """Return the number of images of each test set if they differ, else nothing."""
    if label not in table.column_names:
        return ""
    sizes = {row[label]: row["num_images"] for row in table.to_pylist()}
    if len(set(sizes.values())) < 2:
        return ""
    listed = ", ".join(f"{name} {formatted(size, 'count')}" for name, size in sizes.items())
    return f"Images: {listed}; the smaller sets of clean images lie within the larger."
