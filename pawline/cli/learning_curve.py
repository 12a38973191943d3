"""`pawline learning-curve`: would more data help, and how much?"""

import argparse
import json
from pathlib import Path
from typing import Any

from pawline.cli.out_file import PAGE, check_out, write_out
from pawline.cli.trainings_done import said_each
from pawline.terminal import say


def add_command(commands: Any) -> None:
    command = commands.add_parser(
        "learning-curve",
        help="would more data help? trains on 10, 25, 50 and 100 %% of the train part, ten times in all",
    )
    command.add_argument("--json", action="store_true", help="one object: points, fitted curve, forecast, answer")
    command.add_argument(
        "--out", type=Path, metavar="PAGE.html", help="also write the page there; it opens offline"
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 whatever the answer."""
    if arguments.out:
        check_out(arguments.out, PAGE)
    from pawline.files import write_text
    from pawline.learning_curve import CurvePlan, answer, join_trainings, measure_curve
    from pawline.learning_curve_page import curve_lines, curve_page
    from pawline.params.whole import load_params
    from pawline.series import run_each
    from pawline.workspace.kept_series import keep_series, read_data
    from pawline.workspace.layout import Layout

    params = load_params()
    images, split = read_data(Layout())
    plan = CurvePlan.of(split, params.train, params.split.seed)
    with keep_series("learning_curve", params, images, split, [*plan.shares, plan.num_draws]) as kept:
        if (found := kept.result()) is None:
            tables = dict(said_each(run_each(kept.series, plan), len(plan.names)))
            measured = measure_curve(plan, tables)
            found = kept.finish(join_trainings(tables), answer(measured))
        else:
            say("this curve is complete already: same data, params and code")
        page = kept.folder / "learning_curve.html"
        write_text(page, curve_page(found))
        if arguments.out:
            write_out(arguments.out, page.read_text(encoding="utf-8"))
        from pawline.tracking.series_run import log_series

        log_series("learning-curve", kept.key, params, split, found, [kept.figures, page])
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join([*curve_lines(found), f"page: {arguments.out or page}"]))
    return 0
