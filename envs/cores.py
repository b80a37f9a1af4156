"""How many CPUs this process may really use: `python -m envs.cores`.

In a container the kernel lists the whole machine's CPUs, and a quota holds back whoever starts as
many jobs. Standard library only.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def quota_cores(cpu_max: str) -> float:
    """CPUs that a `cpu.max` file grants: its quota over its period, infinite for `max`."""
    quota, period = cpu_max.split()
    return math.inf if quota == "max" else int(quota) / int(period)


def cgroup_cores(cgroup: str, root: Path = CGROUPS) -> float:
    """CPUs that a control group grants; the tightest of its own limit and those above it.

    Parameters
    ----------
    cgroup
        Text of `/proc/self/cgroup`; the line of version 2 starts with `0::`.
    root
        Where the groups are mounted.
    """
    paths = [line[3:].strip("/") for line in cgroup.splitlines() if line.startswith("0::")]
    groups = [root / path for path in paths]
    limits = [group / "cpu.max" for start in groups for group in (start, *start.parents)]
    found = [quota_cores(limit.read_text()) for limit in limits if limit.is_file()]
    return min(found, default=math.inf)


def available_cores() -> int:
    """CPUs that the affinity mask and the control group leave to this process, at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    own = Path("/proc/self/cgroup")
    granted = cgroup_cores(own.read_text()) if own.is_file() else math.inf
    return max(1, math.ceil(min(allowed, granted)))


if __name__ == "__main__":
    sys.stdout.write(f"{available_cores()}\n")
