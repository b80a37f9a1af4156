"""Settings of products: the configured inputs of inventories, tables, charts, pictures and page.

Snakemake compares a job's parameters with its own records, which a copied results folder lacks, and
the dates of files do not show that the configuration changed. So each of these jobs writes a digest
of its settings beside the receipts, and `perturb.plan.stale` compares it with the configuration.
The results folder and the place of the data are no part of a setting: both may be moved.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from perturb.config import Config
from perturb.evaluation.cell import Cell
from perturb.evaluation.digests import asked_digest, digest_of
from perturb.files import replacing
from perturb.places import wherever
from perturb.plan import params, products
from perturb.plan.asked import asked_of_cell
from perturb.plan.cells import cells
from perturb.plan.examples import compared_cells, gallery_cells, named_model
from perturb.plan.jobs import Job, asked_of, jobs_of_experiments
from perturb.plan.paths import Paths
from perturb.plan.stores import any_store, stores_of_dataset


def stale_products(config: Config) -> list[str]:
    """Return the existing products that were made with other settings."""
    there = {file: facts for file, facts in _settings(config).items() if Path(file).exists()}
    return [file for file, facts in there.items() if _recorded(config, file) != digest_of(facts())]


def write_settings(config: Config, files: Iterable[str]) -> None:
    """Record the settings that a job has made products with.

    Parameters
    ----------
    files : each product in its main format: tables in Parquet, charts in HTML.
    """
    found = _settings(config)
    for file in files:
        with replacing(Path(Paths(config.results).settings(file))) as temporary:
            digest = digest_of(found[os.path.normpath(file)]())
            temporary.write_text(json.dumps({"settings": digest}) + "\n")


def inventory_settings(config: Config, jobs: Iterable[Job]) -> str:
    """Return a digest of the results in an experiment's jobs, and of what is asked of each."""
    return digest_of(
        {
            _short(config, file): asked_digest(what)
            for job in jobs
            for file, what in asked_of(config, job)
        }
    )


def _shards(config: Config) -> dict[str, str]:
    """Return a digest of the paths of the shards of each perturbation."""
    paths, found = Paths(config.results), dict[str, list[str]]()
    for cell in cells(config):
        found.setdefault(cell.perturbation, []).append(_short(config, paths.shard(cell)))
    return {id: digest_of(sorted(own)) for id, own in found.items()}


def _settings(config: Config) -> Mapping[str, Callable[[], Any]]:
    """Return the function for the settings of each product, by its file."""
    paths, shards = Paths(config.results), _shards(config)
    found: dict[str, Callable[[], Any]] = {
        paths.models: partial(_described, config),
        paths.datasets: partial(_described, config),
        paths.page: lambda: repr(_without_places(config)),
    }
    for experiment, jobs in jobs_of_experiments(config).items():
        found[paths.inventory(experiment)] = partial(inventory_settings, config, jobs)
    for table in products.tables(config):
        found[paths.table(table)] = partial(_of_table, config, shards, table)
    for name, chart in products.charts(config).items():
        found[paths.chart(name)] = partial(list, chart.tables)
    for dataset in config.datasets:
        if stores_of_dataset(config, dataset):
            found[paths.contact_sheet(dataset)] = partial(any_store, config, dataset)
    found[paths.gallery] = partial(_of_gallery, config)
    found[paths.disagreements] = partial(_of_disagreements, config)
    if config.patterns:
        found[paths.pattern_sheet] = partial(_of_picture, config)
    return {os.path.normpath(file): facts for file, facts in found.items()}


def _without_places(config: Config) -> Config:
    datasets = {id: params.without_places(item) for id, item in config.datasets.items()}
    return replace(config, results="", data="", datasets=datasets)


def _described(config: Config) -> Any:
    return [
        params.described_models(config),
        params.described_datasets(config),
        params.class_subsets(config),
    ]


def _of_table(config: Config, shards: Mapping[str, str], table: str) -> Any:
    files = [
        _short(config, file)
        for found in products.table_sources(config, table, without="predictions").values()
        for file in ([found] if isinstance(found, str) else found)
    ]
    read = products.perturbations_read(config, table)
    return [
        products.table_parameters(config, table),
        files,
        [shards.get(id) for id in sorted(read)],
    ]


def _of_picture(config: Config) -> Any:
    shown = config.patterns.shown_models if config.patterns else ()
    titles = params.titles(config, [config.models[model] for model in shown])
    return [asdict(config.patterns) if config.patterns else None, list(titles.items())]


def _of_gallery(config: Config) -> Any:
    labels = {id: config.datasets[id].label for id in config.perturbations["none"].datasets}
    return [named_model(config), labels, _of_cells(config, gallery_cells(config))]


def _of_disagreements(config: Config) -> Any:
    return _of_cells(config, compared_cells(config))


def _of_cells(config: Config, of_product: Iterable[Cell]) -> Any:
    """Return what is asked of some cells, in their order."""
    paths = Paths(config.results)
    return [
        [_short(config, paths.shard(cell)), asked_digest(asked_of_cell(config, cell))]
        for cell in of_product
    ]


def _recorded(config: Config, file: str) -> str | None:
    """Return the recorded digest; None if there is none, or another program wrote the file."""
    try:
        digest = json.loads(Path(Paths(config.results).settings(file)).read_text())["settings"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return str(digest)


def _short(config: Config, file: str) -> str:
    """Return a file's path without the folder of the results, of the data or of the workflow."""
    found = wherever([file.removeprefix(f"{config.results}/")])[0]
    return found.removeprefix(f"{config.data}/")
