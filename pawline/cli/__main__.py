"""`pawline COMMAND`, or `python -m pawline.cli COMMAND`."""

import argparse

from pawline.cli import explain, gc, predict, trace, verify, why
from pawline.process import end_with


def main() -> None:
    parser = argparse.ArgumentParser(prog="pawline", description="Train, explain and use image classifiers.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (predict, explain, verify, trace, why, gc):
        command.add_command(commands)
    arguments = parser.parse_args()
    end_with(lambda: arguments.run(arguments))


if __name__ == "__main__":
    main()
