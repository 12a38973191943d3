"""`pawline folds N`: how good is the recipe, measured on every picture?"""

import argparse
import json
from typing import Any

from pawline.cli.positive import positive
from pawline.cli.trainings_done import said_each
from pawline.terminal import say


def add_command(commands: Any) -> None:
    command = commands.add_parser("folds", help="judge every picture by a model that did not train on it")
    command.add_argument(
        "count", type=positive, metavar="N", help="number of folds, such as 5; each is one training"
    )
    command.add_argument("--json", action="store_true", help="one object: figures, folds and the files")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 whatever the figures; 2, 3 and 75 as docs/folds.md lists them."""
    from pawline.folds import FoldPlan, join_folds, measure_folds
    from pawline.params.whole import load_params
    from pawline.series import run_each
    from pawline.workspace.kept_series import keep_series, read_data
    from pawline.workspace.layout import Layout

    params = load_params()
    images, split = read_data(Layout())
    plan = FoldPlan.of(split, arguments.count, images.class_names, params.split, params.train)
    with keep_series("folds", params, images, split, arguments.count) as kept:
        if (figures := kept.result()) is None:
            found = said_each(run_each(kept.series, plan), len(plan.names))
            predictions = join_folds([table for _, table in found])
            figures = kept.finish(predictions, measure_folds(predictions, split))
        else:
            say("these folds are complete already: same data, params and code")
        from pawline.tracking.series_run import log_series

        log_series("folds", kept.key, params, split, figures, [kept.predictions, kept.figures])
        if arguments.json:
            print(json.dumps(figures | {"predictions": str(kept.predictions)}, indent=2))
        else:
            print("\n".join([*fold_lines(figures), f"predictions        {kept.predictions}"]))
    return 0


def fold_lines(figures: dict[str, Any]) -> list[str]:
    """The figures for a terminal."""
    folds = [fold["accuracy"] for fold in figures["folds"]]
    interval = f"{figures['accuracy_low']:.3f} to {figures['accuracy_high']:.3f}"
    spread = f"folds {min(folds):.3f} to {max(folds):.3f}"
    return [
        f"{figures['num_images']:,} pictures, each judged by one of {len(folds)} models, which did not train on it",
        f"accuracy           {figures['accuracy']:.3f}   (95 % interval {interval}; {spread})",
        f"balanced accuracy  {figures['balanced_accuracy']:.3f}",
        f"area under ROC     {figures['auc']:.3f}",
        f"log loss           {figures['loss']:.3f}",
        f"the interval is that of {figures['interval_of']}",
    ]
