"""What each rule's jobs ask of a machine: memory and run time, more of both at each new attempt.

One table for all rules, so that a site that needs other numbers finds them in one place; how they
are spelt for a scheduler is the profile's matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """Memory and run time of a job's first attempt, and whether it computes on the device.

    mem_mb : megabytes of main memory.
    runtime_min : minutes.
    is_on_device : whether the job asks for a GPU where the study's device is one.
    """

    mem_mb: int
    runtime_min: int
    is_on_device: bool = False

    def mem_mb_at(self, attempt: int) -> int:
        """Return the memory of an attempt, counted from 1."""
        return self.mem_mb * attempt

    def runtime_min_at(self, attempt: int) -> int:
        """Return the run time of an attempt, counted from 1."""
        return self.runtime_min * attempt


# How a cluster spells a GPU, if not as `--gpus`: see slurm/README.md.
GRES = "PERTURB_SLURM_GRES"


def gpu_request(num_gpus: int, environment: Mapping[str, str]) -> dict[str, int | str]:
    """Return how a job asks for its GPUs: as `gpu`, or as the `gres` that the environment names."""
    if num_gpus and environment.get(GRES):
        return {"gres": environment[GRES]}
    return {"gpu": num_gpus}


RESOURCES = {
    "download_dataset": Resources(mem_mb=1000, runtime_min=720),
    "generate_dataset": Resources(mem_mb=2000, runtime_min=30),
    "bundle_dataset": Resources(mem_mb=1000, runtime_min=5),
    "decode_dataset": Resources(mem_mb=8000, runtime_min=120),
    "filter_dataset": Resources(mem_mb=8000, runtime_min=120, is_on_device=True),
    "draw_contact_sheets": Resources(mem_mb=2000, runtime_min=10),
    "train_model": Resources(mem_mb=2000, runtime_min=30, is_on_device=True),
    "import_checkpoint": Resources(mem_mb=12000, runtime_min=60),
    "evaluate_cells": Resources(mem_mb=12000, runtime_min=480, is_on_device=True),
    "transfer_attacks": Resources(mem_mb=12000, runtime_min=240, is_on_device=True),
    "measure_patterns": Resources(mem_mb=12000, runtime_min=120, is_on_device=True),
    "correlate_layers": Resources(mem_mb=16000, runtime_min=120, is_on_device=True),
    "describe_study": Resources(mem_mb=1000, runtime_min=10),
    "check_shards": Resources(mem_mb=4000, runtime_min=60),
    "make_tables": Resources(mem_mb=12000, runtime_min=120),
    "draw_charts": Resources(mem_mb=4000, runtime_min=30),
    "write_page": Resources(mem_mb=4000, runtime_min=30),
}
