"""`pawline gc`: what takes disk and nobody needs; with `--yes` it is deleted."""

import argparse
from typing import Any


def add_command(commands: Any) -> None:
    command = commands.add_parser("gc", help="what takes disk and no version, experiment or model needs")
    command.add_argument("--yes", action="store_true", help="delete it")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from pawline.tracking.deleted_runs import artifacts_of_deleted_runs
    from pawline.workspace.garbage import Garbage, find_garbage, refuse_while_at_work

    if arguments.yes:
        refuse_while_at_work()
    deleted_runs = Garbage(
        "artifacts of deleted MLflow runs", "their models and figures", tuple(artifacts_of_deleted_runs())
    )
    found = [garbage for garbage in (*find_garbage(), deleted_runs) if garbage.paths]
    total = sum(garbage.num_bytes for garbage in found)
    for garbage in found:
        size = readable(garbage.num_bytes)
        print(f"{size:>10}  {garbage.kind} ({len(garbage.paths)}); deleting costs: {garbage.costs}")
        if arguments.yes:
            garbage.delete()
    then = "deleted" if arguments.yes else "would be deleted by `pawline gc --yes`"
    print(f"{readable(total):>10}  {then}" if found else "nothing to delete")
    return 0


def readable(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"
