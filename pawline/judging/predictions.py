"""The table of predictions: read it, and find its probabilities. Each class has a column, probability_<class>."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

PROBABILITY = "probability_"
# A class called "001" or "null" stays what it is, and so does a digest of digits.
TEXT = dict.fromkeys(["path", "actual", "predicted", "digest", "group"], str)


def read_predictions(file: Path) -> "pd.DataFrame":
    """Read reports/predictions.csv, see evaluate.predictions_table. Raises OSError or ValueError."""
    import pandas as pd  # only here: `pawline predict` needs the names of the columns alone

    return pd.read_csv(file, dtype=TEXT, keep_default_na=False)


def classes_of(predictions: "pd.DataFrame") -> list[str]:
    """The class names, in the order of their columns."""
    columns = [str(column) for column in predictions]
    return [name.removeprefix(PROBABILITY) for name in columns if name.startswith(PROBABILITY)]


def probabilities_of(predictions: "pd.DataFrame", class_names: list[str]) -> NDArray[np.float64]:
    """The probabilities of these classes, in this order: float64 (n, num_classes)."""
    return predictions[[f"{PROBABILITY}{name}" for name in class_names]].to_numpy(np.float64)
