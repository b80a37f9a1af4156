"""What a study takes, before it is run."""

from collections.abc import Iterator

import joblib  # type: ignore[import-untyped]

from perturb.config import Config
from perturb.cost.rates import Machine, machine_of, read_rates
from perturb.cost.study import work_of
from perturb.formatting import duration
from perturb.messages import ConfigError, listed


def machine_of_study(config: Config, tflops: float | None) -> Machine:
    """Return the machine of an estimate.

    Parameters
    ----------
    tflops : speed that the device reaches; None for the measured one of a CPU core.

    Raises
    ------
    ConfigError
        if the device has not been measured.
    """
    if tflops is not None:
        return Machine(f"{tflops:g} TFLOP/s", flops_per_s=1e12 * tflops)
    if config.device != "cpu":
        raise ConfigError("--budget: no GPU has been measured; --tflops gives the speed of yours")
    return machine_of(read_rates(), "cpu-core")


def num_devices(config: Config, cores: int | None) -> int:
    """Return how many cells are evaluated at the same time.

    Parameters
    ----------
    cores : CPUs of the run; None for all of this machine.
    """
    return 1 if config.device != "cpu" else cores or int(joblib.cpu_count())


def estimate(config: Config, tflops: float | None, cores: int | None) -> Iterator[str]:
    """Yield what the study costs, as far as that is known."""
    try:
        machine = machine_of_study(config, tflops)
    except ConfigError:
        return
    work, count = work_of(config, machine), num_devices(config, cores)
    if work.models_without_size:
        unknown = listed(sorted(work.models_without_size))
        yield f"What it takes is not known: nothing says the FLOPs of {unknown}."
        return
    parts = sorted(work.lines.values(), key=lambda line: -line.seconds)[:3]
    named = ", ".join(f"{line.name} {duration(line.seconds / count)}" for line in parts)
    yield (
        f"About {duration(work.total.seconds / count)} of evaluation on {count} x "
        f"{machine.name} ({named}); the start of jobs, tables and charts come on top."
    )
    others = [
        id for id in config.benchmark_models if config.models[id].architecture.family == "other"
    ]
    if others and machine.rates:
        yield (
            f"For {listed(others)} the speed is that of ViTs and ResNets; networks of depthwise "
            "convolutions took three to five times as long."
        )
