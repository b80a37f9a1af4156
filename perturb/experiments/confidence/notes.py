"""Notes on the charts of confidence."""

import pyarrow as pa
import pyarrow.compute as pc

from perturb.charts.notes import images


def corrupted_images(calibration: pa.Table, *_: pa.Table) -> str:
    """Return a sentence about the number of corrupted images."""
    of_corruptions = calibration.filter(pc.is_valid(calibration["corruption_severity"]))
    return images(of_corruptions)
