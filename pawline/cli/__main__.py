"""`pawline COMMAND`, or `python -m pawline.cli COMMAND`."""

import argparse
import sys
from importlib import import_module

from pawline.cli.standard_output import until_reader_leaves
from pawline.errors import ParamsError
from pawline.process import end_with
from pawline.workspace.checkout import is_checkout

# By command, the module beside this one; in the order in which people meet the commands.
MODULES = {
    "predict": "predict",
    "explain": "explain",
    "serve": "serve",
    "export": "export",
    "drift": "drift",
    "report": "report",
    "suspects": "suspects",
    "relabel": "relabel",
    "compare": "compare",
    "folds": "folds",
    "learning-curve": "learning_curve",
    "recipe": "recipe",
    "register": "register",
    "promote": "promote",
    "rollback": "promote",
    "why": "why",
    "verify": "verify",
    "trace": "trace",
    "gc": "gc",
}

# These answer about the data, the model or the past of a checkout.
OF_A_CHECKOUT = {
    *("report", "suspects", "relabel", "folds", "learning-curve", "compare"),
    *("register", "promote", "rollback", "why", "verify", "trace", "gc"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="pawline", description="Train, explain and use image classifiers.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    # The modules take time to load, and a command should not wait for those of the others.
    asked = MODULES.get(sys.argv[1]) if len(sys.argv) > 1 else None
    for module in dict.fromkeys([asked] if asked else MODULES.values()):
        import_module(f"pawline.cli.{module}").add_command(commands)
    arguments = parser.parse_args()
    end_with(lambda: until_reader_leaves(lambda: _run(sys.argv[1], arguments)))


def _run(command: str, arguments: argparse.Namespace) -> int | None:
    if command in OF_A_CHECKOUT and not is_checkout():
        raise ParamsError(f"{command}: no dvc.yaml is here; `cd` into a checkout")
    code: int | None = arguments.run(arguments)
    return code


if __name__ == "__main__":
    main()
