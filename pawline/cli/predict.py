"""`pawline predict`: name the class of pictures."""

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pawline.errors import ModelError
from pawline.terminal import printable
from pawline.workspace.layout import Layout

if TYPE_CHECKING:
    from pawline.predict import Prediction


def add_command(commands: Any) -> None:
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
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0, or 3 when a picture could not be read; the others are predicted all the same."""
    from pawline.predict import Predictor, find_pictures

    passed_over: list[Path] = []
    pictures = [picture for path in arguments.paths for picture in find_pictures(path, passed_over)]
    if passed_over:
        example = printable(str(passed_over[0]), sys.stderr)
        print(
            f"pawline: passed over {len(passed_over)} files that are no pictures, such as {example}",
            file=sys.stderr,
        )
    show = _show_json if arguments.json else _show_lines
    try:
        with _model_file(arguments.model) as file:
            return 3 if show(Predictor(file).predict_files(pictures)) else 0
    except ModelError as error:
        raise ModelError(f"{error}; {_next_command(arguments.model)}") from None


def _next_command(model: str) -> str:
    if model == str(Layout().model):
        return "make it with `dvc repro`, get it again with `dvc checkout`, or name another with --model"
    return "name another with --model"


def _model_file(named: str) -> AbstractContextManager[Path]:
    if not re.match("(models|runs):/", named):
        return nullcontext(Path(named))
    from pawline.tracking.store import downloaded_model

    return downloaded_model(named)


def _show_json(predictions: Iterable[tuple[Path, "Prediction"]]) -> int:
    """Print one JSON list, row by row, so that many pictures take no memory; return how many could not be read."""
    num_unreadable, before = 0, "["
    for path, prediction in predictions:
        row = {"path": str(path), "label": prediction.label, "probabilities": prediction.probabilities}
        if prediction.error:
            num_unreadable += 1
            row["error"] = prediction.error
        print(f"{before}\n{textwrap.indent(json.dumps(row, indent=2), '  ')}", end="")
        before = ","
    print("[]" if before == "[" else "\n]")
    return num_unreadable


def _show_lines(predictions: Iterable[tuple[Path, "Prediction"]]) -> int:
    num_unreadable = 0
    for path, prediction in predictions:
        if prediction.label is None or prediction.probabilities is None:
            num_unreadable += 1
            print(f"{printable(str(path), sys.stderr)}: {prediction.error}", file=sys.stderr)
        else:
            probability = f"{prediction.probabilities[prediction.label]:.1%}"
            print(f"{printable(str(path))}: {printable(prediction.label)} {probability}")
    return num_unreadable
