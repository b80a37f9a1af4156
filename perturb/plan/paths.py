"""Paths of all results of a study: the only module that defines the results folder's layout."""

import os
from dataclasses import dataclass

from perturb.evaluation.cell import Cell


@dataclass(frozen=True)
class Paths:
    """Paths below a study's results folder."""

    root: str

    def images(self, store: str) -> str:
        """Return the pixels of a decoded dataset, as `perturb.plan.stores` names it."""
        return f"{self.root}/decoded/{store}/images.npy"

    def manifest(self, store: str) -> str:
        """Return the ids, keys and targets of a decoded dataset."""
        return f"{self.root}/decoded/{store}/manifest.parquet"

    def weights(self, model: str) -> str:
        """Return the weights of a model."""
        return f"{self.root}/checkpoints/{model}/weights.safetensors"

    def card(self, model: str) -> str:
        """Return the model card of a model."""
        return f"{self.root}/checkpoints/{model}/card.json"

    def shard(self, cell: Cell) -> str:
        """Return the predictions of a cell."""
        name = f"{cell.severity}/{cell.source}" if cell.source else cell.severity
        return f"{self.root}/shards/{cell.model}/{cell.dataset}/{cell.perturbation}/{name}.parquet"

    def earlier(self, cell: Cell) -> str:
        """Return the place of a cell's shard that had conditions which were removed since."""
        return self.shard(cell).replace(f"{self.root}/shards/", f"{self.root}/earlier/", 1)

    def measurement(self, model: str, name: str) -> str:
        """Return a measurement of a model."""
        return f"{self.root}/measurements/{model}/{name}.parquet"

    def receipt(self, model: str, job: str) -> str:
        """Return the receipt of a job of a model: the list of its files."""
        return f"{self.receipts}/{model}/{job}.json"

    @property
    def receipts(self) -> str:
        """Return the folder of all receipts."""
        return f"{self.root}/receipts"

    def settings(self, product: str) -> str:
        """Return the digest of the settings of an inventory, a table, a chart or the page."""
        inside = os.path.splitext(os.path.relpath(product, self.root))[0]  # noqa: PTH122
        return f"{self.root}/settings/{inside}.json"

    @property
    def mark(self) -> str:
        """Return the file whose date is the time of the last check for stale results."""
        return f"{self.receipts}/looked"

    @property
    def unused(self) -> str:
        """Return the list of results that belong to no entry of the configuration."""
        return f"{self.root}/unused.txt"

    @property
    def models(self) -> str:
        """Facts about the models."""
        return f"{self.root}/models.parquet"

    @property
    def datasets(self) -> str:
        """Facts about the datasets."""
        return f"{self.root}/datasets.parquet"

    def inventory(self, experiment: str) -> str:
        """Return the list of an experiment's shards, each checked."""
        return f"{self.root}/inventory/{experiment}.parquet"

    @property
    def pattern_sheet(self) -> str:
        """Adversarial perturbations of several models, side by side."""
        return f"{self.root}/measurements/perturbation_patterns.png"

    def table(self, table: str, suffix: str = "parquet") -> str:
        """Return a table in one of its formats: parquet, csv, md, tex."""
        return f"{self.root}/tables/{table}.{suffix}"

    def chart(self, chart: str, suffix: str = "html") -> str:
        """Return a chart in one of its formats: html, svg, png, pdf, json."""
        return f"{self.root}/charts/{chart}.{suffix}"

    @property
    def page(self) -> str:
        """The report page."""
        return f"{self.root}/report/index.html"

    def contact_sheet(self, dataset: str) -> str:
        """Return a picture of sample images of a dataset."""
        return f"{self.root}/contact_sheets/{dataset}.png"

    @property
    def gallery(self) -> str:
        """The images of the gallery: which they are, and under which perturbations."""
        return f"{self.root}/examples/gallery.json"

    @property
    def gallery_pictures(self) -> str:
        """All pictures of the gallery in one."""
        return f"{self.root}/examples/gallery.webp"

    @property
    def disagreements(self) -> str:
        """The images on which models differ, and all models' answers."""
        return f"{self.root}/examples/disagreements.json"

    @property
    def disagreements_pictures(self) -> str:
        """All images on which models differ in one picture."""
        return f"{self.root}/examples/disagreements.webp"

    @property
    def examples(self) -> list[str]:
        """All files of `examples/`."""
        return [
            *(self.gallery, self.gallery_pictures),
            *(self.disagreements, self.disagreements_pictures),
        ]

    def log(self, rule: str, *parts: str) -> str:
        """Return the log of a job."""
        return "/".join([self.root, "logs", rule, *parts]) + ".log"

    def benchmark(self, rule: str, *parts: str) -> str:
        """Return the time and memory of a job."""
        return "/".join([self.root, "benchmarks", rule, *parts]) + ".tsv"
