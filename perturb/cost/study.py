"""The cost of a whole study: cells, passes and hours by perturbation, and unknown numbers.

Hours are those of the device on which networks run, one job at a time; several devices divide them.
Decoding, tables and charts run on CPUs and are not included.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from perturb.config import Config
from perturb.cost.networks import EMBEDDED_SIDE, Network, network_of
from perturb.cost.passes import passes_of
from perturb.cost.rates import Machine
from perturb.evaluation.cell import Cell
from perturb.experiments.declaration import Passes
from perturb.experiments.possible import samples_of
from perturb.experiments.registry import measurements
from perturb.plan.cells import cells
from perturb.plan.params import training_datasets, training_samples
from perturb.plan.stores import store_of, view_of
from perturb.records import Model


@dataclass
class Line:
    """The cost of one kind of work; flops and seconds exclude unknown parts.

    backward : passes to the pixels; of trainings, those to the weights.
    """

    name: str
    num_cells: int = 0
    num_rows: int = 0
    forward: float = 0.0
    backward: float = 0.0
    flops: float = 0.0
    seconds: float = 0.0


@dataclass
class Work:
    """All lines of a study, with the models and datasets of unknown numbers."""

    lines: dict[str, Line] = field(default_factory=dict)
    models_without_size: set[str] = field(default_factory=set)
    datasets_without_size: set[str] = field(default_factory=set)

    def line(self, name: str) -> Line:
        """Return the line of this name, a new one if there is none."""
        return self.lines.setdefault(name, Line(name))

    @property
    def total(self) -> Line:
        """The sum of all lines."""
        total = Line("all")
        for line in self.lines.values():
            total.num_cells += line.num_cells
            total.num_rows += line.num_rows
            total.forward += line.forward
            total.backward += line.backward
            total.flops += line.flops
            total.seconds += line.seconds
        return total


def work_of(config: Config, machine: Machine) -> Work:
    """Return the cost of a study on a machine, in the order of the configuration."""
    work = Work()
    networks = {model.id: network_of(config, model) for model in config.models.values()}
    for model in config.models.values():
        if networks[model.id].forward_flops is None:
            work.models_without_size.add(model.id)
        if model.training is not None:
            _add_training(work, config, model, machine)
    for cell in cells(config):
        num_images = images_of(config, cell)
        if num_images is None:
            work.datasets_without_size.add(cell.dataset)
            num_images = 0
        line = work.line(config.perturbations[cell.perturbation].key)
        line.num_cells += 1
        line.num_rows += num_images * _rows_an_image(config, cell)
        passes = passes_of(config, cell).times(num_images)
        _add_passes(line, passes, networks[cell.model], machine)
        line.seconds += machine.corruption_seconds(_stored_side(config, cell), passes.corruptions)
    for name, num_images, passes in _analyses(config):
        for model_id in config.benchmark_models:
            of_images = passes.times(num_images)
            _add_passes(work.line(name), of_images, networks[model_id], machine)
    return work


def images_of(config: Config, cell: Cell) -> int | None:
    """Return the number of images of a cell: of its subset, or of the dataset."""
    asked = config.perturbations[cell.perturbation].num_images
    return num_images_of(config, cell.dataset) if asked is None else asked


def num_images_of(config: Config, dataset: str) -> int | None:
    """Return the size of a dataset; for a filter the size of its pool, an upper bound."""
    entry = config.datasets[dataset]
    if entry.filter is not None:
        return config.datasets[entry.filter["dataset"]].num_images
    return entry.num_images


def _rows_an_image(config: Config, cell: Cell) -> int:
    if cell.source is not None:
        return 1
    perturbation, model = config.perturbations[cell.perturbation], config.models[cell.model]
    samples = samples_of(perturbation, cell.severity_value, model.architecture, config.seed)
    return sum(map(len, samples.values()))


def _add_passes(line: Line, passes: Passes, network: Network, machine: Machine) -> None:
    line.forward += passes.forward
    line.backward += passes.backward
    # With frozen weights a backward pass has as many multiplications as a forward one.
    line.flops += (network.forward_flops or 0) * (passes.forward + passes.backward)
    line.seconds += machine.seconds("forward", network, passes.predictions) or 0
    line.seconds += machine.seconds("gradient", network, passes.gradients) or 0


def _add_training(work: Work, config: Config, model: Model, machine: Machine) -> None:
    network, samples = network_of(config, model), sum(training_samples(config, model.id).values())
    line = work.line("training")
    line.forward += samples
    line.backward += samples
    line.flops += 3 * (network.forward_flops or 0) * samples
    line.seconds += machine.seconds("training", network, samples) or 0
    rendered = sum(_streamed_samples(config, model))
    if rendered:
        work.line("rendering").seconds += machine.rendering_seconds(rendered)


def _streamed_samples(config: Config, model: Model) -> Iterator[int]:
    """Yield the number of images that each phase of a training renders."""
    samples, datasets = training_samples(config, model.id), training_datasets(config, model.id)
    for phase, number in samples.items():
        if config.datasets[datasets[phase]].is_streamed:
            yield number


def _stored_side(config: Config, cell: Cell) -> int:
    """Return the side of the images that a cell corrupts [px], as decoded."""
    view = view_of(config, store_of(config, cell.dataset, cell.model))
    return view.side if view is not None and view.side else EMBEDDED_SIDE


def _analyses(config: Config) -> Iterator[tuple[str, int, Passes]]:
    """Yield each measurement, its images, and the passes of each by every model."""
    asked = {
        "perturbation_patterns": (
            config.patterns,
            config.patterns.options if config.patterns else {},
        ),
        "layer_correlations": (config.correlations, {}),
    }
    for id, (entry, options) in asked.items():
        if entry is not None:
            yield id, entry.num_images, measurements()[id].passes(options)
