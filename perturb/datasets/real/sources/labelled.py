"""Layout of a flat folder or archive of images with a file of labels."""

from pathlib import Path

from perturb.datasets.labels import label_of
from perturb.datasets.real.files.archives import Entry, is_image_name, list_entries
from perturb.datasets.real.files.locators import FileAt
from perturb.datasets.real.sources.class_index import numbering
from perturb.datasets.real.sources.label_files import read_labels
from perturb.datasets.real.sources.source import Listing, Source, split_unused


def list_labelled_files(source: Source) -> Listing:
    """Return the images of a flat folder or archive, labelled by `source.labels`.

    Without a class index, WordNet ids are numbered by their order, as is usual in the field.

    Raises
    ------
    ValueError
        if there is no file of labels, or images and labels disagree.
    """
    labels_path = source.file("labels")
    if labels_path is None:
        raise ValueError("source.labels is missing; layout labelled_files needs it")
    entries = list_entries(source.path, depth=0, left_out=source.left_out)
    images, unused = split_unused([e for e in entries if not _is_of_labels(e, source)])
    names = [entry.name for entry in images]
    columns = source.options.get("columns", {})
    labels, places = read_labels(labels_path, names, source.file("synsets"), columns)
    parsed = [label_of(label) for label in labels]
    found = numbering(source, parsed, lambda row: f"{places[row]} ({names[row]})")
    return Listing(
        image_ids=names,
        targets=found.targets,
        locators=[entry.locator for entry in images],
        classes=found.classes,
        given_by=found.given_by,
        unused_files=unused,
    )


def _is_of_labels(entry: Entry, source: Source) -> bool:
    """Return whether a file beside the images is a label file of the source."""
    is_file = isinstance(entry.locator, FileAt) and not is_image_name(entry.name)
    return is_file and source.names_file(Path(entry.locator.path))
