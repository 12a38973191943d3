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
    """One file with the progress, the variables of model and optimizer, the best epoch's weights, and those of each
    epoch that `train.keep_epochs` keeps.

    key: identifies the training; a digest of all that its result depends on.
    """

    path: Path
    key: str

    def save(self, progress: Progress, variables: Arrays, best: Arrays, kept: dict[int, Arrays]) -> None:
        """Write the file, whole or not at all. kept: weights by epoch."""
        groups = {"variables": variables, "best": best} | {str(epoch): each for epoch, each in kept.items()}
        header = json.dumps({"key": self.key, "progress": vars(progress), "groups": [*groups]})
        arrays = {f"{name}:{at:05}": array for name, group in groups.items() for at, array in enumerate(group)}
        with whole_file(self.path) as partial, partial.open("wb") as file:
            np.savez(file, allow_pickle=False, about=np.array(header), **arrays)

    def load(self) -> tuple[Progress, Arrays, Arrays, dict[int, Arrays]] | None:
        """Read what `save` wrote; None if the file is missing or belongs to another training.

        A damaged file is reported on standard error and removed."""
        if not self.path.exists():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as file:  # a zip file: its checksums detect a flipped bit
                header = json.loads(str(file["about"]))
                if header["key"] != self.key:
                    return None
                groups: dict[str, Arrays] = {name: [] for name in header["groups"]}
                for name in file.files:  # in the order in which they were written
                    if name != "about":
                        groups[name.partition(":")[0]].append(file[name])
        except Exception as error:  # a flipped bit can raise almost any type, such as RuntimeError for encryption
            say(f"warning: {self.path}: damaged ({error}): the training starts over")
            self.remove()
            return None
        variables, best = groups.pop("variables"), groups.pop("best")
        return (
            Progress(**header["progress"]),
            variables,
            best,
            {int(epoch): each for epoch, each in groups.items()},
        )

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
