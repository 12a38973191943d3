"""`pawline export`: write the model in the form of another engine."""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from pawline.card import Card, card_path, parse_card, read_card
from pawline.cli.model_file import add_keras_model, next_step
from pawline.cli.out_file import check_out_folder
from pawline.errors import DatasetError, ModelError
from pawline.export import NAMES, batches_of_test, export_to
from pawline.files import write_bytes
from pawline.prepared import PreparedImages
from pawline.runtime.export_card import export_card_path, read_export_card
from pawline.terminal import say
from pawline.workspace.layout import Layout

INT8, INT8_NAME = "onnx-int8", "int8/model.onnx"  # a folder of its own: it has the names that `--model` expects


def add_command(commands: Any) -> None:
    command = commands.add_parser("export", help="write the model in the form of another engine")
    command.add_argument(
        "--to", choices=sorted([*NAMES, INT8]), default="onnx", help="the form (default: %(default)s)"
    )
    add_keras_model(command)
    command.add_argument(
        "--out",
        type=Path,
        default=Path("exports"),
        metavar="FOLDER",
        help="where to write it, with its card.json; made where it is not there (default: %(default)s)",
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one row: the form, where it is, its size, and how its answers are beside Keras's, or the float form's."""
    to = arguments.out / (INT8_NAME if arguments.to == INT8 else NAMES[arguments.to])
    _refuse_places(arguments.out, to, arguments.model)
    try:
        card = read_card(arguments.model)
    except ModelError as error:
        raise ModelError(f"{error}; {next_step(arguments.model, Layout().model)}") from None
    before = _time_of(to)
    try:
        row = _int8(arguments.model, card, to) if arguments.to == INT8 else _exact(arguments, card, to)
    finally:  # a file that is judged unfit, or whose comparison is interrupted, stays: it needs its card too
        if _time_of(to) != before and _is_another_card(to, arguments.model):
            write_bytes(card_path(to), card_path(arguments.model).read_bytes())
    print(f"{arguments.to}: {to}, {_size(to) / 1e6:.1f} MB; {row}")
    return 0


def _refuse_places(out: Path, to: Path, model: Path) -> None:
    """Raise ParamsError where the folder cannot be written to, or where an export would replace another's file."""
    cards = [card_path(to)] if _is_another_card(to, model) else []
    cards += [export_card_path(to)] if to.suffix == ".onnx" else []
    check_out_folder(out, [to, *cards], "model", _is_own, inputs=[model])


def _is_another_card(to: Path, model: Path) -> bool:
    """Whether the card to be written is not the very file that was read: the model may lie in the same folder."""
    return card_path(to).resolve() != card_path(model).resolve()


def _time_of(path: Path) -> int:
    """When a file or folder was written, in nanoseconds; 0 where it is not there."""
    return path.stat().st_mtime_ns if path.exists() else 0


def _is_own(file: Path) -> bool:
    """Whether an earlier export wrote a file, as the cards beside it say; the card of a model is not an export's."""
    if file == card_path(file) and any(file.parent.glob("*.keras")):
        return False
    try:
        is_of_engine = file.suffix == ".onnx" or file == export_card_path(file)
        return bool(read_export_card(file) if is_of_engine else parse_card(card_path(file)))
    except ModelError:
        return False


def _exact(arguments: argparse.Namespace, card: Card, to: Path) -> str:
    pictures = "random and awkward pictures"
    data = _data(card)
    if isinstance(data, str):
        say(f"compared on {pictures} alone, not on test pictures: {data}")
    else:
        pictures = "random, awkward and test pictures"
    batches = () if isinstance(data, str) else batches_of_test(*data)
    parity = export_to(arguments.to, arguments.model, card, to, batches)
    return (
        f"{parity.num_same_class} of {parity.num_pictures} {pictures} get the class that Keras gives, probabilities "
        f"differ by {parity.largest_difference:.1g} at most"
    )


def _int8(model: Path, card: Card, to: Path) -> str:
    from pawline.export_int8 import export_int8

    if isinstance(data := _data(card), str):
        raise DatasetError(f"--to {INT8} rounds and is judged with the pictures of a checkout, but {data}")
    return str(export_int8(model, card, to, *data))


def _data(card: Card) -> tuple[PreparedImages, pd.DataFrame] | str:
    """The prepared pictures of this checkout and their split; or why they do not serve this model."""
    at = Layout()
    if missing := [path for path in (at.prepared, at.split) if not path.exists()]:
        return f"{missing[0]} is not there; make it with `dvc repro split`"
    images = PreparedImages(at.prepared)
    try:
        seen = images.seen_as(card.form)
    except ModelError:
        seen = None
    if seen is None or seen.class_names != card.class_names:
        return f"{at.prepared} has pictures of another form or other classes; run this where the model was trained"
    return seen, pd.read_parquet(at.split)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
