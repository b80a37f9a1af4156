"""``perturb init``: writes what ``perturb evaluate`` would run."""

from perturb.own.command import add_init_arguments as add_arguments
from perturb.own.command import run

__all__ = ["add_arguments", "run"]
