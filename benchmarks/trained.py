"""Small networks trained on the embedded image family, partly on attacked images: some stand."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from perturb.datasets.store import Images
from perturb.datasets.synthetic.generated import generate
from perturb.experiments.attacks.gradients import pgd
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing

SIDE = 16
CLASSES = 12
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "vit": {"patch_size": 4, "embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2},
    "resnet": {"layers": [1, 1], "channels": [16, 32], "num_groups": 4, "stem_channels": 8},
}


def pictures(split: str, count: int) -> tuple[Tensor, Tensor]:
    """Return images at half their side, uint8 (B, 3, 16, 16), and their classes."""
    batch = generate("target", split, 1, torch.arange(count))
    small = F.avg_pool2d(batch.images.float(), 2).round().to(torch.uint8)
    return small, batch.targets


def trained(family: str, *, num_images: int = 4_000, epochs: int = 10) -> Classifier:
    """Return a classifier trained with a PGD step of 4/255 on half of each batch."""
    torch.manual_seed(0)
    network = build_network(family, _ARGUMENTS[family], CLASSES, SIDE)
    classifier = Classifier(network, Preprocessing.of_trained(SIDE))
    images, targets = pictures("train", num_images)
    steps = torch.optim.AdamW(classifier.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        steps, 4e-3, total_steps=epochs * (num_images // 100)
    )
    for _ in range(epochs):
        for rows in torch.randperm(num_images).reshape(-1, 100):
            pixels, classes = images[rows].float() / 255, targets[rows]
            half = len(rows) // 2
            classifier.eval()
            pixels[:half] = pgd(
                classifier, pixels[:half], classes[:half], 4 / 255, steps=2, step_size=3 / 255
            )
            classifier.train()
            steps.zero_grad()
            F.cross_entropy(classifier(pixels), classes).backward()  # type: ignore[no-untyped-call]
            steps.step()
            schedule.step()
    return classifier.eval()


def attacked_images(classifier: Classifier, count: int) -> Images:
    """Return test images that are predicted correctly."""
    images, targets = pictures("test", 4 * count)
    with torch.no_grad():
        is_correct = classifier(images).argmax(dim=1) == targets
    rows = is_correct.nonzero()[:count, 0]
    return Images(images[rows], rows, targets[rows])
