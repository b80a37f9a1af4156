"""Similarity of the representations of a network's layers.

The similarity of the outputs of every pair of blocks (the residual stream, before any final norm),
in two measures over the same images:

- Pearson correlation, as in Fig. 7 of Bhojanapalli et al. [1]_, over all features of an image (all
  tokens, or the class token's alone), then the mean over images. The paper does not state the
  pooling of the figure; correlation per image excludes differences between images, which all layers
  share, from the similarity, and gives a spread. It needs layers of one shape.
- Linear CKA [2]_ over the sample of images, for layers of any shapes. An example is an image with
  all its features (tokens or positions times channels) flattened: only the Gram matrices of images
  are compared. The streaming form averages the unbiased HSIC of each batch over batches before the
  ratio [3]_. For one batch it is the unbiased CKA of the whole sample; the biased form approaches 1
  where features outnumber images.

The rise of similarity towards the last layers is one number per image: the mean correlation of the
pairs within the last third of the blocks minus that within the first. Pairs are correlated within
an image, so its interval needs the numbers of single images.

Of each batch, only sums over L x L pairs and the rise of each image are kept.

Legend: B images of a batch, L layers (blocks), N tokens, D width, F features of a layer, flattened.

References
----------
.. [1] Bhojanapalli et al., "Understanding Robustness of Transformers for Image Classification",
   ICCV 2021.
.. [2] Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019.
.. [3] Nguyen, Raghu, Kornblith, "Do Wide and Deep Networks Learn the Same Things?", ICLR 2021;
   the unbiased HSIC is by Song et al., JMLR 13, 2012, here as the inner product of U-centred Gram
   matrices of Székely and Rizzo, Annals of Statistics 42, 2014.
"""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import torch
from torch import Tensor

from perturb.experiments.layer_correlations.features import block_outputs
from perturb.models.anatomy import anatomy
from perturb.models.classifier import Classifier

SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("measure", pa.string()),
        ("layer_a", pa.int16()),
        ("layer_b", pa.int16()),
        ("value", pa.float64()),
        ("spread", pa.float64()),
        ("num_images", pa.int32()),
        ("image_id", pa.string()),  # null: over all images
    ]
)
# The unbiased HSIC divides by n - 3.
_FEWEST_IMAGES = 4
# Two thirds of at least two blocks each.
_FEWEST_BLOCKS = 4
# Relative rounding error of equal float32 features after subtraction of their mean.
_ROUNDING = 1e-6


@torch.inference_mode()
def correlate_layers(
    classifier: Classifier,
    batches: Iterable[Tensor],
    *,
    model: str,
    image_ids: Sequence[str] | None = None,
    at_once: int | None = None,
) -> pa.Table:
    """Return the similarity of every pair of layers, as a table of `SCHEMA`.

    Rows are in the order of measure (pearson_all, pearson_cls, cka_all, cka_cls), layer_a, layer_b,
    both triangles and the diagonal. ``value`` is the mean over images (CKA: over the whole sample),
    ``spread`` the sample standard deviation over images (null for CKA). Networks without a class
    token have no rows for it, layers of unequal shapes none for Pearson's. ViTs of four or more
    blocks also have pearson_all_rise and pearson_cls_rise: one row per image, without layers.

    Parameters
    ----------
    classifier : with a network supported by `anatomy`.
    batches : images as the classifier takes them, (B, 3, H, W) each, on any device, consumed once.
        The expected CKA does not depend on the batch size, but its error does: few large batches
        are better. A batch of fewer than 4 images is merged with its neighbour.
    model : the id to put into the table.
    image_ids : of all images, in the batches' order; None omits the rows of single images.
    at_once : number of images per run of the network, with the features of a larger batch kept and
        compared on the host; None for whole batches, whose features stay on their device.

    Raises
    ------
    ValueError
        If there are fewer than 4 images or their number is not that of the ids, a feature is not
        finite, or a layer's features are all the same within an image (no correlation) or over all
        (no CKA).
    """
    body = anatomy(classifier.network)
    has_cls = body.family == "vit" and body.network.has_class_token
    pearson = {kind: _Pearson() for kind in (("all", "cls") if has_cls else ("all",))}
    cka = {kind: _Cka() for kind in pearson}
    num_images = 0
    for images in _large_enough(batches):
        num_images += len(images)
        layers = block_outputs(classifier, body, images, at_once)
        for kind in pearson:
            features = layers if kind == "all" else [tokens[:, :1] for tokens in layers]
            pearson[kind].add(features)
            cka[kind].add(features)
    if image_ids is not None and num_images != len(image_ids):
        raise ValueError(f"number of images is {num_images}, but there are {len(image_ids)} ids")
    parts = [_rows(f"pearson_{kind}", *moments.result()) for kind, moments in pearson.items()]
    parts += [_rows(f"cka_{kind}", sums.result(), None) for kind, sums in cka.items()]
    if image_ids is not None and body.family == "vit" and body.num_blocks >= _FEWEST_BLOCKS:
        parts += [_rise_rows(kind, moments, image_ids) for kind, moments in pearson.items()]
    table = pa.concat_tables(parts, promote_options="default")
    table = table.append_column("model", pa.array([model] * len(table)))
    table = table.append_column("num_images", pa.array([num_images] * len(table)))
    return table.select(SCHEMA.names).cast(SCHEMA)


class _Pearson:
    """Mean and spread of correlations over images, merged batch by batch (Chan et al. 1983)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor | float = 0.0  # (L, L)
        self.squares: Tensor | float = 0.0  # (L, L), sum of squared deviations from the mean
        self.rises: list[Tensor] = []  # (B,) each

    def add(self, layers: Sequence[Tensor]) -> None:
        """Add the images of a batch, whose layers are (B, ...) each."""
        correlations = pearson_correlations(layers)  # (B, L, L)
        if correlations.shape[1] >= _FEWEST_BLOCKS:
            self.rises.append(rises(correlations))
        total = self.count + len(correlations)
        mean = correlations.mean(dim=0)
        shift = mean - self.mean
        between = shift**2 * (self.count * len(correlations) / total)
        self.squares = self.squares + ((correlations - mean) ** 2).sum(dim=0) + between
        self.mean = self.mean + shift * (len(correlations) / total)
        self.count = total

    def result(self) -> tuple[Tensor, Tensor]:
        """Return mean and sample standard deviation, (L, L) each; NaN where not defined."""
        return torch.as_tensor(self.mean), (torch.as_tensor(self.squares) / (self.count - 1)).sqrt()


class _Cka:
    """Unbiased HSIC of all pairs of layers, averaged over batches by their number of images."""

    def __init__(self) -> None:
        self.total: Tensor | float = 0.0  # (L, L)

    def add(self, layers: Sequence[Tensor]) -> None:
        """Add the images of a batch, whose layers are (B, ...) each."""
        self.total = self.total + len(layers[0]) * unbiased_hsic(layers)

    def result(self) -> Tensor:
        """Return CKA, (L, L)."""
        hsic = torch.as_tensor(self.total)
        scale = hsic.diagonal().sqrt()
        if not (scale > 0).all():
            layer = int((scale > 0).int().argmin())
            raise ValueError(f"features of layer {layer} are the same for all images: no CKA")
        return (hsic / scale / scale[:, None]).clamp(-1, 1)


def pearson_correlations(layers: Sequence[Tensor]) -> Tensor:
    """Return the correlation of every two layers within each image, float64 (B, L, L).

    NaN between layers of unequal shapes. Only one image at a time is in double precision.

    Parameters
    ----------
    layers : features of the same images, (B, ...) each.

    Raises
    ------
    ValueError
        If an image's features of a layer are all the same.
    """
    num_images, num_layers = len(layers[0]), len(layers)
    shape = (num_images, num_layers, num_layers)
    correlations = torch.full(shape, torch.nan, dtype=torch.float64)
    for alike in {layer.shape for layer in layers}:
        numbers = [number for number, layer in enumerate(layers) if layer.shape == alike]
        places = torch.tensor(numbers)
        for image in range(num_images):
            features = torch.stack([layers[number][image].flatten() for number in numbers])
            features = features.double()  # (L', F)
            centred = features - features.mean(dim=1, keepdim=True)
            norms = centred.norm(dim=1, keepdim=True)
            is_constant = norms <= _ROUNDING * features.norm(dim=1, keepdim=True)
            if is_constant.any():
                layer = numbers[int(is_constant.int().argmax())]
                raise ValueError(f"layer {layer} is the same all over an image: no correlation")
            units = centred / norms
            products = (units @ units.T).clamp(-1, 1).cpu()
            correlations[image, places[:, None], places] = products
    return correlations


def rises(correlations: Tensor) -> Tensor:
    """Return the rise of correlation from the first third of the layers to the last, (B,).

    Each third counts by its mean over pairs of different layers; a third is rounded down, but at
    least two.

    Parameters
    ----------
    correlations : (B, L, L), of L >= 4 layers; with fewer, the thirds would share layers.
    """
    size = max(2, correlations.shape[1] // 3)
    pairs = torch.triu_indices(size, size, offset=1)
    first = correlations[:, :size, :size]
    last = correlations[:, -size:, -size:]
    return last[:, pairs[0], pairs[1]].mean(dim=1) - first[:, pairs[0], pairs[1]].mean(dim=1)


def unbiased_hsic(layers: Sequence[Tensor]) -> Tensor:
    """Return the unbiased HSIC, with linear kernels, of every two layers, float64 (L, L).

    The inner product of the Gram matrices after U-centring, over ``n (n - 3)``: U-centring
    subtracts from the off-diagonal the sum of a row term and a column term.

    Parameters
    ----------
    layers : features of the same 4 or more images, (B, ...) each.
    """
    n = len(layers[0])
    grams = []
    for layer in layers:
        # U-centring removes this shift; it avoids a loss of digits.
        features = layer.flatten(1).double()  # (B, F)
        centred = features - features.mean(dim=0)
        if centred.norm() <= _ROUNDING * features.norm():
            centred.zero_()
        gram = (centred @ centred.T).fill_diagonal_(0)
        rows = gram.sum(dim=1)
        gram -= (rows[:, None] + rows) / (n - 2) - rows.sum() / ((n - 1) * (n - 2))
        grams.append(gram.fill_diagonal_(0).flatten())
    stacked = torch.stack(grams)  # (L, B * B)
    return (stacked @ stacked.T).cpu() / (n * (n - 3))


def _large_enough(batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield the images in batches of at least `_FEWEST_IMAGES`; small batches are merged."""
    held: list[Tensor] = []  # complete; the last one receives the remainder
    waiting: list[Tensor] = []
    for images in batches:
        waiting.append(images)
        if sum(map(len, waiting)) >= _FEWEST_IMAGES:
            if held:
                yield torch.cat(held)
            held, waiting = waiting, []
    held += waiting
    if (count := sum(map(len, held))) < _FEWEST_IMAGES:
        raise ValueError(f"number of images is {count}; allowed: {_FEWEST_IMAGES} or more")
    yield torch.cat(held)


def _rows(measure: str, values: Tensor, spreads: Tensor | None) -> pa.Table:
    """Return a row for each pair of layers whose value (L, L) is defined."""
    layer_a, layer_b = values.isnan().logical_not().nonzero(as_tuple=True)
    # A product's two triangles may differ in the last bit.
    values = ((values + values.T) / 2)[layer_a, layer_b]
    spread = pa.nulls(len(values), pa.float64())
    if spreads is not None:
        spread = pa.array(((spreads + spreads.T) / 2)[layer_a, layer_b].numpy())
    return pa.table(
        {
            "measure": [measure] * len(values),
            "layer_a": layer_a.numpy(),
            "layer_b": layer_b.numpy(),
            "value": values.numpy(),
            "spread": spread,
            "image_id": pa.nulls(len(values), pa.string()),
        }
    )


def _rise_rows(kind: str, moments: _Pearson, image_ids: Sequence[str]) -> pa.Table:
    values = torch.cat(moments.rises).numpy()
    return pa.table(
        {
            "measure": [f"pearson_{kind}_rise"] * len(values),
            "value": values,
            "image_id": pa.array(image_ids, pa.string()),
        }
    )
