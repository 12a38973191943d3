"""The `pawline` command."""

import argparse
import json
import re
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.layout import Layout
from tasks.stage import end_with

if TYPE_CHECKING:
    from pawline.predict import Prediction


def main() -> None:
    arguments = _parser().parse_args()
    end_with(lambda: arguments.run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pawline", description="Train, explain and use image classifiers.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    command = commands.add_parser("predict", help="name the class of pictures")
    command.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a picture, a folder of them, a pattern such as '*.jpg', or - for one picture from standard input",
    )
    command.add_argument("--json", action="store_true", help="one list of {path, label, probabilities}")
    command.add_argument(
        "--model",
        default=str(Layout().model),
        metavar="FILE|URI",
        help="a model.keras with its card.json beside it, or an MLflow address: models:/…, runs:/… "
        "(default: %(default)s)",
    )
    command.set_defaults(run=predict)
    command = commands.add_parser("verify", help="read every output again and compare it with dvc.lock")
    command.set_defaults(run=verify)
    command = commands.add_parser("trace", help="which data sets, splits, models and MLflow runs knew a picture")
    command.add_argument("picture", type=Path, metavar="IMAGE")
    command.add_argument("--json", action="store_true", help="one object: digest, sightings")
    command.set_defaults(run=trace)
    command = commands.add_parser("why", help="why each stage would run, or which run made what is used now")
    command.add_argument(
        "stage", nargs="?", metavar="STAGE", help="only this stage, with every reason (default: all)"
    )
    command.add_argument(
        "--json", action="store_true", help="one list of {stage, state, reasons, made_at, made_by, saved_seconds}"
    )
    command.set_defaults(run=why)
    return parser


def predict(arguments: argparse.Namespace) -> int:
    """Exit code 0, or 3 when a picture could not be read; the others are predicted all the same."""
    from pawline.predict import Predictor, find_pictures

    pictures = [picture for path in arguments.paths for picture in find_pictures(path)]
    show = _show_json if arguments.json else _show_lines
    with _model_file(arguments.model) as file:
        return 3 if show(Predictor(file).predict_files(pictures)) else 0


def _model_file(named: str) -> AbstractContextManager[Path]:
    if not re.match("(models|runs):/", named):
        return nullcontext(Path(named))
    from tasks.tracking import downloaded_model

    return downloaded_model(named)


def verify(arguments: argparse.Namespace) -> int:
    """Exit code 0, or 1 when anything differs."""
    from tasks.verify import verify as verify_outputs

    return verify_outputs()


def trace(arguments: argparse.Namespace) -> int:
    """Exit code 0, or 1 when no version knew the picture."""
    from tasks.trace import trace as find

    digest, sightings = find(arguments.picture)
    if arguments.json:
        print(json.dumps({"digest": digest, "sightings": [asdict(sighting) for sighting in sightings]}, indent=2))
    else:
        print(f"SHA-256 {digest}")
        for one in sightings or ():
            model = f"model {one.model_digest[:12]}" if one.model_digest else "no model"
            run = f", MLflow run {one.mlflow_run}" if one.mlflow_run else ""
            print(f"{one.version}: {one.path} ({one.class_name}), {one.part or 'not split'}, {model}{run}")
        if not sightings:
            print("no version of the data set knew this picture")
    return 0 if sightings else 1


def why(arguments: argparse.Namespace) -> int:
    """Exit code 0, whatever the answer is."""
    from tasks.why import why as explained_stages

    explained = explained_stages(arguments.stage)
    if arguments.json:
        print(json.dumps([one.as_json() for one in explained], indent=2, default=str))
    else:
        width = max(len(one.stage) for one in explained)
        for one in explained:
            print(f"{one.stage:<{width}}  {one.state:<16}  {one.text(100 if arguments.stage else 3)}")
    return 0


def _show_json(predictions: Iterable[tuple[Path, "Prediction"]]) -> int:
    """Print one JSON list; return how many pictures could not be read."""
    rows = [
        {"path": str(path), "label": prediction.label, "probabilities": prediction.probabilities}
        | ({"error": prediction.error} if prediction.error else {})
        for path, prediction in predictions
    ]
    print(json.dumps(rows, indent=2))
    return sum("error" in row for row in rows)


def _show_lines(predictions: Iterable[tuple[Path, "Prediction"]]) -> int:
    num_unreadable = 0
    for path, prediction in predictions:
        if prediction.label is None or prediction.probabilities is None:
            num_unreadable += 1
            print(f"{path}: {prediction.error}", file=sys.stderr)
        else:
            print(f"{path}: {prediction.label} {prediction.probabilities[prediction.label]:.1%}")
    return num_unreadable
