"""`pawline why`: why each stage would run, or which run made what is used now."""

import argparse
import json
from pathlib import Path
from typing import Any

from pawline.terminal import printable, say


def add_command(commands: Any) -> None:
    command = commands.add_parser("why", help="why each stage would run, or which run made what is used now")
    command.add_argument(
        "stage", nargs="?", metavar="STAGE", help="only this stage, with every reason (default: all)"
    )
    command.add_argument(
        "--json", action="store_true", help="one list of {stage, state, reasons, made_at, made_by, saved_seconds}"
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0, whatever the answer is."""
    from pawline.workspace.source_check import check_source, notes, warning_of_moving
    from pawline.workspace.why import ALL, MOST_SHOWN, check_stage, why

    check_stage(arguments.stage)
    check_source(Path())
    for note in [*notes(Path()), *filter(None, [warning_of_moving(Path())])]:
        say(f"note: {note}")
    explanations = why(arguments.stage)
    if arguments.json:
        print(json.dumps([explanation.as_json() for explanation in explanations], indent=2, default=str))
        return 0
    width = max(len(explanation.stage) for explanation in explanations)
    for explanation in explanations:
        text = explanation.text(ALL if arguments.stage else MOST_SHOWN)
        print(f"{explanation.stage:<{width}}  {explanation.state:<16}  {printable(text)}")
    return 0
