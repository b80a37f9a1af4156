"""Commands beside the workflow: ``perturb cost --configfile config/imagenet.yaml``."""

import argparse
import importlib
import sys
from collections.abc import Sequence

#: The module of each command, which has `add_arguments` and `run`, and its purpose.
COMMANDS = {
    "evaluate": ("perturb.own.command", "evaluate models on images: MODEL... DATA"),
    "init": ("perturb.own.init", "write the configuration that `evaluate` would run"),
    "cost": ("perturb.cost.command", "what a study takes, before it is run"),
    "resume": ("perturb.runs.resume", "go on after a crash: clear up what it left, then run"),
    "compare": ("perturb.sharing.compare", "paired differences of two models of a study"),
    "merge": ("perturb.sharing.merge", "lay results folders of one grid together"),
    "show": ("perturb.runs.show", "open the report of a study in the browser"),
    "status": ("perturb.runs.status", "what a study has and lacks, and what it took"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, that of the command line for None; return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="perturb", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    # Only the chosen command is imported, to start without the imports of others.
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    for name, (module, purpose) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        if name == chosen:
            loaded = importlib.import_module(module)
            loaded.add_arguments(command)
            command.set_defaults(run=loaded.run)
    parsed, more = parser.parse_known_args(arguments)
    if more and not getattr(parsed, "hands_on", False):
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    parsed.more = more
    status: int = parsed.run(parsed)
    return status


if __name__ == "__main__":
    sys.exit(main())
