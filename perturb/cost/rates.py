"""Measured speed of networks on machines, resources/rates.csv, and estimates for other networks.

A network that was not measured is assumed to run at the FLOPs per second of the measured network of
its family (of any, for networks of neither family) whose forward pass is nearest in size: small
networks leave much of a machine idle. `python -m benchmarks.rates` prints the rows.
"""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from perturb.cost.networks import Network
from perturb.places import resource

TABLE = resource("rates.csv")
COLUMNS = (
    "device",
    "precision",
    "task",
    "family",
    "network",
    "side_px",
    "forward_gflops",
    "images_per_s",
)
# Passes in units of a forward one: a backward pass to the pixels multiplies with each weight once,
# one to the weights twice.
_FORWARDS = {"forward": 1, "gradient": 2, "training": 3}


@dataclass(frozen=True)
class Rate:
    """A row of the table; the network is empty for corruption and rendering."""

    device: str
    precision: str
    task: str
    family: str
    network: str
    side_px: int
    forward_flops: float
    images_per_s: float


def read_rates(path: Path = TABLE) -> tuple[Rate, ...]:
    """Return the measured rates.

    Raises
    ------
    ValueError
        If the file is not there or has other columns.
    """
    if not path.is_file():
        raise ValueError(f"{path}: not found; python -m benchmarks.rates prints its rows")
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path}: columns are {rows.fieldnames}; allowed: {list(COLUMNS)}")
        return tuple(
            Rate(
                device=row["device"],
                precision=row["precision"],
                task=row["task"],
                family=row["family"],
                network=row["network"],
                side_px=int(row["side_px"]),
                forward_flops=1e9 * float(row["forward_gflops"] or 0),
                images_per_s=float(row["images_per_s"]),
            )
            for row in rows
        )


@dataclass(frozen=True)
class Machine:
    """The speed of one device: measured, or given.

    rates : of the device.
    flops_per_s : a given speed for every task; None to use the rates. With a given speed
        corruptions and rendering take no time, because they were not measured.
    """

    name: str
    rates: tuple[Rate, ...] = ()
    flops_per_s: float | None = None

    def seconds(self, task: str, network: Network, num_images: float) -> float | None:
        """Return the seconds of a task for this number of images; None if unknown.

        Parameters
        ----------
        task : forward, gradient or training.
        """
        if network.forward_flops is None:
            return None
        flops = _FORWARDS[task] * network.forward_flops
        if self.flops_per_s is not None:
            return num_images * flops / self.flops_per_s
        rate = _nearest(self.rates, task, network)
        if rate is None:
            return None
        measured = _FORWARDS[task] * rate.forward_flops * rate.images_per_s
        return num_images * flops / measured

    def rendering_seconds(self, num_images: float) -> float:
        """Return the seconds for rendering this number of generated images, on one core."""
        rates = [rate.images_per_s for rate in self.rates if rate.task == "rendering"]
        return num_images / rates[0] if rates else 0.0

    def corruption_seconds(self, side_px: int, num_images: float) -> float:
        """Return the seconds for corrupting this number of images, proportional to their area."""
        measured = [rate for rate in self.rates if rate.task == "corruption"]
        if not measured:
            return 0.0
        nearest = min(measured, key=lambda rate: abs(math.log(rate.side_px / side_px)))
        return num_images / nearest.images_per_s * (side_px / nearest.side_px) ** 2


def machine_of(rates: Iterable[Rate], device: str) -> Machine:
    """Return the machine of a measured device.

    Raises
    ------
    ValueError
        If there is no rate of it.
    """
    rates = tuple(rates)
    of_device = tuple(rate for rate in rates if rate.device == device)
    if not of_device:
        known = ", ".join(dict.fromkeys(rate.device for rate in rates)) or "none"
        raise ValueError(f"device is {device!r}; measured: {known}; or give --tflops")
    return Machine(device, of_device)


def _nearest(rates: Iterable[Rate], task: str, network: Network) -> Rate | None:
    """Return the rate of the network of this family, or of any for others, nearest in size."""
    flops = network.forward_flops or 1.0
    families = ("vit", "resnet") if network.family == "other" else (network.family,)
    of_task = [rate for rate in rates if rate.task == task and rate.family in families]
    return min(of_task, key=lambda rate: abs(math.log(rate.forward_flops / flops)), default=None)
