"""`pawline compare`: is the second run better than the first, and on which pictures?"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pawline.cli.out_file import PAGE, check_out, write_out
from pawline.cli.standard_output import show
from pawline.errors import ParamsError
from pawline.terminal import printable, say

FILE, ARTIFACTS = "compare.html", "compare"


def add_command(commands: Any) -> None:
    command = commands.add_parser(
        "compare", help="two MLflow runs on the same test pictures: better, worse, can't tell"
    )
    which = (
        "an MLflow run: its id or the beginning of it, its name or that of its DVC experiment, models:/…, or workspace "
        "for the present outputs"
    )
    command.add_argument("first", metavar="RUN_A", help=which)
    command.add_argument("second", metavar="RUN_B", help="the run to judge, named in the same way")
    command.add_argument("--json", action="store_true", help="one object with everything that was found")
    command.add_argument("--out", type=Path, metavar="PAGE.html", help="also write a page that opens offline")
    command.add_argument("--no-pictures", action="store_true", help="leave pictures out of the page, to share it")
    command.add_argument("--no-log", action="store_true", help="do not put the page into the MLflow run of RUN_B")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 whatever the verdict: it is an answer."""
    if arguments.out:
        check_out(arguments.out, PAGE)
    from pawline.compare import compare
    from pawline.compare_page import compare_lines, compare_page
    from pawline.tracking.compared_runs import find_compared

    first, second = find_compared(arguments.first), find_compared(arguments.second)
    if first.judged.name == second.judged.name:
        raise ParamsError(f"both are the same run, {first.judged.name}; name two different ones")
    found = compare(first.judged, second.judged)
    page = compare_page(found, None if arguments.no_pictures else _images())
    if arguments.out:
        write_out(arguments.out, page)
    if arguments.json:
        show([json.dumps(found.to_json(), indent=2, allow_nan=False)])
    else:
        show(map(printable, compare_lines(found)))
    if not arguments.no_log:
        _log(second.run_id, first.run_id or "workspace", page)
    return 0


def _images() -> Any:
    """The prepared pictures of this checkout, None where there are none."""
    from pawline.prepared import PreparedImages
    from pawline.workspace.layout import Layout

    folder = Layout().prepared
    return PreparedImages(folder) if (folder / "prepared.json").exists() else None


def _log(run_id: str, other: str, page: str) -> None:
    """Put the page into the second run, in a folder named like the first."""
    from pawline.tracking.compared_runs import log_comparison

    if not run_id:
        say("not logged to MLflow: no run there made the model of RUN_B")
        return
    with TemporaryDirectory() as folder:
        file = Path(folder, FILE)
        file.write_text(page, encoding="utf-8")
        log_comparison(run_id, file, f"{ARTIFACTS}/{other[:8]}")
