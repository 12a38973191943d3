"""`pawline suspects`: list likely wrong labels, and make the page on which a person confirms them."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pawline.cli.named_file import refuse_no_file
from pawline.cli.out_file import PAGE, check_out, write_out
from pawline.cli.positive import positive
from pawline.cli.standard_output import show
from pawline.errors import DatasetError, ModelError, ParamsError
from pawline.terminal import printable, say
from pawline.words import plural
from pawline.workspace.layout import Layout, LocalState

if TYPE_CHECKING:
    import pandas as pd

    from pawline.suspects import HeldOutPredictions

MAX_SHOWN = 200


def add_command(commands: Any) -> None:
    command = commands.add_parser("suspects", help="list likely wrong labels, and make a page to confirm them")
    command.add_argument("--out", metavar="FILE", type=Path, help="the page to make, such as suspects.html")
    command.add_argument(
        "--queue",
        metavar="FILE",
        type=Path,
        help="make the page of the pictures that `pawline drift` found worth a label",
    )
    command.add_argument(
        "--json", action="store_true", help="one object: source, num_suspects, num_waiting, suspects"
    )
    command.add_argument(
        "--limit", type=positive, default=MAX_SHOWN, metavar="N", help="at most so many (default: %(default)s)"
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0, whether labels look wrong or not."""
    from pawline.relabel import kept_decisions
    from pawline.suspects import find_suspects, still_open

    at = Layout()
    if arguments.out:
        check_out(arguments.out, PAGE, inputs=[arguments.queue] if arguments.queue else [])
    if arguments.queue:
        return _queue_page(arguments.queue, arguments.out, at)
    judged, class_names = _judged(at)
    decided = {one.digest: one.label for one in kept_decisions(at.relabel)}
    found, num_waiting = still_open(find_suspects(judged, class_names), decided)
    shown = found.head(arguments.limit)
    if arguments.out:
        from pawline.page.suspects import render_suspects

        write_out(arguments.out, render_suspects(shown, class_names, judged.source, at.raw))
    if arguments.json:
        rows = shown.to_dict("records")
        counts = {"num_suspects": len(found), "num_waiting": num_waiting}
        print(json.dumps({"source": judged.source, **counts, "suspects": rows}, indent=2))
        return 0
    show(map(_line, shown.to_dict("records")))
    say(_summary(found, shown, num_waiting, judged, arguments.out))
    return 0


def _line(row: dict[Any, Any]) -> str:
    label = f"labelled {row['label']} ({row['probability_of_label']:.1%})"
    suggested = f"looks like {row['suggested']} ({row['probability_of_suggested']:.1%})"
    return f"{printable(row['path'])}: {printable(label)}, {printable(suggested)}"


def _queue_page(file: Path, out: Path | None, at: Layout) -> int:
    from pawline.label_queue import read_queue
    from pawline.page.suspects import render_queue
    from pawline.relabel import kept_decisions
    from pawline.runtime.export_card import read_export_card

    if out is None:
        raise ParamsError("--queue needs --out FILE, the page to make, such as queue.html")
    refuse_no_file(file, "give the file that `pawline drift` made")
    queue, decided = read_queue(file), {one.digest for one in kept_decisions(at.relabel)}
    undecided = [one for one in queue if one.digest not in decided]
    try:
        class_names = read_export_card(at.exported).class_names
    except ModelError as error:
        raise ModelError(f"{error}; it names the classes: make it with `dvc repro`") from None
    write_out(out, render_queue(undecided, class_names, f"chosen by pawline drift, listed in {file.name}"))
    say(
        f"{plural(len(undecided), 'picture')} worth a label, {len(queue) - len(undecided):,} decided before; open "
        f"{out} in a browser, then `pawline relabel decisions.csv --add-to FOLDER`"
    )
    return 0


def _summary(
    found: "pd.DataFrame", shown: "pd.DataFrame", num_waiting: int, judged: "HeldOutPredictions", page: Path | None
) -> str:
    count = plural(len(found), "likely wrong label") if len(found) else "no likely wrong labels"
    cut = f", of which {len(shown):,} are listed (--limit)" if len(shown) < len(found) else ""
    waiting = f" and {plural(num_waiting, 'decided one')}, which `dvc repro` will change" if num_waiting else ""
    then = "; look at them: `pawline suspects --out suspects.html`" if len(found) else ""
    if page:
        then = (
            f"; open {page} in a browser, then `pawline relabel decisions.csv`" if len(found) else f"; see {page}"
        )
    return f"{count}{cut}{waiting}, {judged.source}{then}"


def _judged(at: Layout) -> tuple["HeldOutPredictions", list[str]]:
    """The predictions to judge labels by, and the class names."""
    import pandas as pd

    from pawline.parts import data_digest
    from pawline.prepared import PreparedImages
    from pawline.suspects import from_folds, from_held_out
    from pawline.workspace.checkout import main_checkout

    for needed in (at.prepared, at.split):
        if not needed.exists():
            raise DatasetError(f"{needed}: not there; make it with `dvc repro`")
    images, split = PreparedImages(at.prepared), pd.read_parquet(at.split)
    folds = LocalState(main_checkout()).fold_predictions(data_digest(split))
    if folds.exists():
        return from_folds(folds, images.class_names), images.class_names
    try:
        return from_held_out(images, split, at.exported), images.class_names
    except ModelError as error:
        raise ModelError(f"{error}; `dvc repro` trains it on today's data") from None
