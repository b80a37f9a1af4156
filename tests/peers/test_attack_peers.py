"""FGSM, PGD, APGD, FAB and Square beside torchattacks and foolbox, which none of us wrote.

The peers' images may lie a rounding outside the ball, ours may not (``gradients.py`` says why).
Ours are theirs, bit for bit, after the same last correction, which moves no pixel by more than
2**-24.
Where epsilon and the gray levels are multiples of a power of two nothing has to be corrected, and
the images are equal as they are.
"""

from collections.abc import Callable
from typing import Any

import foolbox
import pytest
import torch
import torchattacks
from torch import Tensor

from perturb.experiments.attacks import gradients
from perturb.experiments.attacks.apgd import apgd
from perturb.experiments.attacks.attack_ensemble import fab, square, targeted_dlr
from perturb.experiments.attacks.balls import ball
from perturb.experiments.attacks.gradients import fgsm, pgd
from perturb.experiments.attacks.norms import L2, LINF, NORMS, Norm
from perturb.models.architectures import build_network
from perturb.models.classifier import Classifier, Preprocessing

ARGUMENTS = {
    "vit": {"patch_size": 8, "embed_dim": 64, "depth": 4, "num_heads": 2, "mlp_ratio": 2},
    "resnet": {
        "layers": [2, 2, 2],
        "channels": [32, 64, 128],
        "num_groups": 4,
        "stem_channels": 32,
    },
}
Case = tuple[Classifier, Tensor, Tensor]


def make_case(family: str, levels: int = 255) -> Case:
    """Return a network of random weights, noise of some gray levels, its own predictions.

    Of 8 images: torchattacks averages the loss, and a division by 8 is exact.
    """
    torch.manual_seed(0)
    network = build_network(family, ARGUMENTS[family], 12, 32)
    with torch.no_grad():  # a fresh head is all zeros, and so would be every gradient
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    classifier = Classifier(network, Preprocessing.of_trained(32)).eval()
    images = torch.randint(0, levels, (8, 3, 32, 32)).float() / levels
    return classifier, images, gradients.predict(classifier, images).argmax(dim=1)


def _foolbox(attack: Any, case: Case, epsilon: float) -> Tensor:
    classifier, images, targets = case
    model = foolbox.PyTorchModel(classifier, bounds=(0, 1))
    found: Tensor = attack.run(
        model, images, foolbox.criteria.Misclassification(targets), epsilon=epsilon
    )
    return found


def _torchattacks_pgd(case: Case, epsilon: float, steps: int, step_size: float) -> Tensor:
    peer = torchattacks.PGD(case[0], eps=epsilon, alpha=step_size, steps=steps, random_start=False)
    found: Tensor = peer(case[1], case[2])
    return found


def _foolbox_pgd(case: Case, epsilon: float, steps: int, step_size: float) -> Tensor:
    peer = foolbox.attacks.LinfPGD(abs_stepsize=step_size, steps=steps, random_start=False)
    return _foolbox(peer, case, epsilon)


def _torchattacks_fgsm(case: Case, epsilon: float) -> Tensor:
    found: Tensor = torchattacks.FGSM(case[0], eps=epsilon)(case[1], case[2])
    return found


def _foolbox_fgsm(case: Case, epsilon: float) -> Tensor:
    return _foolbox(foolbox.attacks.LinfFastGradientAttack(), case, epsilon)


def _assert_equal(ours: Tensor, theirs: Tensor, images: Tensor, epsilon: float) -> None:
    assert torch.equal(ours, theirs.clamp(*ball(images, epsilon)))
    assert (ours - theirs).abs().max() <= 2**-24
    if epsilon == 1 / 64:
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("family", ARGUMENTS)
@pytest.mark.parametrize(("levels", "epsilon"), [(255, 1 / 255), (255, 8 / 255), (256, 1 / 64)])
@pytest.mark.parametrize(("steps", "relative_step"), [(8, 0.125), (20, 0.25)])
@pytest.mark.parametrize("peer", [_torchattacks_pgd, _foolbox_pgd])
def test_pgd(
    peer: Callable[[Case, float, int, float], Tensor],
    family: str,
    *,
    levels: int,
    epsilon: float,
    steps: int,
    relative_step: float,
) -> None:
    case = make_case(family, levels)
    classifier, images, targets = case
    step_size = relative_step * epsilon
    theirs = peer(case, epsilon, steps, step_size)
    ours = pgd(classifier, images, targets, epsilon, steps=steps, step_size=step_size)
    assert (ours != images).float().mean() > 0.5
    _assert_equal(ours, theirs, images, epsilon)


@pytest.mark.parametrize("family", ARGUMENTS)
@pytest.mark.parametrize(("levels", "epsilon"), [(255, 1 / 255), (255, 8 / 255), (256, 1 / 64)])
@pytest.mark.parametrize("peer", [_torchattacks_fgsm, _foolbox_fgsm])
def test_fgsm(
    peer: Callable[[Case, float], Tensor], family: str, levels: int, epsilon: float
) -> None:
    case = make_case(family, levels)
    classifier, images, targets = case
    ours = fgsm(classifier, images, targets, epsilon)
    _assert_equal(ours, peer(case, epsilon), images, epsilon)


# ------------------------------------------------------------------------ the attack ensemble


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return gradients.cross_entropy(logits, labels[:, 0])


def _start(images: Tensor, epsilon: float, seed: int) -> Tensor:
    """Return where the peer starts after this seed."""
    torch.manual_seed(seed)
    noise = 2 * torch.rand(images.shape) - 1
    return images + epsilon * noise / noise.abs().amax(dim=(1, 2, 3), keepdim=True)


def _targeted_dlr(logits: Tensor, true: Tensor, aim: Tensor) -> Tensor:
    return targeted_dlr(logits, torch.stack([true, aim], dim=1))


@pytest.mark.parametrize("family", ARGUMENTS)
@pytest.mark.parametrize("kind", ["ce", "dlr"])
@pytest.mark.parametrize("epsilon", [2**-15, 2**-8])
def test_apgd_from_the_same_start(family: str, kind: str, epsilon: float) -> None:
    # One image at a time: the peer goes on with images that are broken, and a network's last bits
    # depend on how many images there are. 100 steps: there its checkpoints are the paper's.
    classifier, images, targets = make_case(family, 256)
    num_standing = 0
    for i in range(2):
        image, target = images[i : i + 1], targets[i : i + 1]
        start = _start(image, epsilon, seed=i)
        torch.manual_seed(i)
        if kind == "ce":
            peer = torchattacks.APGD(classifier, eps=epsilon, steps=100)
            loss, labels = _cross_entropy, target[:, None]
        else:
            peer = torchattacks.APGDT(classifier, eps=epsilon, steps=100)
            peer.target_class = 2
            # The peer rounds its loss in another order, which turns signs of gradients near zero on
            # some processors: both climb ours, and the two losses are compared by themselves.
            theirs, peer.dlr_loss_targeted = peer.dlr_loss_targeted, _targeted_dlr
            runner_up = classifier(image).topk(2, dim=1).indices[:, 1]
            loss, labels = targeted_dlr, torch.stack([target, runner_up], dim=1)
            logits = classifier(image)
            expected = theirs(logits, target, runner_up)
            assert torch.allclose(targeted_dlr(logits, labels), expected, rtol=1e-5)
        best, is_standing, _, _ = peer.attack_single_run(image, target)
        with gradients.frozen(classifier):
            ours = apgd(
                classifier, image, labels, epsilon=epsilon, loss=loss, start=start, steps=100
            )
        assert (classifier(ours).argmax(dim=1) == target) == is_standing
        if is_standing:
            num_standing += 1
            assert torch.equal(ours, best)
    assert num_standing == (2 if epsilon == 2**-15 else 0)


@pytest.mark.parametrize("family", ARGUMENTS)
@pytest.mark.parametrize("kind", ["ce", "dlr"])
@pytest.mark.parametrize("epsilon", [0.002, 0.5])
def test_apgd_in_the_l2_ball(family: str, kind: str, epsilon: float) -> None:
    """Lengths are rounded in another order, so paths part in time: both climb as high."""
    classifier, images, targets = make_case(family, 256)
    num_standing = 0
    for i in range(2):
        image, target = images[i : i + 1], targets[i : i + 1]
        runner_up = classifier(image).topk(2, dim=1).indices[:, 1]
        name, loss, labels = {
            "ce": ("APGD", _cross_entropy, target[:, None]),
            "dlr": ("APGDT", targeted_dlr, torch.stack([target, runner_up], dim=1)),
        }[kind]
        peer = getattr(torchattacks, name)(classifier, norm="L2", eps=epsilon, steps=100)
        peer.target_class = 2
        torch.manual_seed(i)
        best, is_standing, _, _ = peer.attack_single_run(image, target)
        start = L2.random_move(torch.tensor([i]), image) * epsilon + image
        with gradients.frozen(classifier):
            ours = apgd(
                classifier,
                image,
                labels,
                epsilon=epsilon,
                loss=loss,
                start=start,
                steps=100,
                norm=L2,
            )
        assert (classifier(ours).argmax(dim=1) == target) == is_standing
        if is_standing:
            num_standing += 1
            clean, found, expected = (
                loss(classifier(pixels), labels).item() for pixels in (image, ours, best)
            )
            assert found - clean == pytest.approx(expected - clean, rel=0.02)
    assert num_standing == (2 if epsilon == 0.002 else 0)


@pytest.mark.parametrize("family", ARGUMENTS)
@pytest.mark.parametrize("norm", [LINF, L2])
def test_fab_finds_as_near_images(family: str, norm: Norm) -> None:
    """At 1 % above the distance that the peer finds ours breaks the image, at 10 % below it not."""
    classifier, images, targets = make_case(family)
    images, targets = images[:3], targets[:3]
    # One target: what the peer breaks with the first it does not bring nearer with others.
    peer = torchattacks.FAB(
        classifier, norm=norm.id, eps=1e3, steps=100, multi_targeted=True, n_classes=2
    )
    theirs = peer(images, targets)
    is_broken = classifier(theirs).argmax(dim=1) != targets
    assert is_broken.all()
    distances = norm.size(theirs - images)
    options: dict[str, Any] = {"steps": 100, "num_targets": 1, "norm": norm}
    for share, is_left in ((1.01, False), (0.9, True)):
        for i, distance in enumerate(distances.tolist()):
            row = slice(i, i + 1)
            found = fab(classifier, images[row], targets[row], share * distance, **options)
            assert bool((classifier(found).argmax(dim=1) == targets[row]).all()) == is_left


@pytest.mark.parametrize("family", ARGUMENTS)
@pytest.mark.parametrize(("norm", "epsilon"), [("Linf", 1 / 4096), ("L2", 1 / 256)])
def test_square_of_other_draws_lowers_the_margin_alike(
    family: str, norm: str, epsilon: float
) -> None:
    classifier, images, targets = make_case(family)

    def margins(found: Tensor) -> Tensor:
        logits = gradients.predict(classifier, found)
        others = logits.scatter(1, targets[:, None], -torch.inf).amax(dim=1)
        return logits.gather(1, targets[:, None])[:, 0] - others

    # All are to stand: those that break are returned at different moments.
    is_clear = margins(images) > 0.1
    images, targets = images[is_clear], targets[is_clear]
    keys = torch.arange(len(images))
    peer = torchattacks.Square(classifier, norm=norm, eps=epsilon, n_queries=100, loss="margin")
    peer.init_hyperparam(images)
    ours, theirs = [], []
    for seed in range(4):
        torch.manual_seed(seed)
        theirs.append(margins(peer.attack_single_run(images, targets)[1]))
        options: dict[str, Any] = {"keys": keys, "seed": seed, "queries": 100, "norm": NORMS[norm]}
        ours.append(margins(square(classifier, images, targets, epsilon, **options)))
    assert torch.stack(ours + theirs).min() > 0
    lowered = (margins(images) - torch.stack(ours)).mean()
    expected = (margins(images) - torch.stack(theirs)).mean()
    assert 0.85 < lowered / expected < 1.25
