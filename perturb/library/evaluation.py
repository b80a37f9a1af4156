"""`perturb.evaluate`: the rows of a shard, of any model on any images, by the study's own code."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from perturb.evaluation.cell import Cell
from perturb.evaluation.loop import Subject, evaluate_cell
from perturb.experiments import registry
from perturb.library.cells import Wanted, entry_of, setting_of
from perturb.library.classifiers import as_classifier
from perturb.library.datasets import Dataset, decoded
from perturb.library.models import check_model, check_uncompiled, device_of
from perturb.models.checkpoints import ModelCard
from perturb.models.classifier import Classifier
from perturb.models.precision import resolve_precision, weights_in
from perturb.models.precisions import fastest_precision
from perturb.models.resizing import AS_IS, Resizing
from perturb.models.zoo import kind_of

if TYPE_CHECKING:
    import pandas as pd


def evaluate(
    model: nn.Module,
    dataset: Dataset,
    perturbation: str = "none",
    severity: float | str | None = None,
    *,
    conditions: Sequence[str] | None = None,
    num_images: int | None = None,
    image_ids: Sequence[str] | None = None,
    class_index: str | Path | None = None,
    seed: int = 2021,
    batch_size: int = 250,
    precision: str = "float32",
    model_id: str = "model",
    dataset_id: str = "dataset",
    **options: Any,
) -> "pd.DataFrame":
    """Return the predictions of a model on every image of a dataset, under one perturbation.

    It is one cell of a study, evaluated by the same code: for the same weights, images and seed the
    rows are those of its shard.

    Parameters
    ----------
    model : any `nn.Module` in evaluation mode from float32 pixels in [0, 1] to logits (B, K), or a
        `perturb.Classifier`, which resizes and normalises before its network. It stays on its
        device, where images are moved in batches.
    dataset : a pair (images, targets), with images (N, 3, H, W), tensors or arrays, uint8 or
        multiples of 1/255 in [0, 1]; a folder or an archive with a folder for each class; a dataset
        of torch with such images, (3, H, W); or a decoded dataset of a study.
    perturbation : id of a perturbation, such as ``corruptions``, ``pgd``, ``spatial`` or
        ``lesions``; ``none`` for unchanged images.
    severity : of the perturbation: a level of 1 to 5, an epsilon such as ``"4/255"``, a number of
        blocks. None for a perturbation of one severity.
    conditions : variants that are evaluated, such as corruptions; None for all that the model has.
    num_images : size of the class-balanced subset of the images; None for all.
    image_ids : texts, of images in memory, on which their random draws depend; None numbers them.
    class_index : JSON file with the number of each class of a folder; None numbers the classes by
        the order of their names, and needs a model of as many.
    seed : of random draws and of the subset; the default is that of a study.
    batch_size : an upper bound, halved where memory runs out.
    precision : of the network: ``float32``; ``bfloat16``, by autocast; ``pure_bfloat16``, with
        weights and activations in bfloat16; ``auto``, the faster of these two where a GPU has
        bfloat16, else float32.
    model_id, dataset_id : what the columns ``model`` and ``dataset`` hold.
    options : of the perturbation, as in a configuration, such as ``steps`` of ``pgd``.

    Returns
    -------
    A row for each image, condition and sample, with the columns of a shard (`docs/shards.md`).
    ``attrs`` holds how they were made: options, device, versions, images per second.

    Raises
    ------
    ValueError
        If an argument has another type, shape or range, the model is in training mode, cannot have
        the perturbation, has fewer classes than the dataset, or returns a logit that is not finite.
    torch.OutOfMemoryError
        If a single image does not fit into the memory.
    """
    check_model(model)
    wanted = Wanted(
        perturbation, severity, conditions, dataset_id, num_images, class_index, options
    )
    entry = entry_of(wanted)
    if registry.perturbation(entry.id).changes == "model":
        check_uncompiled(model)
    cell = Cell(model_id, dataset_id, entry.id, entry.severities[0])
    store = decoded(
        dataset,
        view=_view(model),
        subset=(num_images, seed),
        image_ids=image_ids,
        class_index=class_index,
    )
    with as_classifier(model, store.read(0, 1).pixels.to(device_of(model))) as classifier:
        setting = setting_of(entry, classifier, seed)
        precision = _precision(precision, classifier)
        with weights_in(precision, classifier.network):
            table, facts = evaluate_cell(
                _subject(classifier, model_id),
                dict.fromkeys(setting.conditions, store),
                cell,
                setting,
                registry.evaluator(entry.id),
                protocol=registry.protocol_of(entry.id),
                batch_size=batch_size,
                precision=precision,
            )
    frame: pd.DataFrame = table.to_pandas()
    frame.attrs = {key: value for key, value in facts.items() if not key.endswith("sha256")}
    return frame


def _precision(asked: str, classifier: Classifier) -> str:
    """Return the precision, of `auto` the fastest one of the network on its device."""
    precision = resolve_precision(asked, classifier.mean.device)
    if asked == "auto" and precision == "bfloat16":
        return fastest_precision(kind_of(classifier.network))
    return precision


def _subject(classifier: Classifier, model_id: str) -> Subject:
    card = ModelCard(
        model=model_id,
        architecture=type(classifier.network).__name__,
        family="other",
        size="",
        patch_size=None,
        arguments={},
        num_classes=classifier.num_classes,
        preprocessing=classifier.preprocessing,
    )
    return Subject(classifier, card, classifier.mean.device)


def _view(model: nn.Module) -> Resizing:
    """Return how the images of a folder become the model's squares."""
    if not isinstance(model, Classifier):
        return AS_IS
    own = model.preprocessing
    usual = Resizing(own.side)
    return Resizing(own.side, own.mode or usual.mode, own.crop or usual.crop, own.interpolation)
