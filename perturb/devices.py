"""The device that a job computes on, or an error with the reason why there is none.

Only jobs use this module: the node that starts a workflow need not have the device of its jobs.
"""

import os
import platform

import torch

KINDS = ("cpu", "cuda")


def device_of(name: str) -> torch.device:
    """Return the device of this name after checking that it is available.

    Parameters
    ----------
    name : `cpu`, `cuda`, or `cuda:1` for the second GPU that this process may see.

    Raises
    ------
    ValueError
        if the name is none of these.
    RuntimeError
        if it is a GPU that this process does not see; the message names the node, what the
        scheduler allotted, and what this torch can use.
    """
    kind, _, index = name.partition(":")
    if kind not in KINDS or (":" in name and not (kind == "cuda" and index.isdecimal())):
        raise ValueError(f"device {name!r}: cpu, cuda or cuda:<number> is expected")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(index or 0) >= count:
            raise RuntimeError(_missing(name, count))
    return torch.device(name)


def _missing(name: str, count: int) -> str:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    allotted = "is not set" if visible is None else f"is {visible!r}"
    cuda = torch.version.cuda
    built = f"built for CUDA {cuda}" if cuda else "built without CUDA"
    return (
        f"device {name!r} was asked for, and this process sees {count} GPUs on node"
        f" {platform.node()}: CUDA_VISIBLE_DEVICES {allotted}, torch {torch.__version__} is"
        f" {built}. Give the job a GPU (on a cluster, see slurm/README.md), or set `device: cpu`."
    )
