"""`pawline COMMAND`, or `python -m pawline.cli COMMAND`."""

import argparse
import sys
from importlib import import_module

from pawline.process import end_with

COMMANDS = ("predict", "export", "verify", "trace", "why", "gc")  # each is a module beside this one


def main() -> None:
    parser = argparse.ArgumentParser(prog="pawline", description="Train, explain and use image classifiers.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    # The modules take time to load, and `predict` should not wait for those of the others.
    for name in [name for name in COMMANDS if name in sys.argv[1:2]] or COMMANDS:
        import_module(f"pawline.cli.{name}").add_command(commands)
    arguments = parser.parse_args()
    end_with(lambda: arguments.run(arguments))


if __name__ == "__main__":
    main()
