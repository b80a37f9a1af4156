"""Start-up time of a job before any work: interpreter and imports, one after another.

Run: ``python -m benchmarks.startup``. Every line is the median over several fresh processes (wall
and CPU seconds), warm file caches, one thread. Each row adds one import to the row before it, and
`+ a network` the network that a job fills with its weights. Then what two of these would cost
otherwise: a network on torch's meta device, and all of timm.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_NETWORKS = "import torch, perturb.models.timm_modules as modules"
_LIBRARY = (
    "import torch, perturb.evaluation.loop; "
    "from perturb.models.empty_networks import without_initial_values; "
    "from perturb.models.architectures import build_network; "
    "from perturb.parquet import keep_pandas_out; keep_pandas_out()"
)
_BUILD = (
    "build_network('vit', dict(patch_size=8, embed_dim=64, depth=4, num_heads=2, mlp_ratio=2), "
    "12, 32)"
)
_STAGES = {
    "python": "pass",
    "+ torch": "import torch",
    "+ the networks": _NETWORKS,
    "+ pyarrow": f"{_NETWORKS}, pyarrow.parquet",
    "a job's library": _LIBRARY,
    "+ a network": f"{_LIBRARY}\nwith without_initial_values(): {_BUILD}",
    "a network on the meta device": f"{_LIBRARY}\nwith torch.device('meta'): {_BUILD}",
    "python, torch, all of timm": f"{_NETWORKS}; modules.load_timm_zoo()",
}


def run_once(code: str) -> tuple[float, float]:
    """Return wall and CPU seconds of a fresh interpreter that runs some code."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(_ROOT)}
    before, start = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=_ROOT)
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system
    return wall, cpu - before.children_user - before.children_system


def main() -> None:
    """Measure every stage; rounds go through all stages, so a busy minute hits all alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    num_rounds = parser.parse_args().rounds
    for code in _STAGES.values():
        run_once(code)  # fills the file cache and writes bytecode
    rounds = [[run_once(code) for code in _STAGES.values()] for _ in range(num_rounds)]
    sys.stdout.write(f"{'stage':<30}{'wall s':>8}{'CPU s':>8}\n")
    for stage, runs in zip(_STAGES, zip(*rounds, strict=True), strict=True):
        wall, cpu = (statistics.median(values) for values in zip(*runs, strict=True))
        sys.stdout.write(f"{stage:<30}{wall:>8.2f}{cpu:>8.2f}\n")


if __name__ == "__main__":
    main()
