"""The state of a training under way, so that the same command continues one that was stopped or killed."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pawline.files import whole_file

Arrays = list[NDArray[Any]]


@dataclass
class Progress:
    """All that the rest of a training depends on, besides its params and data."""

    num_steps: int  # of the whole training, fixed before its first
    step: int = 0  # the last one done
    history: list[dict[str, float]] = field(default_factory=list)  # a row per finished epoch
    loss_sum: float = 0.0  # over the images of the epoch under way
    num_correct: float = 0.0
    best_epoch: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """One file: `progress`, the variables of model and optimizer, and the best epoch's weights.

    `key` says which training it is of: a digest over all that its result depends on.
    """

    path: Path
    key: str

    def save(self, progress: Progress, variables: Arrays, best: Arrays) -> None:
        """Whole or not at all."""
        about = json.dumps({"key": self.key, "progress": vars(progress), "num_variables": len(variables)})
        arrays = {f"{number:05}": array for number, array in enumerate([*variables, *best])}
        with whole_file(self.path) as partial, partial.open("wb") as file:
            np.savez(file, allow_pickle=False, about=np.array(about), **arrays)

    def load(self) -> tuple[Progress, Arrays, Arrays] | None:
        """None where there is none of this training; a damaged one is reported and removed."""
        if not self.path.exists():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as file:  # a zip: its checksums find a flipped bit
                about = json.loads(str(file["about"]))
                arrays = [file[name] for name in sorted(file.files) if name != "about"]
        except Exception as error:  # one flipped bit, and zipfile may call it encrypted, or of a method unknown
            print(f"pawline: warning: {self.path}: damaged ({error}): the training starts over", file=sys.stderr)
            self.remove()
            return None
        if about["key"] != self.key:
            return None
        number = about["num_variables"]
        return Progress(**about["progress"]), arrays[:number], arrays[number:]

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def keep_until_locked(self, model_md5: str) -> None:
        """Keep the state of a training that is over until DVC has locked its model: a kill before that is to cost
        no training. Only the last training's is kept."""
        for earlier in self.path.parent.glob("*.over"):
            earlier.unlink(missing_ok=True)
        self.path.replace(self.path.with_suffix(f".{model_md5}.over"))

    def resume_unless_locked(self, locked_md5: str) -> None:
        """Take up again what was kept, unless its model is the locked one: then whoever trains wants to do so
        anew."""
        for over in self.path.parent.glob(f"{self.path.stem}.*.over"):
            if over.suffixes[0] == f".{locked_md5}":
                over.unlink()
            else:
                over.replace(self.path)
