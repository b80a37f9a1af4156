"""The standard set of the attack ensemble beside torchattacks' AutoAttack: the images broken.

Where APGD breaks what can be broken, FAB and Square have nothing left to do, and a set in which
both do nothing would break the same images. So one network here hides its gradient from APGD but
not from FAB, and one has no gradient: there FAB, or Square, decides the result.
Both sides take the same steps, targets and queries, fewer than published.
"""

import pytest
import torch
from torch import Tensor, nn

from benchmarks.standard_attacks import CONDITIONS, ours, theirs
from perturb.datasets.store import Images
from perturb.models.classifier import Classifier, Preprocessing
from tests.attacked_networks import NUM_CLASSES, SIDE, Head, make_classifier, make_images

BUDGET = {"steps": 20, "restarts": 1, "targets": 2, "queries": 50}
OF_SQUARE = {"steps": 5, "restarts": 1, "targets": 1, "queries": 1000}


class Hidden(nn.Module):
    """A linear network of two classes whose two losses give APGD no direction, and four others.

    The cross-entropy is saturated. The DLR loss divides by the distance to the third and fourth
    logits, which are never the highest but change fast; FAB follows the first two alone.
    """

    num_classes = NUM_CLASSES

    def __init__(self) -> None:
        super().__init__()
        self.head = Head(lambda x: x, 0.1, 2)
        generator = torch.Generator().manual_seed(5)
        self.waves = nn.Parameter(torch.randn(3 * SIDE**2, generator=generator))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits (B, K)."""
        fast = torch.sin(1e4 * pixels.flatten(1) @ self.waves)[:, None] - 20
        return 1e6 * torch.cat([self.head(pixels), fast.expand(-1, NUM_CLASSES - 2)], dim=1)


def make_case(kind: str, count: int) -> tuple[Classifier, Images]:
    """Return a network and images that it gets right."""
    networks: dict[str, nn.Module] = {
        "hidden": Hidden(),
        "no gradient": Head(lambda x: x.detach() + 0 * x, 0.1, NUM_CLASSES),
    }
    plain = Preprocessing(SIDE, mean=(0, 0, 0), std=(1, 1, 1))
    classifier = (
        Classifier(networks[kind], plain).eval() if kind in networks else make_classifier(kind)
    )
    return classifier, make_images(classifier, count)


def compared(
    classifier: Classifier, images: Images, norm: str, epsilon: float, budget: dict[str, int]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the images broken by the end of each attack, bool (B,), by us and by the peer."""
    given = (classifier, images, norm, epsilon, budget)
    return dict(zip(CONDITIONS, zip(ours(*given), theirs(*given), strict=True), strict=True))


@pytest.mark.parametrize(
    ("kind", "norm", "epsilon"), [("vit", "Linf", 0.008), ("resnet", "L2", 0.05)]
)
def test_networks_are_broken_on_the_same_images(kind: str, norm: str, epsilon: float) -> None:
    broken = compared(*make_case(kind, 40), norm, epsilon, BUDGET)
    assert (broken["square"][0] != broken["square"][1]).sum() <= 1
    assert 5 <= broken["square"][0].sum() <= 35


@pytest.mark.parametrize(("norm", "epsilon"), [("Linf", 0.03), ("L2", 0.6)])
def test_fab_breaks_what_is_hidden_from_apgd(norm: str, epsilon: float) -> None:
    broken = compared(*make_case("hidden", 50), norm, epsilon, BUDGET)
    for side in range(2):
        assert broken["fab"][side].sum() >= broken["apgd_dlr"][side].sum() + 20
    for name in ("fab", "square"):
        assert (broken[name][0] != broken[name][1]).sum() <= 1


def distances(classifier: Classifier, images: Images, norm: str) -> Tensor:
    """Return the distance of each image to the nearest boundary of a linear network, (B,)."""
    weights = next(classifier.parameters()).detach()
    with torch.no_grad():
        logits = classifier(images.pixels)
    steps = weights[images.targets][:, None] - weights  # (B, K, pixels)
    # The change of a logit by a unit move is its gradient's length in the dual norm.
    lengths = torch.linalg.vector_norm(steps, ord=1 if norm == "Linf" else 2, dim=2)
    gaps = (logits.gather(1, images.targets[:, None]) - logits) / lengths
    nearest: Tensor = gaps.scatter(1, images.targets[:, None], torch.inf).amin(dim=1)
    return nearest


@pytest.mark.parametrize(("norm", "epsilon"), [("Linf", 0.02), ("L2", 0.4)])
def test_square_breaks_what_has_no_gradient(norm: str, epsilon: float) -> None:
    classifier, images = make_case("no gradient", 60)
    # Of images that just can be broken a short random search breaks some, and another one others.
    shares = distances(classifier, images, norm) / epsilon
    rows = ((shares < 0.4) | (shares > 1)).nonzero()[:, 0]
    images = Images(*(values[rows] for values in (images.pixels, images.keys, images.targets)))
    broken = compared(classifier, images, norm, epsilon, OF_SQUARE)
    for side in range(2):
        assert broken["square"][side].sum() >= broken["fab"][side].sum() + 10
    assert (broken["square"][0] != broken["square"][1]).sum() <= 1
