"""Passes of gradient attacks: an upper bound, as if no image were misled before the last step."""

from perturb.experiments.declaration import Asked, Passes


def fgsm(_: Asked) -> Passes:
    """Return the passes of FGSM: the clean prediction, its gradient, the final prediction."""
    return Passes(predictions=2, gradients=1)


def pgd(asked: Asked) -> Passes:
    """Return the passes of PGD; without random start the clean gradient is the first step's."""
    return Passes(predictions=2) + descents(asked, knows_first=True)


def descents(asked: Asked, *, knows_first: bool) -> Passes:
    """Return the passes of PGD's steps: all restarts, and the predictions between them."""
    steps, restarts = asked.option("steps"), asked.option("restarts")
    is_random = bool(asked.entry.options["random_start"])
    clean = 1 if knows_first and is_random else 0
    return Passes(predictions=restarts - 1, gradients=clean + steps * restarts)


def attack_ensemble(asked: Asked) -> Passes:
    """Return the passes of the ensemble: the clean gradient, then each attack with its prediction.

    A run of APGD takes a gradient at its start and after each step, and a run of FAB takes a
    gradient and a prediction in each step; after each run, and after Square, the images are
    predicted again.
    """
    steps, restarts = asked.option("steps"), asked.option("restarts")
    clean_and_square = Passes(predictions=1 + asked.option("queries") + 1, gradients=1)
    climb = Passes(predictions=1, gradients=steps + 1)
    passes = clean_and_square + climb.times(restarts)
    if "apgd_dlr" in asked.entry.conditions:
        passes += climb.times(restarts * asked.option("targets"))
    if "fab" in asked.entry.conditions:
        run = Passes(predictions=steps + 1, gradients=steps)
        passes += run.times(asked.option("targets"))
    return passes
