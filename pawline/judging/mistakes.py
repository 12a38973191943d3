"""Order predictions by how sure the model was: its surest mistakes are the first that a person looks at."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.judging.predictions import probabilities_of

NUM_MISTAKES = 24  # shown in the report, and explained by a map


def probability_of_predicted(predictions: pd.DataFrame, class_names: list[str]) -> NDArray[np.float64]:
    """The probability of each predicted class: float64 (n,). predictions: see evaluate.predictions_table."""
    probabilities = probabilities_of(predictions, class_names)
    label = pd.Index(class_names).get_indexer(pd.Index(predictions["predicted"]))
    return np.asarray(probabilities[np.arange(len(label)), label], float)


def surest_first(predictions: pd.DataFrame, class_names: list[str]) -> pd.DataFrame:
    """The predictions with the column `probability` of the predicted class, the surest first, then by path."""
    table = predictions.assign(probability=probability_of_predicted(predictions, class_names))
    return table.sort_values(["probability", "path"], ascending=[False, True])


def surest_mistakes(predictions: pd.DataFrame, class_names: list[str]) -> pd.DataFrame:
    """The first NUM_MISTAKES mistakes of `surest_first`."""
    table = surest_first(predictions, class_names)
    return table[table["actual"] != table["predicted"]].head(NUM_MISTAKES)
