"""Map where the surest mistakes speak for the predicted class rather than for the actual one."""

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.judging.mistakes import surest_mistakes
from pawline.prepared import PreparedImages
from pawline.runtime.maps import Heat, map_kind, picture_map
from pawline.runtime.model import RuntimeModel

MAX_SIDE = 16  # of a map that is kept


def mistake_maps(model: RuntimeModel, images: PreparedImages, predictions: pd.DataFrame) -> pd.DataFrame:
    """One row per shown mistake: path, method, side, and map: uint8 bytes, side × side, 255 speaks most for the
    predicted class, 0 not for it.

    predictions: see evaluate.predictions_table."""
    mistakes = surest_mistakes(predictions, images.class_names)
    pixels = images.pixels(images.rows_of(mistakes["path"]))
    actual, predicted = (
        pd.Index(images.class_names).get_indexer(pd.Index(mistakes[column])) for column in ("actual", "predicted")
    )
    pairs = zip(predicted.tolist(), actual.tolist(), strict=True)
    maps = [_as_bytes(picture_map(model, one, *pair)) for one, pair in zip(pixels, pairs, strict=True)]
    return pd.DataFrame(
        {
            "path": mistakes["path"].to_numpy(),
            "method": map_kind(model),
            "side": [len(one) for one in maps],
            "map": [one.tobytes() for one in maps],
        }
    )


def _as_bytes(heat: Heat) -> NDArray[np.uint8]:
    """Scale a map to 0 to 255, without what speaks against the predicted class: uint8 (side, side)."""
    if len(heat) > MAX_SIDE:
        heat = np.asarray(cv2.resize(heat, (MAX_SIDE, MAX_SIDE), interpolation=cv2.INTER_AREA), np.float32)
    largest = max(float(heat.max(initial=0)), 1e-12)
    return np.asarray(np.rint(255 * (heat / largest).clip(0, 1)), np.uint8)
