"""The file that `--model` names, for every command that asks a model."""

from argparse import ArgumentParser
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from shlex import quote

from pawline.addresses import is_in_mlflow
from pawline.errors import ModelError
from pawline.workspace.checkout import is_checkout
from pawline.workspace.layout import Layout


def add_keras_model(command: ArgumentParser) -> None:
    """Add `--model FILE` for a command that reads what Keras saved."""
    command.add_argument(
        "--model",
        type=Path,
        default=Layout().model,
        metavar="FILE",
        help="a model.keras with its card.json beside it (default: %(default)s)",
    )


def existing_model(named: str | Path) -> Path:
    """Return the path of a file that is there; what has to lie beside it is checked later.

    Raises ModelError, with the name as the user gave it, where there is no such file."""
    file = Path(named)
    if not file.is_file():
        raise ModelError(f"{named}: no such file, expected a model.onnx with its export.json beside it")
    return file


def next_step(named: str | Path | None, own: Path) -> str:
    """What to do where a model cannot be used, for the end of an error.

    named: the value of `--model`; own: the model of a checkout."""
    if named is not None and str(named) != str(own):
        return "name another with --model"
    if is_checkout():
        return "make it with `dvc repro`, get it again with `dvc checkout`, or name another with --model"
    return "no dvc.yaml is here: name a model with --model, or `cd` into a checkout"


def named_model(named: str) -> AbstractContextManager[Path]:
    """Hold the file that `--model` names; one at an address of MLflow is fetched for the length of the block.

    Raises ModelError where there is none."""
    if not is_in_mlflow(named):
        return nullcontext(existing_model(named))
    from pawline.tracking.store import downloaded_model

    return downloaded_model(named)


def next_step_for_exported(named: str) -> str:
    """What to do where a command that asks an exported model cannot use the named one: see `next_step`."""
    if is_checkout() and Path(named).resolve() == Layout().model.resolve():
        return "make its exported form with `dvc repro export`, or name another with --model"
    if named.endswith(".keras"):
        folder = quote(str(Path(named).parent))
        return (
            f"export it with `pawline export --model {quote(named)} --out {folder}`, or name another with --model"
        )
    return next_step(named, Layout().exported)
