"""The weights of earlier epochs beside a model, for a page that shows how the network learnt (`train.keep_epochs`).

Reading and writing them needs no TensorFlow.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pawline.errors import ModelError
from pawline.files import whole_file

FORM_VERSION = 1


@dataclass(frozen=True)
class KeptEpoch:
    """One epoch; 0 is the network before its first step.

    figures: val_loss and val_accuracy, none for epoch 0. weights: those of the network to save (folded, float32; the
    moving average where `train.ema` is set), by their position in the saved model's list of weights. Weights that equal
    the saved model's are left out."""

    epoch: int
    figures: dict[str, float]
    weights: dict[int, NDArray[np.float32]]


@dataclass(frozen=True)
class Epochs:
    """The content of `epochs.npz`: `kept` in ascending order, none where `train.keep_epochs` is 0."""

    model: str  # digest of the model file beside it, which is the best epoch's
    best_epoch: int
    num_epochs: int  # that were trained
    kept: list[KeptEpoch]


def epochs_path(model: Path) -> Path:
    """The path of the epochs beside a model file."""
    return model.with_name("epochs.npz")


def write_epochs(path: Path, epochs: Epochs) -> None:
    """Write the file, whole or not at all; equal epochs make equal bytes."""
    about = {
        "version": FORM_VERSION,
        "model": epochs.model,
        "best_epoch": epochs.best_epoch,
        "num_epochs": epochs.num_epochs,
        "kept": [{"epoch": one.epoch, "figures": one.figures} for one in epochs.kept],
    }
    arrays = {f"{one.epoch}:{at}": array for one in epochs.kept for at, array in one.weights.items()}
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)


def read_epochs(path: Path, model_digest: str) -> Epochs:
    """Read the epochs beside a model. Raises ModelError where the file is missing, damaged or another model's."""
    try:
        with np.load(path, allow_pickle=False) as file:  # a zip file: its checksums detect a flipped bit
            about: dict[str, Any] = json.loads(str(file["about"]))
            weights: dict[int, dict[int, NDArray[np.float32]]] = {one["epoch"]: {} for one in about["kept"]}
            for name in file.files:
                if name != "about":
                    epoch, _, at = name.partition(":")
                    weights[int(epoch)][int(at)] = file[name]
        kept = [KeptEpoch(one["epoch"], one["figures"], weights[one["epoch"]]) for one in about["kept"]]
        epochs = Epochs(about["model"], about["best_epoch"], about["num_epochs"], kept)
        version = about["version"]
    except FileNotFoundError:
        raise ModelError(f"{path}: not found") from None
    except Exception as error:  # a flipped bit can raise almost any type, such as RuntimeError for encryption
        raise ModelError(f"{path}: damaged ({error})") from None
    if version != FORM_VERSION:
        raise ModelError(f"{path}: is of another version of Pawline")
    if epochs.model != model_digest:
        raise ModelError(f"{path}: belongs to another model, {epochs.model[:12]}…")
    return epochs
