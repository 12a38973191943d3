"""`pawline report`: make the report again for somebody else, for example without pictures."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pawline.cli.out_file import PAGE, REPORT_DATA, check_out, write_out
from pawline.errors import DatasetError
from pawline.workspace.layout import Layout


def add_command(commands: Any) -> None:
    command = commands.add_parser("report", help="make the report again for others, for example without pictures")
    command.add_argument("--no-pictures", action="store_true", help="leave out every thumbnail")
    command.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        required=True,
        help="the page to make (.html), or the same as data (.json)",
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 2 for a file that is not to be overwritten, 3 where an output of the pipeline is missing."""
    from pawline.files import write_json
    from pawline.page.inputs import read_inputs
    from pawline.report import describe, render, report_data

    at, out = Layout(), arguments.out
    check_out(out, PAGE, REPORT_DATA)
    try:
        inputs = replace(read_inputs(vars(at)), params=_params_of_stage(at.report_data))
        content = describe(inputs, pictures=not arguments.no_pictures)
    except FileNotFoundError as error:
        raise DatasetError(f"{error.filename}: not there; make it with `dvc repro`") from None
    if out.suffix.lower() == REPORT_DATA.suffix:
        write_out(out, report_data(content), write_json)
    else:
        write_out(out, render(content))
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
    return 0


def _params_of_stage(data: Path) -> dict[str, Any]:
    """The params with which the stage made its report; params.yaml may have others by now."""
    if not data.exists():
        return {}
    found = json.loads(data.read_text(encoding="utf-8"))["provenance"].get("params", {})
    return dict(found)
