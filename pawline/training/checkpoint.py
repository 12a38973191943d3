"""The state of an unfinished training, so that the same command continues it after a stop or a kill."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pawline.files import whole_file
from pawline.terminal import say

Arrays = list[NDArray[Any]]
EpochRow = dict[str, float]  # the figures of an epoch, by name


@dataclass
class Progress:
    """How far a training has come: all that its remaining steps depend on, besides params, data and weights."""

    num_steps: int  # of the whole training, fixed before the first step
    recipe: str = "{}"  # the settings, chosen before the first step, as JSON
    cuts: list[list[int]] = field(default_factory=list)  # of the plan, see Schedule
    # Seconds that the plan counts with, and those that earlier processes spent on this training.
    step_seconds: list[float] = field(default_factory=list)  # of each picture size
    validation_seconds: float = 0.0
    spent_seconds: float = 0.0
    step: int = 0  # the last finished step
    history: list[EpochRow] = field(default_factory=list)
    loss_sum: float = 0.0  # over the steps of the unfinished epoch
    num_correct: float = 0.0  # images of the unfinished epoch that were predicted right
    best_epoch: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """One file with the progress, the variables of model and optimizer, and the best epoch's weights.

    key: identifies the training; a digest of all that its result depends on.
    """

    path: Path
    key: str

    def save(self, progress: Progress, variables: Arrays, best: Arrays) -> None:
        """Write the file, whole or not at all."""
        header = json.dumps({"key": self.key, "progress": vars(progress), "num_variables": len(variables)})
        arrays = {f"{number:05}": array for number, array in enumerate([*variables, *best])}
        with whole_file(self.path) as partial, partial.open("wb") as file:
            np.savez(file, allow_pickle=False, about=np.array(header), **arrays)

    def load(self) -> tuple[Progress, Arrays, Arrays] | None:
        """Read (progress, variables, best weights); None if the file is missing or belongs to another training.

        A damaged file is reported on standard error and removed."""
        if not self.path.exists():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as file:  # a zip file: its checksums detect a flipped bit
                header = json.loads(str(file["about"]))
                arrays = [file[name] for name in sorted(file.files) if name != "about"]
        except Exception as error:  # a flipped bit can raise almost any type, such as RuntimeError for encryption
            say(f"warning: {self.path}: damaged ({error}): the training starts over")
            self.remove()
            return None
        if header["key"] != self.key:
            return None
        num_variables = header["num_variables"]
        return Progress(**header["progress"]), arrays[:num_variables], arrays[num_variables:]

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
