"""The options of `perturb evaluate` and `perturb init`."""

import argparse
from pathlib import Path

from perturb.own.asked_experiments import USUAL
from perturb.own.study import IMAGES

STUDY = Path("study.yaml")


def add_study_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is evaluated."""
    parser.allow_abbrev = False
    parser.usage = f"perturb {parser.prog.split()[-1]} [options] MODEL... DATA"
    parser.add_argument(
        "words",
        nargs="*",
        metavar="MODEL... DATA",
        help="MODEL: a name or tag of timm, a file of weights with --architecture, or "
        "package.module:function; NAME=MODEL names it. DATA: a folder with a folder for each "
        "class, an archive, Parquet, or a name such as imagenet-v2. Words that the study has "
        "already may be left out",
    )
    parser.add_argument(
        "--study", type=Path, default=STUDY, help=f"the file of the study; {STUDY} unless given"
    )
    parser.add_argument(
        "--experiments",
        metavar="A,B",
        help=f"{', '.join(USUAL)} unless given; names as in the configuration",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--images", type=int, help=f"of each experiment; {IMAGES} unless given")
    size.add_argument(
        "--budget", metavar="1h", help="the time that the study may take; sets the images"
    )
    parser.add_argument(
        "--classes",
        metavar="FILE",
        help="JSON file with the class of each folder or label; or `numbers`, if these are numbers",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), help="cpu unless given")
    parser.add_argument(
        "--tflops", type=float, help="speed that the device reaches, for the estimate of the time"
    )
    view = parser.add_argument_group("networks of files and functions")
    view.add_argument(
        "--architecture", action="append", default=[], metavar="NAME", help="timm's, for each file"
    )
    view.add_argument("--side", type=int, help="of the network's input [px]")
    view.add_argument("--mode", choices=("crop", "squash"), help="how images become squares")
    view.add_argument("--crop", type=float, help="fraction of the short side that is kept")
    view.add_argument("--mean", type=float, nargs=3, help="of each channel, in [0, 1]")
    view.add_argument("--std", type=float, nargs=3, help="of each channel, in [0, 1]")
