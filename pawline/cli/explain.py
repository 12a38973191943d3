"""`pawline explain`: every step of the network on one picture, as one page of HTML."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pawline.card import Card, read_card
from pawline.cli.model_file import add_keras_model, next_step
from pawline.cli.named_file import refuse_no_file
from pawline.cli.out_file import PAGE, check_out, write_out
from pawline.errors import DatasetError, ModelError, ParamsError
from pawline.terminal import printable, say
from pawline.workspace.checkout import main_checkout
from pawline.workspace.layout import Layout, LocalState

if TYPE_CHECKING:
    from pawline.prepared import PreparedImages
    from pawline.walk.learnt import Learnt
    from pawline.walk.network import Network


def add_command(commands: Any) -> None:
    command = commands.add_parser("explain", help="make a page that shows every step of the network on a picture")
    command.add_argument("picture", type=Path, metavar="PICTURE")
    add_keras_model(command)
    command.add_argument(
        "--out", type=Path, default=Path("walk.html"), metavar="FILE", help="default: %(default)s"
    )
    command.add_argument(
        "--full", action="store_true", help="put every weight into the page, so that a change reaches the answer"
    )
    command.add_argument(
        "--no-training-pictures",
        action="store_true",
        help="leave out the training pictures that excite each map most: for a page to share",
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the page; exit code 3 for a picture or model that cannot be read, 2 for a picture that is not there, an
    exported model and a place that cannot be written to; then nothing is written."""
    from pawline.pictures.decode import BadImage
    from pawline.walk.content import walk_content
    from pawline.walk.kept import kept_network
    from pawline.walk.page import render_walk

    begin, picture = time.monotonic(), arguments.picture
    content = _read_picture(picture)
    _refuse_places(arguments)
    walks = LocalState(main_checkout()).walks
    try:
        card = read_card(arguments.model)
        network = kept_network(arguments.model, card, walks)
    except ModelError as error:
        raise ModelError(f"{error}; {next_step(arguments.model, Layout().model)}") from None
    learnt = _learnt(arguments.model, card, walks)
    exciting = None if arguments.no_training_pictures else _exciting(card, network)
    try:
        described, arrays = walk_content(content, picture.name, card, network, arguments.full, exciting, learnt)
    except BadImage as bad:
        raise DatasetError(f"{printable(str(picture))}: {bad}; give a picture that can be decoded") from None
    page = render_walk(described, arrays)
    write_out(arguments.out, page)
    seconds, megabytes = time.monotonic() - begin, len(page.encode()) / 1e6
    print(
        f"{printable(str(arguments.out))}: {megabytes:.1f} MB, made in {seconds:.1f} s; "
        "open it in a browser, it needs no network"
    )
    _name_left_out(described["nodes"])
    return 0


def _read_picture(picture: Path) -> bytes:
    from pawline.files import read_regular_file
    from pawline.predict import MAX_BYTES

    refuse_no_file(picture, "give one picture's file")
    try:
        return read_regular_file(picture, MAX_BYTES)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DatasetError(
            f"{printable(str(picture))}: cannot be read: {reason}; give one picture's file"
        ) from None


def _refuse_places(arguments: argparse.Namespace) -> None:
    check_out(arguments.out, PAGE, inputs=[arguments.picture, arguments.model])
    if arguments.model.suffix == ".onnx":
        raise ParamsError(
            f"--model {printable(str(arguments.model))}: is an exported model, whose layers are packed for its engine; "
            "name the model.keras that it was made from"
        )


def _learnt(model: Path, card: Card, walks: Path) -> "Learnt | str":
    """The epochs that the training kept, or a sentence for the page that says why there are none.

    A damaged file is said on the terminal too."""
    from pawline.epochs import epochs_path
    from pawline.walk.kept import kept_epochs
    from pawline.walk.learnt import NO_EPOCHS

    try:
        return kept_epochs(model, card, walks) or NO_EPOCHS
    except ModelError as error:
        _note(f"no earlier epochs: {error}; get it again together with the model, for example by `dvc checkout`")
        return f"{epochs_path(model).name} beside the model cannot be used, so no earlier epoch is shown."


def _name_left_out(nodes: list[dict[str, Any]]) -> None:
    left_out = {node["name"]: node["left_out"] for node in nodes if "left_out" in node}  # a layer used twice: once
    if left_out:
        names = ", ".join([*left_out][:3]) + (", …" if len(left_out) > 3 else "")
        megabytes = sum(left_out.values()) / 1e6
        _note(f"{megabytes:.1f} MB of weights are not in the page ({names}); --full puts all of them in")


def _exciting(card: Card, network: "Network") -> dict[str, Any] | None:
    """The training pictures that excite each map most; None, and a line that says why, where they are not at hand."""
    import pandas as pd

    from pawline.parts import data_digest
    from pawline.prepared import PreparedImages
    from pawline.walk.exciting import for_page, kept_exciting

    at = Layout()
    if not (at.split.is_file() and at.prepared.is_dir()):
        _note("no training pictures beside the maps: there is no prepared data here")
        return None
    split = pd.read_parquet(at.split)
    is_same_data = data_digest(split) == card.training_data_digest
    images = _seen_by(card, PreparedImages(at.prepared)) if is_same_data else None
    if images is None:
        _note("no training pictures beside the maps: the data here is not what the model learned from")
        return None
    train = split[split["split"] == "train"]
    file = LocalState(main_checkout()).walks / f"{card.digest}-exciting.json"
    if not file.exists():
        _note("looking for the training pictures that excite each map most, once per model")
    return for_page(kept_exciting(file, network, images, train), images, train)


def _seen_by(card: Card, images: "PreparedImages") -> "PreparedImages | None":
    """The prepared pictures in the form that the model expects; None where they have another one."""
    try:
        return images.seen_as(card.form)
    except ModelError:
        return None


def _note(text: str) -> None:
    say(f"explain: {text}")
