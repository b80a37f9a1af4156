"""Results that belong to no entry of the configuration: of removed models, severities and so on.

They stay where they are: an entry that is added back then costs no evaluation, and another
configuration may share the folder. A list keeps them apart from the study. Inventories alone are
deleted: one of a removed experiment would be a wrong list, and is made again in seconds.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from perturb.config import Config
from perturb.files import replacing
from perturb.plan import products
from perturb.plan.asked import MEASUREMENTS, measured_models
from perturb.plan.cells import cells
from perturb.plan.jobs import experiments
from perturb.plan.paths import Paths
from perturb.plan.stores import stores_of_dataset

# Folders whose files are each named by the plan, and those that hold a folder for each entry.
_FILES = ("shards", "measurements", "inventory", "tables", "charts", "contact_sheets", "examples")
_FOLDERS = ("checkpoints", "decoded")


def unused_files(config: Config) -> list[str]:
    """Return the result files that belong to no entry of the configuration, sorted."""
    used, folders = set(_used_files(config)), set(_used_folders(config))
    found = [file for file in _files(config, _FILES) if file not in used]
    found += [file for file in _files(config, _FOLDERS) if os.path.dirname(file) not in folders]  # noqa: PTH120
    return sorted(found)


def list_unused(config: Config) -> str | None:
    """Write the list of unused files and delete old inventories; return a sentence about the rest.

    Without such files there is no list, and no sentence.
    """
    paths = Paths(config.results)
    found = unused_files(config)
    inventories = [file for file in found if file.startswith(f"{config.results}/inventory/")]
    for file in inventories:
        Path(file).unlink(missing_ok=True)
    left = [file for file in found if file not in inventories]
    if not left:
        Path(paths.unused).unlink(missing_ok=True)
        return None
    with replacing(Path(paths.unused)) as temporary:
        temporary.write_text("".join(f"{file}\n" for file in left), encoding="utf-8")
    return summary(config, left)


def summary(config: Config, files: list[str]) -> str:
    """Return a sentence about the number and size of unused files, and where they are listed."""
    megabytes = sum(Path(file).stat().st_size for file in files) / 1e6
    what = "1 file belongs" if len(files) == 1 else f"{len(files):,} files belong"
    return (
        f"Not of this study: {what} to no entry of the configuration ({megabytes:,.1f} MB), "
        f"listed in {Paths(config.results).unused}"
    )


def _files(config: Config, folders: tuple[str, ...]) -> Iterator[str]:
    """Yield the files below some folders of the results, without hidden ones."""
    for folder in folders:
        for place, _, names in os.walk(f"{config.results}/{folder}"):
            yield from (f"{place}/{name}" for name in names if not name.startswith("."))


def _used_files(config: Config) -> Iterator[str]:
    paths = Paths(config.results)
    yield from map(paths.shard, cells(config))
    for name in MEASUREMENTS:
        yield from (paths.measurement(model, name) for model in measured_models(config, name))
    yield from products.pictures(config).values()
    yield from map(paths.inventory, experiments(config))
    yield from map(paths.contact_sheet, config.datasets)
    yield from paths.examples
    for table in products.tables(config):
        yield from (paths.table(table, form) for form in ("parquet", "csv", "md", "tex"))
    for chart in products.charts(config):
        yield from (paths.chart(chart, form) for form in ("html", "svg", "png", "pdf", "json"))


def _used_folders(config: Config) -> Iterator[str]:
    paths = Paths(config.results)
    for model in config.models:
        yield str(Path(paths.card(model)).parent)
    for dataset in config.datasets:
        for store in stores_of_dataset(config, dataset):
            yield str(Path(paths.manifest(store)).parent)
