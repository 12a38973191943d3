"""`pawline drift`: do new pictures differ from those that the model learned from, and which are worth a label?"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pawline.cli.model_file import named_model, next_step_for_exported
from pawline.cli.out_file import QUEUE, check_out, write_out
from pawline.cli.positive import positive
from pawline.cli.progress import with_progress
from pawline.cli.standard_output import show
from pawline.errors import ModelError
from pawline.terminal import printable, say, shell_word
from pawline.words import plural
from pawline.workspace.layout import Layout

if TYPE_CHECKING:
    from pawline.drift import NewPictures, Verdict


def add_command(commands: Any) -> None:
    command = commands.add_parser(
        "drift", help="do new pictures differ from the training data; which of them are worth a label"
    )
    command.add_argument(
        "paths", nargs="+", metavar="PATH", help="a folder of new pictures, a pattern, or pictures"
    )
    command.add_argument("--json", action="store_true", help="one object: verdict, counts, and a row per trait")
    command.add_argument(
        "--queue",
        type=Path,
        default=Path("label_queue.csv"),
        metavar="FILE",
        help="where pictures worth a label are listed (default: %(default)s)",
    )
    command.add_argument(
        "--limit", type=positive, default=60, metavar="N", help="list at most so many (default: %(default)s)"
    )
    command.add_argument(
        "--model",
        default=str(Layout().exported),
        metavar="FILE|URI",
        help="a model.onnx with its export.json beside it, or an MLflow address (default: %(default)s)",
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare, and write the queue; the exit code is 0 where nothing differs, 1 where something does."""
    from pawline.drift import NewPictures, judge, label_queue
    from pawline.drift_lines import drift_lines, left_out
    from pawline.files import write_table
    from pawline.new_pictures import ask_files
    from pawline.predict import Predictor, find_pictures

    check_out(arguments.queue, QUEUE, inputs=[*map(Path, arguments.paths)], option="--queue")
    passed_over: list[Path] = []
    found = (path for pattern in arguments.paths for path in find_pictures(pattern, passed_over))
    paths = list(dict.fromkeys(found))  # patterns may overlap
    try:
        with named_model(arguments.model) as file:
            predictor = Predictor(file)
            reference = predictor.reference_or_refuse()
            new = NewPictures.of(with_progress(ask_files(predictor, paths), len(paths), "drift"))
    except ModelError as error:
        raise ModelError(f"{error}; {next_step_for_exported(arguments.model)}") from None
    verdict = judge(reference, new)
    queue = label_queue(new.table, arguments.limit)
    write_out(arguments.queue, queue, write_table)
    if arguments.json:
        show([json.dumps(_as_json(verdict, new), indent=2, allow_nan=False)])
    else:
        show(map(printable, drift_lines(verdict)))
    if note := left_out(new, len(passed_over)):
        say(note)
    say(
        f"{plural(len(queue), 'picture')} worth a label: {arguments.queue}; look at them: "
        f"`pawline suspects --queue {shell_word(str(arguments.queue))} --out queue.html`"
    )
    return 1 if verdict.is_drift else 0


def _as_json(verdict: "Verdict", new: "NewPictures") -> dict[str, Any]:
    return {
        "verdict": "drift" if verdict.is_drift else "no drift",
        "differing": verdict.differing,
        "num_pictures": verdict.num_pictures,
        "num_unreadable": new.num_unreadable,
        "num_copies": new.num_copies,
        "smallest_seen": round(verdict.smallest, 4),
        "traits": verdict.table.to_dict("records"),
    }
