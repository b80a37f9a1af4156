"""The command `python -m perturb cost`: prints the cost of a configuration before a run."""

import argparse
import sys
from dataclasses import replace

from perturb.config import Config, ConfigError
from perturb.config.given import add_study_arguments, given_study
from perturb.cost.dag import jobs_of
from perturb.cost.disk import Disk, disk_of
from perturb.cost.rates import Machine, machine_of, read_rates
from perturb.cost.reading import bytes_read
from perturb.cost.study import Line, Work, work_of

_HEAD = f"{'':<20}{'cells':>8}{'rows':>15}{'forward':>13}{'backward':>12}{'PFLOP':>12}{'hours':>10}"
# From the start of a job to its first useful line: interpreter, torch, a checkpoint.
_STARTUP_S = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_study_arguments(parser)
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument("--device", help="a device in resources/rates.csv, such as cpu-core")
    speed.add_argument(
        "--tflops",
        type=float,
        help="use this speed instead: the one that a device reaches, not that of its data sheet",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the cost of the study to standard output; return the exit status."""
    try:
        config = given_study(arguments)
        machine = _machine(arguments, config)
    except (ConfigError, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("\n".join(described(config, machine)) + "\n")
    return 0


def _machine(arguments: argparse.Namespace, config: Config) -> Machine:
    if arguments.tflops is not None:
        if not arguments.tflops > 0:
            raise ValueError(f"--tflops is {arguments.tflops}; allowed: more than 0")
        name = f"a device that reaches {arguments.tflops:g} TFLOP/s"
        return Machine(name, flops_per_s=1e12 * arguments.tflops)
    if arguments.device is None and config.device != "cpu":
        raise ValueError(f"device is {config.device}: give --device or --tflops")
    return machine_of(read_rates(), arguments.device or "cpu-core")


def described(config: Config, machine: Machine) -> list[str]:
    """Return the cost of a study, line by line."""
    work = work_of(config, machine)
    jobs, disk = jobs_of(config), disk_of(config, work.total)
    return [
        f"{config.title}",
        f"{len(config.benchmark_models)} models, {len(config.datasets)} datasets, "
        f"{work.total.num_cells:,} cells; hours on {machine.name}, one job at a time",
        "",
        _HEAD,
        *(_row(line) for line in [*work.lines.values(), work.total]),
        "",
        "Attacks and the spatial grid end early on images that break: their numbers are bounds.",
        *_missing(config, work, machine),
        "",
        f"{sum(jobs.values()):,} jobs, which start in some {_startup_hours(jobs):.2g} hours of "
        "them all: " + ", ".join(f"{count:,} {rule}" for rule, count in jobs.items()),
        _reading(config),
        "",
        *_disk(disk),
    ]


def _row(line: Line) -> str:
    return (
        f"{line.name:<20}{line.num_cells:>8,}{line.num_rows:>15,}{line.forward:>13,.0f}"
        f"{line.backward:>12,.0f}{line.flops / 1e15:>12,.4g}{line.seconds / 3600:>10,.3g}"
    )


def _missing(config: Config, work: Work, machine: Machine) -> list[str]:
    sentence = []
    if not machine.rates and any(
        item.key == "corruptions" for item in config.perturbations.values()
    ):
        sentence.append("The time for corrupting the images is not included with a given speed.")
    if not machine.rates and "rendering" in work.lines:
        sentence.append(
            "The time for rendering streamed images is not included with a given speed."
        )
    for what, ids in (
        ("FLOPs", work.models_without_size),
        ("numbers of images", work.datasets_without_size),
    ):
        if ids:
            sentence.append(
                f"Not in these sums, because their {what} are not known: {', '.join(sorted(ids))}."
            )
    return sentence


def _startup_hours(jobs: dict[str, int]) -> float:
    return sum(jobs.values()) * _STARTUP_S / 3600


def _reading(config: Config) -> str:
    sentence = f"They read {_size(bytes_read(config))} of decoded images"
    if config.models_per_job == 1:
        return f"{sentence}."
    alone = _size(bytes_read(replace(config, models_per_job=1)))
    return f"{sentence}; with one model a job it would be {alone}."


def _disk(disk: Disk) -> list[str]:
    """Return one line per folder of the results; the largest dataset first."""
    by_size = sorted(disk.stores.items(), key=lambda item: -item[1][0])
    return [
        f"Disk: {_size(disk.total)}",
        *(
            f"  {f'decoded/{dataset}':<28}{_size(size):>10}  in {count} folder{'s' * (count > 1)}"
            for dataset, (size, count) in by_size
            if count
        ),
        f"  {'checkpoints':<28}{_size(disk.checkpoints):>10}",
        f"  {'shards':<28}{_size(disk.shards):>10}  in {disk.num_shards:,} files",
        f"  {'tables, charts, report':<28}{_size(disk.products):>10}",
    ]


def _size(num_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 999.5:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.3g} TB"
