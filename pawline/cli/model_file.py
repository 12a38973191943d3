"""The file that `--model` names, for every command that asks a model."""

from pathlib import Path

from pawline.errors import ModelError


def existing_model(named: str | Path) -> Path:
    """The file itself. Raises ModelError, in the user's words, where there is none: what lies beside it comes later."""
    file = Path(named)
    if not file.is_file():
        raise ModelError(f"{named}: no such file, expected a model.onnx with its export.json beside it")
    return file
