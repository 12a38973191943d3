"""`pawline promote` and `pawline rollback`: move the alias `champion` of the registered model."""

import argparse
from typing import Any


def add_command(commands: Any) -> None:
    command = commands.add_parser(
        "promote", help="make a registered version the champion, if the gate is in favour"
    )
    command.add_argument(
        "version",
        nargs="?",
        type=int,
        metavar="VERSION",
        help="its number (default: the one with the alias challenger)",
    )
    command.add_argument("--anyway", action="store_true", help="whatever the gate says")
    command.set_defaults(run=run)
    back = commands.add_parser("rollback", help="go back to the champion before")
    back.set_defaults(run=run_rollback)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 where the version is the champion now, 1 where it is not."""
    from pawline.tracking.promotion import promote

    return _answer(*promote(arguments.version, arguments.anyway))


def run_rollback(arguments: argparse.Namespace) -> int:
    """Exit code 0, or 1 where there was no champion before."""
    from pawline.tracking.promotion import rollback

    return _answer(*rollback())


def _answer(is_done: bool, words: str) -> int:
    print(words)
    return 0 if is_done else 1
