"""The file that `--model` names, for every command that asks a model."""

from pathlib import Path

from pawline.errors import ModelError
from pawline.workspace.checkout import is_checkout


def existing_model(named: str | Path) -> Path:
    """The file itself. Raises ModelError, in the user's words, where there is none: what lies beside it comes later."""
    file = Path(named)
    if not file.is_file():
        raise ModelError(f"{named}: no such file, expected a model.onnx with its export.json beside it")
    return file


def next_step(named: str | Path | None, own: Path) -> str:
    """What to do where a model cannot be used. named: the value of `--model`; own: the model of a checkout."""
    if named is not None and str(named) != str(own):
        return "name another with --model"
    if is_checkout():
        return "make it with `dvc repro`, get it again with `dvc checkout`, or name another with --model"
    return "no dvc.yaml is here: name a model with --model, or `cd` into a checkout"
