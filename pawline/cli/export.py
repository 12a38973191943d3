"""`pawline export`: write the model in the form of another engine."""

import argparse
from pathlib import Path
from typing import Any

from pawline.card import card_path, read_card
from pawline.cli.model_file import next_step
from pawline.errors import ModelError
from pawline.export import NAMES, export_to
from pawline.files import write_bytes
from pawline.workspace.layout import Layout


def add_command(commands: Any) -> None:
    command = commands.add_parser("export", help="write the model in the form of another engine")
    command.add_argument("--to", choices=sorted(NAMES), default="onnx", help="the form (default: %(default)s)")
    command.add_argument(
        "--model",
        type=Path,
        default=Layout().model,
        metavar="FILE",
        help="a model.keras with its card.json beside it (default: %(default)s)",
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path("exports"),
        metavar="FOLDER",
        help="where to write it, with its card.json (default: %(default)s)",
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one row: the form, where it is, its size, and how far its probabilities are from Keras's."""
    to = arguments.out / NAMES[arguments.to]
    try:
        card = read_card(arguments.model)
    except ModelError as error:
        raise ModelError(f"{error}; {next_step(arguments.model, Layout().model)}") from None
    parity = export_to(arguments.to, arguments.model, card, to)
    write_bytes(card_path(to), card_path(arguments.model).read_bytes())
    print(
        f"{arguments.to}: {to}, {_size(to) / 1e6:.1f} MB; {parity.num_same_class} of {parity.num_pictures} random "
        f"pictures get the class that Keras gives, probabilities differ by {parity.largest_difference:.1g} at most"
    )
    return 0


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
