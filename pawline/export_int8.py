"""Export a model with whole numbers of 8 bits, and judge on val whether the rounding costs accuracy."""

from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from pawline.card import Card
from pawline.errors import DatasetError, PawlineError
from pawline.evaluate import Answers
from pawline.export import export_model
from pawline.files import file_digest, write_bytes
from pawline.judging.clustered import accuracy_interval
from pawline.judging.paired import mcnemar
from pawline.parts import Part
from pawline.prepared import PreparedImages
from pawline.runtime.export_card import write_export_card
from pawline.runtime.model import RuntimeModel

NUM_CALIBRATION = 256  # pictures of train: those with the smallest digests
MIN_AGREEMENT = 0.995  # share of val pictures that get the same class
MAX_LOSS = 0.001  # of accuracy on val
NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Rounding:
    """What rounding costs: on val beside the float form, and the accuracy on test with its 95 % interval.

    gain_low, gain: of accuracy on val, int8 minus float, as fractions; negative where int8 is worse."""

    num_val: int
    agreement: float
    gain_low: float
    gain: float
    num_test: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float

    @property
    def is_shown(self) -> bool:
        """Whether val excludes a larger loss than MAX_LOSS."""
        return self.gain_low >= -MAX_LOSS

    def __str__(self) -> str:
        shown = "is excluded" if self.is_shown else f"is not excluded by {self.num_val:,} pictures"
        return (
            f"{self.agreement:.2%} of {self.num_val:,} val pictures get the class of the float form; accuracy "
            f"{100 * self.gain:+.2f} points, {100 * self.gain_low:+.2f} at worst (95 %), so a loss of more than "
            f"{100 * MAX_LOSS:g} {shown}; on {self.num_test:,} test pictures {self.accuracy:.1%} "
            f"({self.accuracy_low:.1%} to {self.accuracy_high:.1%})"
        )


def export_int8(model: Path, card: Card, to: Path, images: PreparedImages, split: pd.DataFrame) -> Rounding:
    """Write model.onnx in 8 bits, with export.json beside it, and compare its answers with those of the float form.

    Raises DatasetError where train is empty, PawlineError where it agrees in less than MIN_AGREEMENT or is worse by
    more than MAX_LOSS on val; the file stays, so that it can be examined."""
    from pawline.exporting.int8 import int8_graph

    train = Part.of("train", images, split).head(NUM_CALIBRATION)
    if not len(train.rows):
        raise DatasetError(
            "the train part has no pictures, expected one or more to choose the rounding by: lower split.val_fraction "
            "or split.test_fraction"
        )
    with TemporaryDirectory(prefix="pawline-float-") as folder:
        exported = Path(folder, to.name)
        export_model(model, card, exported)
        before = RuntimeModel(exported)
        write_bytes(to, int8_graph(exported.read_bytes(), images.pixels(train.rows)))
    write_export_card(to, replace(before.card, digest=file_digest(to)))
    found = judge_rounding(before, RuntimeModel(to), images, split)
    if found.agreement < MIN_AGREEMENT or found.gain < -MAX_LOSS:
        raise PawlineError(
            f"{to}: {found}; expected the same class for {MIN_AGREEMENT:.1%} of val and a loss of at most "
            f"{100 * MAX_LOSS:g} points; do not use this file"
        )
    return found


def judge_rounding(
    before: RuntimeModel, after: RuntimeModel, images: PreparedImages, split: pd.DataFrame
) -> Rounding:
    """Compare the answers of the rounded form, `after`, with those of the float form."""
    old, new, test = (
        Answers.of(part, model, images, split)
        for part, model in (("val", before), ("val", after), ("test", after))
    )
    labels, given = old.labels, (old.probabilities.argmax(axis=1), new.probabilities.argmax(axis=1))
    sign = mcnemar(given[0] == labels, given[1] == labels, old.groups)
    right = test.probabilities.argmax(axis=1) == test.labels
    low, high = accuracy_interval(right, test.groups)
    return Rounding(
        num_val=len(labels),
        agreement=float((given[0] == given[1]).mean()),
        gain_low=lowest_gain(sign.num_fixed, sign.num_broken, len(np.unique(old.groups))),
        gain=float((given[1] == labels).mean() - (given[0] == labels).mean()),
        num_test=len(right),
        accuracy=float(right.mean()),
        accuracy_low=low,
        accuracy_high=high,
    )


def lowest_gain(num_fixed: int, num_broken: int, num_groups: int) -> float:
    """The lower end of the 95 % interval of the difference between two accuracies on the same pictures.

    Half a picture is added to each cell of the table of both (Agresti, Min, "Simple improved confidence intervals for
    comparing matched proportions", 2005): without disagreement the plain interval would claim certainty."""
    fixed, broken, count = num_fixed + 0.5, num_broken + 0.5, num_groups + 2
    gain = (fixed - broken) / count
    return gain - NORMAL_95 * sqrt((fixed + broken) / count - gain**2) / sqrt(count)
