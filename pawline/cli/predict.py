"""`pawline predict`: name the class of pictures."""

import argparse
import csv
import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pawline.cli.model_file import named_model, next_step_for_exported
from pawline.cli.positive import positive
from pawline.cli.progress import with_progress
from pawline.errors import ModelError
from pawline.terminal import printable, say, shell_word
from pawline.workspace.layout import Layout

if TYPE_CHECKING:
    from pawline.predict import Prediction

Predictions = Iterable[tuple[Path, "Prediction"]]


def add_command(commands: Any) -> None:
    command = commands.add_parser("predict", help="name the class of pictures")
    command.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a picture, a folder of them, a pattern such as '*.jpg', or - for one picture from standard input",
    )
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one list of objects: path, label, probabilities, …")
    form.add_argument("--jsonl", action="store_true", help="the same, one object a line, as soon as it is known")
    form.add_argument("--csv", action="store_true", help="a table: path, label, probabilities, …, error")
    command.add_argument(
        "--top", type=positive, metavar="K", help="give the probabilities of the K likeliest classes only"
    )
    command.add_argument(
        "--model",
        default=str(Layout().exported),
        metavar="FILE|URI",
        help="a model.onnx with its export.json and card.json beside it, or an MLflow address: models:/…, runs:/… "
        "(default: %(default)s)",
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predict; the exit code is 0, or 3 when a picture could not be read: the others are predicted all the same. A name
    behind which there is nothing is wrong usage, exit code 2, and then nothing is predicted."""
    from pawline.predict import Predictor, find_pictures

    passed_over: list[Path] = []
    pictures = [picture for path in arguments.paths for picture in find_pictures(path, passed_over)]
    if passed_over:
        example = printable(str(passed_over[0]), sys.stderr)
        say(f"passed over {len(passed_over)} files that are no pictures, such as {example}")
    counts = _Counts()
    try:
        with named_model(arguments.model) as file:
            predictor = Predictor(file)
            _say_if_not_champion(arguments.model, predictor.card.digest)
            predictions = counts.counted(
                with_progress(predictor.predict_files(pictures), len(pictures), "predict")
            )
            _show(arguments, predictor.card.class_names)(predictions)
            sys.stdout.flush()
            if counts.unlike and predictor.reference:
                say(_warning(counts, predictor.reference.false_alarms))
    except ModelError as error:
        raise ModelError(f"{error}; {next_step_for_exported(arguments.model)}") from None
    return 3 if counts.unreadable else 0


def _say_if_not_champion(named: str, digest: str) -> None:
    """Tell a person that the model of the checkout answers, where `pawline serve` answers with another one.

    named: the value of `--model`; digest: of the file that answers."""
    if named != str(Layout().exported) or not sys.stderr.isatty():
        return
    from pawline.runtime.export_card import read_export_card
    from pawline.workspace.laid_models import champion_files

    champion = champion_files()
    with suppress(ModelError):  # without a champion, or with a damaged one, there is nothing to compare with
        if read_export_card(champion.file).digest == digest:
            return
        version, here = champion.link.resolve().name.partition("-")[0], Path.cwd()
        file = champion.file.relative_to(here) if champion.file.is_relative_to(here) else champion.file
        say(
            f"{named} answers, the model of this checkout; `pawline serve` answers with the champion, version "
            f"{version}: --model {shell_word(str(file))}"
        )


class _Counts:
    """Counts pictures while they pass: all, those that could not be read, those unlike the training data."""

    all = unreadable = unlike = 0

    def counted(self, predictions: Predictions) -> Iterator[tuple[Path, "Prediction"]]:
        for path, prediction in predictions:
            self.all += 1
            self.unreadable += prediction.error is not None
            self.unlike += bool(prediction.unlike)
            yield path, prediction


def _warning(counts: _Counts, false_alarms: float) -> str:
    return (
        f"{counts.unlike} of {counts.all - counts.unreadable} pictures are unlike the training data: do not rely on "
        f"their answers (false alarms: {false_alarms:.1%} at most)"
    )


def _show(arguments: argparse.Namespace, class_names: list[str]) -> Callable[[Predictions], None]:
    top = arguments.top and min(arguments.top, len(class_names))
    if arguments.json:
        return lambda predictions: _show_json(predictions, top)
    if arguments.jsonl:
        return lambda predictions: _show_json_lines(predictions, top)
    if arguments.csv:
        return lambda predictions: _show_csv(predictions, class_names, top)
    return lambda predictions: _show_lines(predictions, top)


def _row(path: Path, prediction: "Prediction", top: int | None) -> dict[str, Any]:
    if prediction.error is not None:
        return {"path": str(path), "label": None, "probabilities": None, "error": prediction.error}
    probabilities = prediction.likeliest(top)
    return {
        "path": str(path),
        "label": prediction.label,
        "probabilities": probabilities,
        "unsure": prediction.unsure,
        "unlike": prediction.unlike,
        "distance": prediction.distance,
    }


def _show_json(predictions: Predictions, top: int | None = None) -> None:
    """Print one JSON list, row by row, so that many pictures take no memory."""
    before = "["
    for path, prediction in predictions:
        row = json.dumps(_row(path, prediction, top), indent=2)
        print(f"{before}\n{textwrap.indent(row, '  ')}", end="")
        before = ","
    print("[]" if before == "[" else "\n]")


def _show_json_lines(predictions: Predictions, top: int | None = None) -> None:
    for path, prediction in predictions:
        print(json.dumps(_row(path, prediction, top)), flush=True)


def _show_csv(predictions: Predictions, class_names: list[str], top: int | None = None) -> None:
    """Print a table with a column per class; with `top`, pairs of columns for the likeliest, the second, …"""
    from pawline.judging.predictions import PROBABILITY

    columns = [f"{PROBABILITY}{name}" for name in class_names]
    if top:
        columns = [f"{column}_{rank}" for rank in range(1, top + 1) for column in ("label", "probability")]
    writer = csv.writer(_Escaped(sys.stdout), lineterminator="\n")
    writer.writerow(["path", "label", *columns, "unsure", "unlike", "distance", "error"])
    for path, prediction in predictions:
        likeliest = prediction.likeliest(top)
        values: list[Any] = (
            list(likeliest.values()) if not top else [x for pair in likeliest.items() for x in pair]
        )
        values = values or [""] * len(columns)
        words = [_word(prediction.unsure), _word(prediction.unlike)]
        writer.writerow([path, prediction.label or "", *values, *words, prediction.distance, prediction.error])
        sys.stdout.flush()


def _word(value: bool | None) -> str:
    return "" if value is None else str(value).lower()


class _Escaped:
    """Writes what the stream cannot encode, such as a name that is not UTF-8, as an escape of Python's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        encoding = self._stream.encoding or "utf-8"
        return self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _show_lines(predictions: Predictions, top: int | None = None) -> None:
    for path, prediction in predictions:
        if prediction.error is not None:
            print(f"{printable(str(path), sys.stderr)}: {prediction.error}", file=sys.stderr)
            continue
        likeliest = prediction.likeliest(top or 1)
        shown = ", ".join(f"{printable(name)} {probability:.1%}" for name, probability in likeliest.items())
        print(f"{printable(str(path))}: {shown}{_doubt(prediction)}")


def _doubt(prediction: "Prediction") -> str:
    doubts = ["unsure"] * bool(prediction.unsure) + ["unlike the training data"] * bool(prediction.unlike)
    return f" ({', '.join(doubts)})" if doubts else ""
